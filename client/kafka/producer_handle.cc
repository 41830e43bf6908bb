#include "client/kafka/producer_handle.h"

#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "client/kafka/kafka_config.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace kafed::client {
namespace {

constexpr int kPollMs = 100;
// What Kafka's framing adds to a message at most.
constexpr size_t kFramingBytes = 4'096;
constexpr absl::Duration kRebuildPause = absl::Seconds(1);

// Of a message that failed for this reason.
absl::Status FailureOf(rd_kafka_resp_err_t error, const LastTrouble& trouble) {
  switch (error) {
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
      return trouble.Explain(absl::UnavailableError(
          "the producer was closed before Kafka acknowledged the message"));
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
      return trouble.Explain(KafkaError(error, "Kafka"));
    default:
      return KafkaError(error, "Kafka");
  }
}

OutletReport ReportOf(const rd_kafka_message_t& message,
                      const LastTrouble& trouble) {
  OutletReport report;
  report.token = message._private;
  const rd_kafka_msg_status_t written = rd_kafka_message_status(&message);
  if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    report.offset = message.offset;
    return report;
  }
  report.status = FailureOf(message.err, trouble);
  if (written == RD_KAFKA_MSG_STATUS_PERSISTED) {
    // Written, but the answer was lost: an acknowledgement without offset.
    report.status = absl::OkStatus();
    return report;
  }
  if (written == RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED) {
    report.outcome = Outcome::kPossiblyPersisted;
    report.unhealthy = true;
    return report;
  }
  switch (message.err) {
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
      report.outcome = Outcome::kRefused;
      break;
    default:
      report.outcome = Outcome::kFailed;
      report.unhealthy = message.err != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
  }
  return report;
}

}  // namespace

absl::StatusOr<std::shared_ptr<Outlet>> ProducerHandle::Create(
    ProducerHandleOptions options, OutletSink sink) {
  std::shared_ptr<ProducerHandle> handle(
      new ProducerHandle(std::move(options), std::move(sink)));
  ASSIGN_OR_RETURN(rd_kafka_t * kafka, handle->MakeKafka());
  {
    absl::MutexLock lock(&handle->mutex_);
    handle->kafka_ = kafka;
  }
  handle->thread_ = std::thread([raw = handle.get()] { raw->Loop(); });
  return std::shared_ptr<Outlet>(std::move(handle));
}

ProducerHandle::ProducerHandle(ProducerHandleOptions options, OutletSink sink)
    : options_(std::move(options)), sink_(std::move(sink)) {}

ProducerHandle::~ProducerHandle() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = dead_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

absl::StatusOr<rd_kafka_t*> ProducerHandle::MakeKafka() const {
  const size_t kbytes = std::max<size_t>(options_.buffer_bytes / 1024, 1024);
  ASSIGN_OR_RETURN(
      ConfPointer conf,
      MakeConf(options_.sub_cluster, options_.secrets_dir,
               {{"enable.idempotence", "true"},
                {"acks", "all"},
                {"linger.ms", std::to_string(options_.linger.count())},
                {"message.timeout.ms",
                 std::to_string(options_.message_timeout.count())},
                {"queue.buffering.max.messages", "10000000"},
                {"message.max.bytes",
                 std::to_string(options_.max_message_bytes + kFramingBytes)},
                {"queue.buffering.max.kbytes", std::to_string(kbytes)}}));
  rd_kafka_conf_set_events(conf.get(),
                           RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
  char error[512] = "";
  rd_kafka_t* kafka =
      rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), error, sizeof(error));
  if (kafka == nullptr) {
    return absl::UnavailableError("sub-cluster " + options_.sub_cluster.name() +
                                  ": " + error);
  }
  static_cast<void>(conf.release());  // owned by the handle now
  return kafka;
}

