#include "controller/kafka/control_writer.h"

#include <memory>

#include "absl/synchronization/mutex.h"
#include "common/kafka_header.h"
#include "controller/kafka/kafka_status.h"

namespace kafed::controller {
namespace {

// The reports of one Write. Reports that come after it gave up still find it.
class Deliveries {
 public:
  explicit Deliveries(size_t count)
      : open_(count),
        results_(count, absl::UnknownError(
                            "no report in time: it may have been persisted")) {}

  void Report(size_t index, absl::StatusOr<uint64_t> result) {
    absl::MutexLock lock(&mutex_);
    results_[index] = std::move(result);
    --open_;
  }

  std::vector<absl::StatusOr<uint64_t>> Wait(milliseconds timeout) {
    absl::MutexLock lock(&mutex_);
    const auto complete = [this] {
      mutex_.AssertReaderHeld();
      return open_ == 0;
    };
    mutex_.AwaitWithTimeout(absl::Condition(&complete),
                            absl::Milliseconds(timeout.count()));
    return results_;
  }

 private:
  absl::Mutex mutex_;
  size_t open_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::StatusOr<uint64_t>> results_ ABSL_GUARDED_BY(mutex_);
};

// The opaque of one message; freed by its report.
struct Pending {
  std::shared_ptr<Deliveries> deliveries;
  size_t index;
};

absl::StatusOr<uint64_t> ResultOf(const KafkaHandle& handle,
                                  const rd_kafka_message_t& message) {
  if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    return static_cast<uint64_t>(message.offset);
  }
  const absl::Status status = handle.StatusOf(message.err);
  if (rd_kafka_message_status(&message) != RD_KAFKA_MSG_STATUS_NOT_PERSISTED) {
    return absl::UnknownError(std::string(status.message()) +
                              ": it may have been persisted");
  }
  return status;
}

rd_kafka_resp_err_t Enqueue(rd_kafka_t* kafka, const ControlMessage& message,
                            Pending* pending) {
  const bool keyed = !message.key.empty();
  return rd_kafka_producev(
      kafka, RD_KAFKA_V_TOPIC(message.kafka_topic.c_str()),
      RD_KAFKA_V_PARTITION(static_cast<int32_t>(message.kafka_partition)),
      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_KEY(keyed ? message.key.data() : nullptr, message.key.size()),
      RD_KAFKA_V_VALUE(const_cast<char*>(message.value.data()),
                       message.value.size()),
      RD_KAFKA_V_HEADER(kKafkaHeaderName, message.header.data(),
                        static_cast<ssize_t>(message.header.size())),
      RD_KAFKA_V_OPAQUE(pending), RD_KAFKA_V_END);
}

}  // namespace

void OnDelivery(rd_kafka_t* /*kafka*/, const rd_kafka_message_t* message,
                void* handle) {
  const std::unique_ptr<Pending> pending(
      static_cast<Pending*>(message->_private));
  if (pending == nullptr) return;
  pending->deliveries->Report(
      pending->index,
      ResultOf(*static_cast<const KafkaHandle*>(handle), *message));
}

std::vector<absl::StatusOr<uint64_t>> WriteControlMessages(
    KafkaHandle* handle, std::span<const ControlMessage> messages,
    milliseconds timeout) {
  auto deliveries = std::make_shared<Deliveries>(messages.size());
  for (size_t i = 0; i < messages.size(); ++i) {
    auto pending = std::make_unique<Pending>(Pending{deliveries, i});
    const rd_kafka_resp_err_t error =
        Enqueue(handle->get(), messages[i], pending.get());
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      (void)pending.release();  // OnDelivery frees it
    } else {
      deliveries->Report(i, FromKafka(error));
    }
  }
  return deliveries->Wait(timeout);
}

}  // namespace kafed::controller
