#include "client/node_finder.h"

#include <utility>

#include "common/uuid.h"

namespace kafed::client {

absl::Status LearnNodes(NodeConnection* connection, NodeList* nodes) {
  const auto response = connection->Nodes();
  if (absl::IsUnimplemented(response.status())) return absl::OkStatus();
  if (response.ok()) nodes->Learn(*response);
  return response.status();
}

NodeFinder::NodeFinder(NodeList* nodes, milliseconds interval,
                       std::function<void()> leave)
    : nodes_(*nodes),
      interval_(interval),
      leave_(std::move(leave)),
      thread_([this] { Run(); }) {}

NodeFinder::~NodeFinder() {
  {
    MonitorLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void NodeFinder::Follow(std::shared_ptr<NodeConnection> connection) {
  MonitorLock lock(&mutex_);
  due_ = connection != nullptr;
  connection_.swap(connection);
}

void NodeFinder::Run() {
  const auto due = [this] {
    mutex_.AssertHeld();
    return stopping_ || due_;
  };
  while (true) {
    const auto fifth = static_cast<uint64_t>(interval_.count() / 5 + 1);
    std::shared_ptr<NodeConnection> connection;
    {
      MonitorLock lock(&mutex_);
      mutex_.AwaitFor(interval_ - milliseconds(RandomNumber64() % fifth), due);
      if (stopping_) return;
      due_ = false;
      connection = connection_;
    }
    if (!connection) continue;
    const absl::Status answered = LearnNodes(connection.get(), &nodes_);
    {
      MonitorLock lock(&mutex_);
      if (connection_ != connection) continue;  // it was left meanwhile
    }
    // The only node is waited for.
    const bool hangs = !answered.ok() && nodes_.size() > 1;
    if (hangs || nodes_.ShouldGoHome()) leave_();
  }
}

}  // namespace kafed::client
