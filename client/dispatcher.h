// Dispatcher: the Producer's order, buffers and waiting rooms.
//
// It decides when each copy of a message goes to which outlet. It knows no
// librdkafka (client/outlet.h) and no stream (views are handed in).
//
// Order: sequences are drawn under one lock, in the order in which messages are
// handed out or queued, so per key the order of Produce calls, of sequences and
// of Kafka offsets is one. A key whose messages cannot go out at once has a
// queue, and everything later for it waits behind:
//
//    Produce ---> sent <---------------------------+
//        |          | reports                      | view, lease, breaker or
//        +----> waiting (per key, FIFO) -----------+ in-flight count allows
//                   | message timeout
//                   +----> report with an error
//
// What holds a key back: its Kafka topic is still being created, its segment
// is closing, its route changed while messages of it are under way to the old
// place, copies were refused and must be repeated first, its breaker is open,
// or the lease is over.
//
// Threads: any. Callbacks run outside the lock, on outlet threads, the ticking
// thread, or inside Tick and SetView; they may call Produce.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "client/breaker.h"
#include "client/lease.h"
#include "client/message.h"
#include "client/monitor.h"
#include "client/options.h"
#include "client/outlet.h"
#include "client/view_state.h"

namespace kafed::client {

class Dispatcher {
 public:
  Dispatcher(const ProducerOptions& options, const Source& source,
             OutletFactory outlets, std::function<LeaseState()> lease);
  // REQUIRES: every outlet is gone or silent (Shutdown).
  ~Dispatcher();

  // See Producer::Produce.
  absl::Status Produce(std::string_view key, std::string payload,
                       std::vector<Header> headers, DeliveryCallback done);

  // Routes from now on; returns when no older route is in use by Produce.
  void SetView(ViewPointer view);
  // Looks at what waits: timeouts, breakers, leases.
  void Tick();
  // A new session: counts restart. Lowers the message timeout if need be.
  void StartSession(milliseconds message_timeout);

  std::vector<v1::SegmentCount> Counts() const;
  ProducerStats stats() const;
  milliseconds message_timeout() const;

  // Waits until every accepted message has its report.
  absl::Status Flush(milliseconds timeout);
  // No more Produce; what waits unsent is reported as cancelled.
  void Close();
  // Ends the outlets (their last reports come in meanwhile).
  void Shutdown();

 private:
  struct Message;
  struct Copy;
  struct KeyState;
  // A logical partition, as far as this producer is concerned.
  struct Lane {
    Breaker breaker;
    size_t bytes = 0;  // waiting or under way
  };
  // A sub-cluster.
  struct Way {
    Breaker breaker;
    std::shared_ptr<Outlet> outlet;
    std::string made_from;  // what the outlet was made from
    absl::Status error;     // why there is none
    milliseconds retry_at{0};
    size_t bytes = 0;
  };
  enum class Wait {
    kNone,
    kNotReady,
    kHeld,
    kDraining,
    kBreaker,
    kLease,
    kOutlet
  };
  using Finished = std::vector<std::pair<DeliveryCallback, DeliveryReport>>;
  using Targets = std::vector<federation::Target>;

  absl::Status CheckSize(std::string_view key, std::string_view payload,
                         const std::vector<Header>& headers) const;
  absl::StatusOr<Targets> Accept(std::string_view key, Message* message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Targets> RouteOf(const Message& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Targets> AnyHealthy(federation::TopicId topic)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckLease(const Message& message) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TakeBuffer(const Targets& targets, Message* message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReleaseBuffer(Message* message, const Copy* copy)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Wait WhyWait(const KeyState& key, const Targets& targets)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SendAll(KeyState* key, const Targets& targets, Message* message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool SendCopy(const federation::Target& target, Copy* copy)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Pump(KeyState* key, Finished* done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool PumpRefused(KeyState* key, Finished* done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PumpAll(Finished* done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropIfIdle(KeyState* key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnReports(std::span<const OutletReport> reports);
  void OnReport(const OutletReport& report, Finished* done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishCopy(Copy* copy, const absl::Status& status, int64_t offset,
                  Finished* done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Complete(Message* message, Finished* done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FailUnsent(std::unique_ptr<Message> message, const absl::Status& why,
                  Finished* done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TimedOut(const KeyState& key) const;
  Lane& LaneOf(federation::TopicId topic, federation::PartitionNumber number)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Way& WayOf(federation::SubClusterId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The outlet of a sub-cluster, made at first use; null: not possible now.
  Outlet* OutletOf(federation::SubClusterId id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  const std::string& KafkaTopicName(federation::KafkaTopicId id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string LaneName(federation::TopicId topic,
                       federation::PartitionNumber number) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run(Finished* done) ABSL_LOCKS_EXCLUDED(mutex_);

  const ProducerOptions options_;
  const Clock& clock_;
  const Source source_;
  const OutletFactory factory_;
  const std::function<LeaseState()> lease_;

  mutable Monitor mutex_;
  ViewPointer view_ ABSL_GUARDED_BY(mutex_);
  milliseconds timeout_ ABSL_GUARDED_BY(mutex_);
  uint64_t sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool pump_wanted_ ABSL_GUARDED_BY(mutex_) = false;
  milliseconds next_sweep_ ABSL_GUARDED_BY(mutex_){0};
  uint64_t unfinished_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  ProducerStats stats_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, std::unique_ptr<KeyState>> keys_
      ABSL_GUARDED_BY(mutex_);
  // Those of keys_ that have something waiting.
  absl::flat_hash_set<KeyState*> waiting_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, Lane> lanes_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint32_t, Way> ways_ ABSL_GUARDED_BY(mutex_);
  // Outlets that were replaced; they end with Shutdown.
  std::vector<std::shared_ptr<Outlet>> replaced_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint32_t, std::string> kafka_topics_
      ABSL_GUARDED_BY(mutex_);
  // Numbers of a hashed topic's partitions in `view_`.
  absl::flat_hash_map<uint32_t, std::vector<federation::PartitionNumber>>
      partitions_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::pair<uint64_t, uint64_t>, v1::SegmentCount> counts_
      ABSL_GUARDED_BY(mutex_);
  uint64_t spread_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace kafed::client
