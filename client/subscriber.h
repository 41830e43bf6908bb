// Subscriber: what is addressed to one host, or to one group of workers.
//
//   SubscriberOptions options{.nodes = {"kafed:7420"}, .host = "host-17",
//                             .state_dir = "/var/lib/agent"};
//   SubscriberHandlers handlers{.on_message = [&](const Message& message) {
//     Apply(message);
//     subscriber->Commit(message);
//   }};
//
// Agent mode (`host`): reads the chains of the host and of its VPCs, straight
// from Kafka, and hands over what is for them: in order along each chain,
// without repeats, from the offset of each join on. Joins and leaves come in
// band; nodes are asked at the start, every few minutes, and when a place
// cannot be reached. With its state on disk it starts without any node.
//
// Group mode (`resource_topic`, `group`): a worker of a consumer group; each
// message is handed to whichever worker has its partition, and again to the
// next one if that worker did not commit it.
//
// Nothing is committed that the application did not commit. An offset that
// Kafka no longer has is never skipped silently: on_gap names the keys.
//
// Threads: handlers are called one at a time, from threads of the Subscriber;
// they may call Commit. Other calls are thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/message.h"
#include "client/options.h"

namespace kafed::client {

struct SubscriberHandlers {
  std::function<void(const Message&)> on_message;
  // Messages of these keys (TOPIC/ID) may be missing: push full state.
  std::function<void(const std::vector<std::string>& keys)> on_gap;
};

struct SubscriberStats {
  uint64_t delivered = 0;
  uint64_t repeats = 0;  // dropped by the filter
  uint64_t foreign = 0;  // read, but not for this host
  uint64_t asked = 0;    // answers of nodes
};

class Subscriber {
 public:
  // Starts at once; waits for nothing. InvalidArgument names the option.
  static absl::StatusOr<std::unique_ptr<Subscriber>> Create(
      SubscriberOptions options, SubscriberHandlers handlers);
  virtual ~Subscriber() = default;

  // The message, and all before it in its chain, need not come again. Agent
  // mode: written down within 100 ms. Group mode: written when this returns;
  // Aborted if the partition is another worker's by now.
  virtual absl::Status Commit(const Message& message) = 0;
  // Everything handed over so far; written down when this returns.
  virtual absl::Status CommitAll() = 0;

  // Waits until a node has answered, or the state on disk named chains.
  virtual absl::Status WaitReady(milliseconds timeout) const = 0;
  virtual SubscriberStats stats() const = 0;

  // Writes down what was committed and ends. No handler runs after it.
  virtual void Stop() = 0;
};

}  // namespace kafed::client
