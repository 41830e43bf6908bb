#include "tests/demo/plain_consumer.h"

namespace kafed::demo {
namespace {

constexpr int kOffsetTimeoutMs = 10'000;

absl::Status Set(rd_kafka_conf_t* conf, const char* name, const char* value) {
  char error[512];
  if (rd_kafka_conf_set(conf, name, value, error, sizeof error) !=
      RD_KAFKA_CONF_OK) {
    return absl::InternalError(error);
  }
  return absl::OkStatus();
}

struct DestroyList {
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
using List = std::unique_ptr<rd_kafka_topic_partition_list_t, DestroyList>;

List ListOf(const std::set<Place>& places) {
  List list(rd_kafka_topic_partition_list_new(static_cast<int>(places.size())));
  for (const Place& place : places) {
    rd_kafka_topic_partition_list_add(list.get(), place.first.c_str(),
                                      place.second);
  }
  return list;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PlainConsumer>> PlainConsumer::Create(
    const std::string& bootstrap, const std::string& group) {
  std::unique_ptr<PlainConsumer> made(new PlainConsumer);
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] :
       std::vector<std::pair<const char*, std::string>>{
           {"bootstrap.servers", bootstrap},
           {"group.id", group},
           {"enable.auto.commit", "false"},
           {"auto.offset.reset", "error"},
           {"allow.auto.create.topics", "false"},
           {"log_level", "3"},
           {"fetch.wait.max.ms", "20"}}) {
    const absl::Status status = Set(conf, name, value.c_str());
    if (!status.ok()) {
      rd_kafka_conf_destroy(conf);
      return status;
    }
  }
  char error[512];
  made->handle_ = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
  if (made->handle_ == nullptr) {
    rd_kafka_conf_destroy(conf);
    return absl::InternalError(error);
  }
  rd_kafka_poll_set_consumer(made->handle_);
  return made;
}

PlainConsumer::~PlainConsumer() {
  if (handle_ == nullptr) return;
  rd_kafka_consumer_close(handle_);
  rd_kafka_destroy(handle_);
}

absl::Status PlainConsumer::Add(const std::vector<Place>& places) {
  rd_kafka_topic_partition_list_t* list =
      rd_kafka_topic_partition_list_new(static_cast<int>(places.size()));
  for (const Place& place : places) {
    if (!places_.insert(place).second) continue;
    rd_kafka_topic_partition_list_add(list, place.first.c_str(), place.second)
        ->offset = RD_KAFKA_OFFSET_BEGINNING;
  }
  absl::Status status;
  if (list->cnt > 0) {
    rd_kafka_error_t* error = rd_kafka_incremental_assign(handle_, list);
    if (error != nullptr) {
      status = absl::InternalError(rd_kafka_error_string(error));
      rd_kafka_error_destroy(error);
    }
  }
  rd_kafka_topic_partition_list_destroy(list);
  return status;
}

absl::StatusOr<bool> PlainConsumer::Poll(int timeout_ms, PlainMessage* out) {
  rd_kafka_message_t* message = rd_kafka_consumer_poll(handle_, timeout_ms);
  if (message == nullptr) return false;
  absl::StatusOr<bool> result = true;
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    // Connections come and go; only what makes reading impossible is an error.
    result = message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET
                 ? absl::StatusOr<bool>(
                       absl::DataLossError(rd_kafka_message_errstr(message)))
                 : absl::StatusOr<bool>(false);
  } else {
    out->kafka_topic = rd_kafka_topic_name(message->rkt);
    out->partition = message->partition;
    out->offset = message->offset;
    out->key.assign(static_cast<const char*>(message->key), message->key_len);
    out->value.assign(static_cast<const char*>(message->payload), message->len);
    out->kafed_header.clear();
    rd_kafka_headers_t* headers = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    if (rd_kafka_message_headers(message, &headers) ==
            RD_KAFKA_RESP_ERR_NO_ERROR &&
        rd_kafka_header_get_last(headers, "kafed", &value, &size) ==
            RD_KAFKA_RESP_ERR_NO_ERROR) {
      out->kafed_header.assign(static_cast<const char*>(value), size);
    }
  }
  rd_kafka_message_destroy(message);
  return result;
}

bool PlainConsumer::AtEnd() {
  const List list = ListOf(places_);
  return rd_kafka_position(handle_, list.get()) == RD_KAFKA_RESP_ERR_NO_ERROR &&
         AreEnds(*list);
}

bool PlainConsumer::GroupIsAtEnd(const std::set<Place>& places) {
  const List list = ListOf(places);
  return rd_kafka_committed(handle_, list.get(), kOffsetTimeoutMs) ==
             RD_KAFKA_RESP_ERR_NO_ERROR &&
         AreEnds(*list);
}

bool PlainConsumer::AreEnds(const rd_kafka_topic_partition_list_t& list) {
  for (int i = 0; i < list.cnt; ++i) {
    const rd_kafka_topic_partition_t& each = list.elems[i];
    int64_t low = 0;
    int64_t high = 0;
    if (rd_kafka_query_watermark_offsets(handle_, each.topic, each.partition,
                                         &low, &high, kOffsetTimeoutMs) !=
            RD_KAFKA_RESP_ERR_NO_ERROR ||
        (each.offset < high && high != low)) {
      return false;
    }
  }
  return true;
}

}  // namespace kafed::demo
