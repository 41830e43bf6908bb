#include "client/node_finder.h"

#include <utility>

#include "common/uuid.h"

namespace kafed::client {

void LearnNodes(NodeConnection* connection, NodeList* nodes) {
  const auto response = connection->Nodes();
  if (response.ok()) nodes->Learn(*response);
}

NodeFinder::NodeFinder(NodeList* nodes, milliseconds interval,
                       std::function<void()> go_home)
    : nodes_(*nodes),
      interval_(interval),
      go_home_(std::move(go_home)),
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
    LearnNodes(connection.get(), &nodes_);
    if (nodes_.ShouldGoHome()) go_home_();
  }
}

}  // namespace kafed::client