absl::Status ProducerHandle::Send(const OutgoingMessage& message) {
  absl::MutexLock lock(&mutex_);
  if (dead_ || kafka_ == nullptr) {
    return absl::UnavailableError("the Kafka producer is being rebuilt");
  }
  rd_kafka_topic_t*& topic = topics_[message.kafka_topic_id];
  if (topic == nullptr) {
    topic = rd_kafka_topic_new(kafka_, std::string(message.kafka_topic).c_str(),
                               nullptr);
    if (topic == nullptr) return KafkaError(rd_kafka_last_error(), "topic");
  }
  rd_kafka_headers_t* headers =
      rd_kafka_headers_new(1 + message.headers->size());
  rd_kafka_header_add(headers, kKafkaHeaderName, -1,
                      message.kafed_header.data(),
                      static_cast<ssize_t>(message.kafed_header.size()));
  for (const Header& header : *message.headers) {
    rd_kafka_header_add(
        headers, header.name.data(), static_cast<ssize_t>(header.name.size()),
        header.value.data(), static_cast<ssize_t>(header.value.size()));
  }
  const void* key = message.key.empty() ? nullptr : message.key.data();
  // Neither copied nor freed: the message outlives its report.
  const rd_kafka_resp_err_t error = rd_kafka_producev(
      kafka_, RD_KAFKA_V_RKT(topic),
      RD_KAFKA_V_PARTITION(static_cast<int32_t>(message.kafka_partition)),
      RD_KAFKA_V_VALUE(const_cast<char*>(message.payload.data()),
                       message.payload.size()),
      RD_KAFKA_V_KEY(key, message.key.size()), RD_KAFKA_V_HEADERS(headers),
      RD_KAFKA_V_OPAQUE(message.token), RD_KAFKA_V_END);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();
  rd_kafka_headers_destroy(headers);
  if (error == RD_KAFKA_RESP_ERR__FATAL) dead_ = true;
  if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
    return absl::ResourceExhaustedError("librdkafka's queue is full");
  }
  absl::Status status = KafkaError(error, "Kafka");
  if (!absl::IsInvalidArgument(status)) return status;
  // Trying again would not help, and must not hold up what comes after it.
  failed_.push_back({message.token, Outcome::kFailed, -1, status, false});
  return absl::OkStatus();
}

void ProducerHandle::ReportFailed() {
  std::vector<OutletReport> failed;
  {
    absl::MutexLock lock(&mutex_);
    failed.swap(failed_);
  }
  if (!failed.empty()) sink_(failed);
}

void ProducerHandle::Loop() {
  while (true) {
    rd_kafka_t* kafka = nullptr;
    bool dead = false;
    bool stopping = false;
    {
      absl::MutexLock lock(&mutex_);
      kafka = kafka_;
      dead = dead_;
      stopping = stopping_;
    }
    ReportFailed();
    if (stopping) {
      if (kafka != nullptr) {
        Drain(kafka);
        Destroy(kafka);
      }
      return;
    }
    if (dead || kafka == nullptr) {
      Rebuild();
    } else {
      Poll(kafka, kPollMs);
    }
  }
}

void ProducerHandle::Poll(rd_kafka_t* kafka, int timeout_ms) {
  rd_kafka_queue_t* queue = rd_kafka_queue_get_main(kafka);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, timeout_ms);
  rd_kafka_queue_destroy(queue);
  if (event == nullptr) return;
  switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_DR:
      TakeReports(event);
      break;
    case RD_KAFKA_EVENT_ERROR:
      if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__FATAL) {
        absl::MutexLock lock(&mutex_);
        dead_ = true;
      }
      trouble_.Take(rd_kafka_event_error(event),
                    rd_kafka_event_error_string(event));
      LogInfo("Kafka producer",
              {{"sub_cluster", options_.sub_cluster.name()},
               {"error", rd_kafka_event_error_string(event)}});
      break;
    default:
      break;
  }
  rd_kafka_event_destroy(event);
}

void ProducerHandle::TakeReports(rd_kafka_event_t* event) {
  std::vector<OutletReport> reports;
  reports.reserve(rd_kafka_event_message_count(event));
  bool answered = false;
  while (const rd_kafka_message_t* message =
             rd_kafka_event_message_next(event)) {
    reports.push_back(ReportOf(*message, trouble_));
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) answered = true;
  }
  if (answered) trouble_.Clear();
  if (!reports.empty()) sink_(reports);
}

void ProducerHandle::Drain(rd_kafka_t* kafka) {
  rd_kafka_purge(kafka, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  while (rd_kafka_outq_len(kafka) > 0) Poll(kafka, kPollMs);
}

void ProducerHandle::Destroy(rd_kafka_t* kafka) {
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [id, topic] : topics_) {
      if (topic != nullptr) rd_kafka_topic_destroy(topic);
    }
    topics_.clear();
    kafka_ = nullptr;
  }
  rd_kafka_destroy(kafka);
}

void ProducerHandle::Rebuild() {
  rd_kafka_t* old = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    old = kafka_;
  }
  if (old != nullptr) {
    char text[512] = "";
    const rd_kafka_resp_err_t why =
        rd_kafka_fatal_error(old, text, sizeof(text));
    LogWarning("the Kafka producer is rebuilt after a fatal error",
               {{"sub_cluster", options_.sub_cluster.name()},
                {"error", rd_kafka_err2name(why)},
                {"text", text}});
    Drain(old);
    Destroy(old);
  }
  auto made = MakeKafka();
  {
    absl::MutexLock lock(&mutex_);
    if (made.ok()) {
      kafka_ = *made;
      dead_ = stopping_;
    } else {
      mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kRebuildPause);
    }
  }
  if (made.ok()) sink_({});
}

}  // namespace kafed::client
