// NodeFinder: asks the node that a Mirror follows for the others, when its
// stream begins and every few minutes, so that the Mirror's NodeList is current
// on the day that node is gone. A stream may be silent for days, so this is
// also how a node is found out that hangs.
//
// It has a thread of its own, because neither a view nor a lease may wait for
// the answer. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "client/monitor.h"
#include "client/node_connection.h"
#include "client/node_list.h"

namespace kafed::client {

// Asks one node and tells the list. An error changes nothing; Unimplemented is
// none: the node knows of no others.
absl::Status LearnNodes(NodeConnection* connection, NodeList* nodes);

class NodeFinder {
 public:
  // `leave`: another node should be followed, because this one does not answer
  // or ShouldGoHome. From the finder's thread.
  NodeFinder(NodeList* nodes, milliseconds interval,
             std::function<void()> leave);
  ~NodeFinder();
  NodeFinder(const NodeFinder&) = delete;
  NodeFinder& operator=(const NodeFinder&) = delete;

  // The node that is followed from now on, asked at once; null: none is.
  void Follow(std::shared_ptr<NodeConnection> connection);

 private:
  void Run();

  NodeList& nodes_;
  const milliseconds interval_;
  const std::function<void()> leave_;
  Monitor mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool due_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<NodeConnection> connection_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace kafed::client
