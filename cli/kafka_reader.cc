#include "cli/kafka_reader.h"

#include <algorithm>
#include <array>
#include <utility>

#include "client/kafka/kafka_config.h"
#include "client/kafka/last_trouble.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

struct DestroyMessage {
  void operator()(rd_kafka_message_t* message) const {
    rd_kafka_message_destroy(message);
  }
};

struct DestroyList {
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};

void AddHeaders(const rd_kafka_message_t& raw, KafkaMessage* message) {
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&raw, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return;
  }
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
       RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i) {
    const std::string bytes(static_cast<const char*>(value), size);
    auto kafed = DecodeKafkaHeader(bytes);
    if (std::string_view(name) == kKafkaHeaderName && kafed.ok()) {
      message->kafed = *kafed;
    } else {
      message->headers.emplace_back(name, bytes);
    }
  }
}

KafkaMessage MessageOf(const rd_kafka_message_t& raw) {
  KafkaMessage message;
  message.kafka_topic = rd_kafka_topic_name(raw.rkt);
  message.kafka_partition = static_cast<uint32_t>(raw.partition);
  message.offset = static_cast<uint64_t>(raw.offset);
  message.time_ms = rd_kafka_message_timestamp(&raw, nullptr);
  message.key.assign(static_cast<const char*>(raw.key), raw.key_len);
  message.payload.assign(static_cast<const char*>(raw.payload), raw.len);
  AddHeaders(raw, &message);
  return message;
}

}  // namespace

struct KafkaReader::Handle {
  rd_kafka_t* kafka = nullptr;
  std::string sub_cluster;
  client::LastTrouble trouble;

  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (kafka == nullptr) return;
    rd_kafka_consumer_close(kafka);
    rd_kafka_destroy(kafka);
  }

  // Where the partition begins and ends.
  absl::Status Watermarks(const std::string& topic, uint32_t partition,
                          milliseconds timeout, int64_t* low, int64_t* high) {
    const rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(
        kafka, topic.c_str(), static_cast<int32_t>(partition), low, high,
        static_cast<int>(timeout.count()));
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();
    // Why is told to the error callback while somebody polls.
    while (rd_kafka_message_t* said = rd_kafka_consumer_poll(kafka, 0)) {
      rd_kafka_message_destroy(said);
    }
    return trouble.Explain(client::KafkaError(error, sub_cluster));
  }
};

KafkaReader::KafkaReader(std::unique_ptr<Handle> handle)
    : handle_(std::move(handle)) {}

KafkaReader::~KafkaReader() = default;

absl::StatusOr<std::unique_ptr<KafkaReader>> KafkaReader::Create(
    const v1::SubClusterRow& sub_cluster, const std::string& secrets_dir) {
  // The group id is demanded by librdkafka and never used.
  ASSIGN_OR_RETURN(client::ConfPointer conf,
                   client::MakeConf(sub_cluster, secrets_dir,
                                    {{"group.id", "kafedctl"},
                                     {"enable.auto.commit", "false"},
                                     {"auto.offset.reset", "error"},
                                     {"enable.partition.eof", "true"},
                                     {"allow.auto.create.topics", "false"},
                                     {"fetch.wait.max.ms", "100"}}));
  auto handle = std::make_unique<Handle>();
  handle->sub_cluster = sub_cluster.name();
  rd_kafka_conf_set_opaque(conf.get(), &handle->trouble);
  rd_kafka_conf_set_error_cb(
      conf.get(), [](rd_kafka_t*, int code, const char* text, void* trouble) {
        static_cast<client::LastTrouble*>(trouble)->Take(
            static_cast<rd_kafka_resp_err_t>(code), text);
      });
  std::array<char, 512> error{};
  handle->kafka =
      rd_kafka_new(RD_KAFKA_CONSUMER, conf.get(), error.data(), error.size());
  if (handle->kafka == nullptr) {
    return absl::UnavailableError("sub-cluster " + sub_cluster.name() + ": " +
                                  error.data());
  }
  static_cast<void>(conf.release());  // the handle's now
  rd_kafka_poll_set_consumer(handle->kafka);
  return std::unique_ptr<KafkaReader>(new KafkaReader(std::move(handle)));
}

absl::StatusOr<uint64_t> KafkaReader::End(const std::string& topic,
                                          uint32_t partition,
                                          milliseconds timeout) {
  int64_t low = 0;
  int64_t high = 0;
  RETURN_IF_ERROR(handle_->Watermarks(topic, partition, timeout, &low, &high));
  return static_cast<uint64_t>(high);
}

absl::Status KafkaReader::Begin(const std::string& topic, uint32_t partition,
                                uint64_t offset, milliseconds timeout) {
  int64_t low = 0;
  int64_t high = 0;
  RETURN_IF_ERROR(handle_->Watermarks(topic, partition, timeout, &low, &high));
  const std::unique_ptr<rd_kafka_topic_partition_list_t, DestroyList> list(
      rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(),
                                    static_cast<int32_t>(partition))
      ->offset = std::max(static_cast<int64_t>(offset), low);
  return client::KafkaError(rd_kafka_assign(handle_->kafka, list.get()),
                            handle_->sub_cluster);
}

absl::StatusOr<KafkaReader::Step> KafkaReader::Next(milliseconds timeout) {
  Step step;
  const std::unique_ptr<rd_kafka_message_t, DestroyMessage> raw(
      rd_kafka_consumer_poll(handle_->kafka,
                             static_cast<int>(timeout.count())));
  if (!raw) return step;
  switch (raw->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      step.message = MessageOf(*raw);
      return step;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
      step.end = static_cast<uint64_t>(raw->offset);
      return step;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
      return step;  // it reconnects by itself
    default:
      return handle_->trouble.Explain(
          client::KafkaError(raw->err, handle_->sub_cluster));
  }
}

}  // namespace kafed::cli
