// ProducerHandle: one librdkafka producer, for one sub-cluster.
//
// Idempotence on, explicit partitions, acks from all replicas in sync. A fatal
// error kills a librdkafka handle: its reports are collected, it is destroyed
// and another is made; meanwhile Send says Unavailable. What was certainly not
// written is reported as refused, so that the Dispatcher sends it again in
// order; what may have been written is reported as such.
//
// Threads: one that polls; the sink is called from it. Destroying the handle
// waits for the reports of everything under way (purged, not flushed).
#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "client/kafka/last_trouble.h"
#include "client/outlet.h"
#include "common/clock.h"

namespace kafed::client {

struct ProducerHandleOptions {
  v1::SubClusterRow sub_cluster;
  std::string secrets_dir;
  milliseconds message_timeout{30'000};
  milliseconds linger{5};
  size_t max_message_bytes = 1'000'000;
  size_t buffer_bytes = size_t{64} << 20;
};

class ProducerHandle final : public Outlet {
 public:
  static absl::StatusOr<std::shared_ptr<Outlet>> Create(
      ProducerHandleOptions options, OutletSink sink);
  ~ProducerHandle() override;
  ProducerHandle(const ProducerHandle&) = delete;
  ProducerHandle& operator=(const ProducerHandle&) = delete;

  absl::Status Send(const OutgoingMessage& message) override;

 private:
  ProducerHandle(ProducerHandleOptions options, OutletSink sink);
  absl::StatusOr<rd_kafka_t*> MakeKafka() const;
  void Loop();
  void Poll(rd_kafka_t* kafka, int timeout_ms);
  void TakeReports(rd_kafka_event_t* event);
  void ReportFailed();
  void Drain(rd_kafka_t* kafka);
  void Destroy(rd_kafka_t* kafka);
  void Rebuild();

  const ProducerHandleOptions options_;
  const OutletSink sink_;
  LastTrouble trouble_;
  absl::Mutex mutex_;
  rd_kafka_t* kafka_ ABSL_GUARDED_BY(mutex_) = nullptr;
  // A fatal error was seen: nothing more is taken.
  bool dead_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<uint32_t, rd_kafka_topic_t*> topics_
      ABSL_GUARDED_BY(mutex_);
  // What librdkafka would not take, to be reported from the thread.
  std::vector<OutletReport> failed_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace kafed::client
