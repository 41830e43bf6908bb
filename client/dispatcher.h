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
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"
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
  absl::Status Produce(std::string_view key, std::string_view payload,
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
    size_t bytes = 0;                      // waiting or under way
    std::vector<v1::SegmentCount> counts;  // by epoch, of this session
  };
  // A sub-cluster.
  struct Way {
    Breaker breaker;
    std::shared_ptr<Outlet> outlet;
    std::string made_from;    // what the outlet was made from
    uint64_t checked_in = 0;  // the view for which it is still right
    absl::Status error;       // why there is none
    milliseconds retry_at{0};
    size_t bytes = 0;
  };
  // Where a copy goes, with what this producer knows of the place.
  struct Route {
    federation::Target target;
    Lane* lane = nullptr;
    Way* way = nullptr;
  };
  using Routes = absl::InlinedVector<Route, 1>;
  enum class Wait {
    kNone,
    kNotReady,
    kHeld,
    kDraining,
    kBreaker,
    kLease,
    kOutlet
  };
  using Finished = std::vector<std::unique_ptr<Message>>;

  absl::Status CheckSize(std::string_view key, std::string_view payload,
                         const std::vector<Header>& headers) const;
  absl::StatusOr<KeyState*> Accept(std::string_view key, milliseconds now,
                                   Message* message, Routes* routes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `key` may be null; else it keeps its routes for as long as the view stays.
  absl::Status RouteOf(const Message& message, KeyState* key, milliseconds now,
                       Routes* routes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AnyHealthy(federation::TopicId topic, milliseconds now,
                          Routes* routes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Route RouteTo(const federation::Target& target)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckLease(const v1::TopicRow* topic, milliseconds now) const;
  absl::Status TakeBuffer(const Routes& routes, milliseconds now,
                          Message* message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What the copy took, or with null all that is left.
  void ReleaseBuffer(Message* message, const Copy* copy)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Wait WhyWait(const KeyState& key, const Routes& routes, milliseconds now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SendAll(KeyState* key, const Routes& routes, milliseconds now,
               Message* message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool SendCopy(const Route& route, milliseconds now, Copy* copy)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Pump(KeyState* key, Finished* done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool PumpRefused(KeyState* key, Finished* done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PumpAll(Finished* done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropIfIdle(KeyState* key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnReports(std::span<const OutletReport> reports);
  void OnReport(const OutletReport& report, milliseconds now, Finished* done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Count(const Copy& copy, Outcome outcome)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishCopy(Copy* copy, const absl::Status& status, int64_t offset,
                  Finished* done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Complete(Message* message, Finished* done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FailUnsent(std::unique_ptr<Message> message, const absl::Status& why,
                  Finished* done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What happened to the key's messages, and what they waited for.
  absl::Status Unsent(const KeyState& key, std::string_view what) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Lane& LaneOf(federation::TopicId topic, federation::PartitionNumber number)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Way& WayOf(federation::SubClusterId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The outlet of a sub-cluster, made at first use; null: not possible now.
  Outlet* OutletOf(const Route& route) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  const std::string& KafkaTopicName(federation::KafkaTopicId id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string LaneName(federation::TopicId topic,
                       federation::PartitionNumber number) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run(Finished* done) ABSL_LOCKS_EXCLUDED(mutex_);
  std::unique_ptr<Message> NewMessage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Recycle(std::unique_ptr<Message> message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ProducerOptions options_;
  const Clock& clock_;
  const Source source_;
  const OutletFactory factory_;
  const std::function<LeaseState()> lease_;

  mutable Monitor mutex_;
  ViewPointer view_ ABSL_GUARDED_BY(mutex_);
  uint64_t views_ ABSL_GUARDED_BY(mutex_) = 1;  // views so far
  milliseconds timeout_ ABSL_GUARDED_BY(mutex_);
  uint64_t sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool pump_wanted_ ABSL_GUARDED_BY(mutex_) = false;
  milliseconds next_sweep_ ABSL_GUARDED_BY(mutex_){0};
  uint64_t unfinished_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  ProducerStats stats_ ABSL_GUARDED_BY(mutex_);
  // By their own names.
  absl::flat_hash_map<absl::string_view, std::unique_ptr<KeyState>> keys_
      ABSL_GUARDED_BY(mutex_);
  // Those of keys_ that have something waiting.
  absl::flat_hash_set<KeyState*> waiting_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, std::unique_ptr<Lane>> lanes_
      ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint32_t, std::unique_ptr<Way>> ways_
      ABSL_GUARDED_BY(mutex_);
  // Outlets that were replaced; they end with Shutdown.
  std::vector<std::shared_ptr<Outlet>> replaced_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint32_t, std::string> kafka_topics_
      ABSL_GUARDED_BY(mutex_);
  // Numbers of a hashed topic's partitions in `view_`.
  absl::flat_hash_map<uint32_t, std::vector<federation::PartitionNumber>>
      partitions_ ABSL_GUARDED_BY(mutex_);
  uint64_t spread_ ABSL_GUARDED_BY(mutex_) = 0;
  // Messages to be used again, with the memory of their parts.
  std::vector<std::unique_ptr<Message>> spare_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kafed::client
