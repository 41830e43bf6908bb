#include "client/kafka/consumer_handle.h"

#include <algorithm>
#include <utility>

#include "client/kafka/kafka_config.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace kafed::client {
namespace {

constexpr int kPollMs = 50;
constexpr int kAskMs = 5'000;
// Not cooperative-sticky: librdkafka before 2.3 aborts the process when such a
// consumer is closed between joining its group and its first assignment
// (docs/decisions/0010-round-robin-in-groups.md).
constexpr char kStrategy[] = "roundrobin";

struct DestroyList {
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
using List = std::unique_ptr<rd_kafka_topic_partition_list_t, DestroyList>;

List NewList() { return List(rd_kafka_topic_partition_list_new(4)); }

void Add(const std::string& topic, uint32_t partition, int64_t offset,
         rd_kafka_topic_partition_list_t* list) {
  rd_kafka_topic_partition_list_add(list, topic.c_str(),
                                    static_cast<int32_t>(partition))
      ->offset = offset;
}

void TakeError(rd_kafka_error_t* error, const char* what) {
  if (error == nullptr) return;
  LogWarning("Kafka consumer",
             {{"at", what}, {"error", rd_kafka_error_string(error)}});
  rd_kafka_error_destroy(error);
}

Record RecordOf(const rd_kafka_message_t& raw, const std::string& sub_cluster,
                uint64_t round) {
  Record record;
  record.sub_cluster = sub_cluster;
  record.kafka_topic = rd_kafka_topic_name(raw.rkt);
  record.kafka_partition = static_cast<uint32_t>(raw.partition);
  record.offset = static_cast<uint64_t>(raw.offset);
  record.round = round;
  record.key.assign(static_cast<const char*>(raw.key), raw.key_len);
  record.payload.assign(static_cast<const char*>(raw.payload), raw.len);
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&raw, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return record;
  }
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
       RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i) {
    const std::string_view bytes(static_cast<const char*>(value), size);
    if (std::string_view(name) == kKafkaHeaderName) {
      if (auto header = DecodeKafkaHeader(bytes); header.ok()) {
        record.header = *header;
        continue;
      }
    }
    record.headers.push_back({name, std::string(bytes)});
  }
  return record;
}

}  // namespace

ConsumerHandle::ConsumerHandle(ConsumerOptions options,
                               ConsumerCallbacks callbacks)
    : options_(std::move(options)), callbacks_(std::move(callbacks)) {}

absl::StatusOr<std::unique_ptr<ConsumerHandle>> ConsumerHandle::Create(
    ConsumerOptions options, ConsumerCallbacks callbacks) {
  std::unique_ptr<ConsumerHandle> handle(
      new ConsumerHandle(std::move(options), std::move(callbacks)));
  RETURN_IF_ERROR(handle->Start());
  return handle;
}

absl::Status ConsumerHandle::Start() {
  v1::SubClusterRow row;
  row.set_name(options_.cluster.name);
  row.set_bootstrap_servers(options_.cluster.bootstrap_servers);
  row.set_security_ref(options_.cluster.security_ref);
  const int64_t session = options_.session_timeout.count();
  ASSIGN_OR_RETURN(
      ConfPointer conf,
      MakeConf(row, options_.secrets_dir,
               {{"group.id", options_.group},
                {"client.id",
                 options_.member.empty() ? "kafed-client" : options_.member},
                {"session.timeout.ms", std::to_string(session)},
                {"heartbeat.interval.ms",
                 std::to_string(std::max<int64_t>(session / 10, 100))},
                {"enable.auto.commit", "false"},
                {"enable.auto.offset.store", "false"},
                {"auto.offset.reset", "error"},
                {"allow.auto.create.topics", "false"},
                {"partition.assignment.strategy", kStrategy},
                {"fetch.wait.max.ms", "100"},
                {"fetch.error.backoff.ms", "200"},
                {"queued.max.messages.kbytes", "16384"}}));
  rd_kafka_conf_set_opaque(conf.get(), this);
  rd_kafka_conf_set_error_cb(
      conf.get(), [](rd_kafka_t*, int code, const char* text, void* self) {
        static_cast<ConsumerHandle*>(self)->trouble_.Take(
            static_cast<rd_kafka_resp_err_t>(code), text);
      });
  if (callbacks_.owned) {
    rd_kafka_conf_set_rebalance_cb(conf.get(), &ConsumerHandle::OnRebalance);
  }
  char error[512] = "";
  kafka_ = rd_kafka_new(RD_KAFKA_CONSUMER, conf.get(), error, sizeof(error));
  if (kafka_ == nullptr) {
    return absl::UnavailableError("sub-cluster " + options_.cluster.name +
                                  ": " + error);
  }
  static_cast<void>(conf.release());  // owned by the handle now
  rd_kafka_poll_set_consumer(kafka_);
  thread_ = std::thread([this] { Loop(); });
  return absl::OkStatus();
}

