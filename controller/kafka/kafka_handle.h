// KafkaHandle: one librdkafka producer and the thread that polls it.
//
// It turns a sub-cluster's options into a handle, and librdkafka's callbacks
// into log lines and delivery reports. It asks nothing of Kafka by itself. A
// fatal error kills a handle for good: LibrdkafkaCluster makes another one.
//
// Thread-safe: the raw handle may be used by any thread while this lives. Log
// lines and errors pass through Scrub, so that no secret leaves it.
#pragma once

#include <librdkafka/rdkafka.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "controller/kafka/kafka_cluster.h"

namespace kafed::controller {

class KafkaHandle {
 public:
  // FailedPrecondition naming the property that librdkafka does not take.
  static absl::StatusOr<std::shared_ptr<KafkaHandle>> Make(
      const KafkaClusterOptions& options);
  ~KafkaHandle();
  KafkaHandle(const KafkaHandle&) = delete;
  KafkaHandle& operator=(const KafkaHandle&) = delete;

  rd_kafka_t* get() const { return kafka_; }

  // Whether a fatal error was raised.
  bool dead() const;

  // The status of a call that failed with `code`. Where librdkafka only knows
  // "no broker", it is what a broker or a connection attempt said last.
  absl::Status StatusOf(rd_kafka_resp_err_t code,
                        const std::string& text = "") const;
  // A call that works ends what was said about connections before.
  void Worked();

  // The text without any value of a secret property.
  std::string Scrub(std::string text) const;

 private:
  explicit KafkaHandle(const KafkaClusterOptions& options);
  absl::Status Start(const KafkaClusterOptions& options);
  static void OnLog(const rd_kafka_t* kafka, int level, const char* facility,
                    const char* text);
  static void OnError(rd_kafka_t* kafka, int code, const char* text,
                      void* self);

  const std::string name_;
  std::vector<std::string> secrets_;
  rd_kafka_t* kafka_ = nullptr;
  std::atomic<bool> stopping_{false};
  std::thread poller_;
  mutable absl::Mutex mutex_;
  absl::Status connection_error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kafed::controller
