// Producer: sends messages to keys, straight to the right Kafka partitions.
//
//   ASSIGN_OR_RETURN(auto producer, Producer::Create(options));
//   producer->Produce("nca/host-17", payload, {}, [](const auto& report) {
//     if (!report.status.ok()) ...
//   });
//   RETURN_IF_ERROR(producer->Close(std::chrono::seconds(30)));
//
// It mirrors the route view as a session of the metadata cluster, so that no
// message waits for a look-up, and it goes on while every node is down until
// its lease ends. Order: messages of one key arrive in the order of the Produce
// calls for it, whatever moves meanwhile. A multicast message is one Kafka
// message for each home of the key's members.
//
// It makes no Kafka topics and reads none (client/subscriber.h).
//
// Threads: Produce from any; delivery callbacks come from threads of the
// Producer, must be quick, may Produce, must not Flush or Close.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "client/message.h"
#include "client/mirror.h"
#include "client/options.h"

namespace kafed::client {

class Dispatcher;

class Producer {
 public:
  // Waits for a view and a lease. A view from a snapshot is enough: topics
  // that go on without a lease then work while every node is down.
  static absl::StatusOr<std::unique_ptr<Producer>> Create(
      ProducerOptions options);
  // Gives what is under way no time; Close first.
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  // `key` is TOPIC/ID; an empty ID on a hashed topic means any healthy
  // partition. Ok: accepted, and `done` is called exactly once. Otherwise it
  // is never called:
  //   InvalidArgument     key or headers, named
  //   NotFound            no such topic or key
  //   FailedPrecondition  "lease: ...": the lease is over; or closed
  //   ResourceExhausted   a buffer is full, named
  //   Unavailable         the breaker of the partition, named, is open
  absl::Status Produce(std::string_view key, std::string_view payload,
                       std::vector<Header> headers = {},
                       DeliveryCallback done = nullptr);

  // Waits until all that was accepted has been reported.
  absl::Status Flush(milliseconds timeout);

  // Flushes, reports what is left as cancelled, ends the session with its
  // counts. Idempotent. The status is Flush's.
  absl::Status Close(milliseconds timeout);

  const Mirror& mirror() const { return *mirror_; }
  const Source& source() const { return source_; }
  ProducerStats stats() const;

 private:
  explicit Producer(ProducerOptions options);
  void TickLoop();

  const ProducerOptions options_;
  const Source source_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<Mirror> mirror_;
  // mirror_, once it is there: its thread may ask before.
  std::atomic<const Mirror*> leases_{nullptr};
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread ticker_;
};

}  // namespace kafed::client