ConsumerHandle::~ConsumerHandle() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  if (kafka_ == nullptr) return;
  rd_kafka_destroy(kafka_);
}

void ConsumerHandle::Read(std::vector<ReadPlace> places) {
  absl::MutexLock lock(&mutex_);
  wanted_ = std::move(places);
  read_changed_ = true;
}

void ConsumerHandle::Subscribe(std::vector<std::string> topics) {
  absl::MutexLock lock(&mutex_);
  if (topics == topics_) return;
  topics_ = std::move(topics);
  topics_changed_ = true;
}

void ConsumerHandle::Loop() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) break;
    }
    ApplyRead();
    ApplySubscribe();
    rd_kafka_message_t* message = rd_kafka_consumer_poll(kafka_, kPollMs);
    if (message == nullptr) continue;
    Take(message);
    rd_kafka_message_destroy(message);
  }
  // In this thread, so that the group's last words find their callback.
  rd_kafka_consumer_close(kafka_);
}

void ConsumerHandle::ApplyRead() {
  std::vector<ReadPlace> wanted;
  {
    absl::MutexLock lock(&mutex_);
    if (!read_changed_) return;
    read_changed_ = false;
    wanted = wanted_;
  }
  std::map<Place, const ReadPlace*> places;
  for (const ReadPlace& each : wanted) {
    places[{each.kafka_topic, each.kafka_partition}] = &each;
  }
  const List gone = NewList();
  for (auto at = reading_.begin(); at != reading_.end();) {
    const auto keep = places.find(at->first);
    if (keep != places.end() && keep->second->round == at->second) {
      places.erase(keep);
      ++at;
      continue;
    }
    Add(at->first.first, at->first.second, RD_KAFKA_OFFSET_INVALID, gone.get());
    at = reading_.erase(at);
  }
  if (gone->cnt > 0) {
    TakeError(rd_kafka_incremental_unassign(kafka_, gone.get()), "unassign");
  }
  const List added = NewList();
  for (const auto& [place, each] : places) {
    Add(place.first, place.second, static_cast<int64_t>(each->offset),
        added.get());
    reading_[place] = each->round;
  }
  if (added->cnt > 0) {
    TakeError(rd_kafka_incremental_assign(kafka_, added.get()), "assign");
  }
}

void ConsumerHandle::ApplySubscribe() {
  const List list = NewList();
  {
    absl::MutexLock lock(&mutex_);
    if (!topics_changed_) return;
    topics_changed_ = false;
    for (const std::string& topic : topics_) {
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(),
                                        RD_KAFKA_PARTITION_UA);
    }
  }
  const rd_kafka_resp_err_t error =
      list->cnt == 0 ? rd_kafka_unsubscribe(kafka_)
                     : rd_kafka_subscribe(kafka_, list.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    callbacks_.trouble(KafkaError(error, "subscribe"));
  }
}

void ConsumerHandle::Take(rd_kafka_message_t* message) {
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const auto at = reading_.find({rd_kafka_topic_name(message->rkt),
                                   static_cast<uint32_t>(message->partition)});
    callbacks_.record(RecordOf(*message, options_.cluster.name,
                               at == reading_.end() ? 0 : at->second));
  } else if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
    Resume(message);
  } else {
    callbacks_.trouble(
        trouble_.Explain(KafkaError(message->err, options_.cluster.name)));
  }
}

void ConsumerHandle::Resume(rd_kafka_message_t* message) {
  ReadPlace place;
  place.sub_cluster = options_.cluster.name;
  place.kafka_topic = rd_kafka_topic_name(message->rkt);
  place.kafka_partition = static_cast<uint32_t>(message->partition);
  place.offset = static_cast<uint64_t>(message->offset);
  const auto at = reading_.find({place.kafka_topic, place.kafka_partition});
  if (at != reading_.end()) place.round = at->second;
  int64_t low = 0;
  int64_t high = 0;
  const rd_kafka_resp_err_t error =
      rd_kafka_query_watermark_offsets(kafka_, place.kafka_topic.c_str(),
                                       message->partition, &low, &high, kAskMs);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    callbacks_.trouble(KafkaError(error, "watermarks"));
    low = 0;
  }
  LogWarning("a Kafka partition no longer has the next offset",
             {{"sub_cluster", place.sub_cluster},
              {"topic", place.kafka_topic},
              {"partition", place.kafka_partition},
              {"low", low}});
  if (callbacks_.owned) {
    rd_kafka_seek(message->rkt, message->partition, low, kAskMs);
  }
  callbacks_.gap(place, static_cast<uint64_t>(low));
}

absl::Status ConsumerHandle::Commit(const std::vector<ReadPlace>& places,
                                    bool wait) {
  const List list = NewList();
  for (const ReadPlace& each : places) {
    Add(each.kafka_topic, each.kafka_partition,
        static_cast<int64_t>(each.offset), list.get());
  }
  if (list->cnt == 0) return absl::OkStatus();
  if (!wait) {
    return KafkaError(rd_kafka_commit(kafka_, list.get(), 1), "commit");
  }
  if (rd_kafka_assignment_lost(kafka_) != 0) {
    return absl::AbortedError("commit: the group gave the partitions away");
  }
  return KafkaError(CommitNow(list.get()), "commit");
}

rd_kafka_resp_err_t ConsumerHandle::CommitNow(
    const rd_kafka_topic_partition_list_t* list) {
  // Not rd_kafka_commit's own waiting, which has no bound.
  rd_kafka_queue_t* queue = rd_kafka_queue_new(kafka_);
  rd_kafka_resp_err_t error =
      rd_kafka_commit_queue(kafka_, list, queue, nullptr, nullptr);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_event_t* event = rd_kafka_queue_poll(queue, kAskMs);
    error = event == nullptr ? RD_KAFKA_RESP_ERR__TIMED_OUT
                             : rd_kafka_event_error(event);
    if (event != nullptr) rd_kafka_event_destroy(event);
  }
  rd_kafka_queue_destroy(queue);
  return error;
}

absl::StatusOr<std::optional<uint64_t>> ConsumerHandle::Committed(
    const ReadPlace& place, milliseconds timeout) {
  const List list = NewList();
  Add(place.kafka_topic, place.kafka_partition, RD_KAFKA_OFFSET_INVALID,
      list.get());
  RETURN_IF_ERROR(KafkaError(
      rd_kafka_committed(kafka_, list.get(), static_cast<int>(timeout.count())),
      "committed"));
  RETURN_IF_ERROR(KafkaError(list->elems[0].err, "committed"));
  const int64_t offset = list->elems[0].offset;
  if (offset < 0) return std::optional<uint64_t>();
  return std::optional<uint64_t>(static_cast<uint64_t>(offset));
}

void ConsumerHandle::OnRebalance(rd_kafka_t*, rd_kafka_resp_err_t error,
                                 rd_kafka_topic_partition_list_t* partitions,
                                 void* self) {
  static_cast<ConsumerHandle*>(self)->Rebalance(error, partitions);
}

void ConsumerHandle::Rebalance(rd_kafka_resp_err_t error,
                               rd_kafka_topic_partition_list_t* partitions) {
  const bool assigned = error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
  if (assigned) {
    // A partition without a commit is read from its start: not a reset.
    rd_kafka_committed(kafka_, partitions, kAskMs);
    for (int i = 0; i < partitions->cnt; ++i) {
      rd_kafka_topic_partition_t& each = partitions->elems[i];
      if (each.offset == RD_KAFKA_OFFSET_INVALID) {
        each.offset = RD_KAFKA_OFFSET_BEGINNING;
      }
    }
  }
  for (int i = 0; i < partitions->cnt; ++i) {
    callbacks_.owned(partitions->elems[i].topic,
                     static_cast<uint32_t>(partitions->elems[i].partition),
                     assigned);
  }
  const rd_kafka_resp_err_t failed =
      rd_kafka_assign(kafka_, assigned ? partitions : nullptr);
  if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
    LogWarning("Kafka consumer",
               {{"at", "rebalance"}, {"error", rd_kafka_err2str(failed)}});
  }
}

}  // namespace kafed::client
