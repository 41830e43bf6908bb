// NodeAsker: asks one of several nodes, the next one after a failure. One
// thread at a time.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/node_connection.h"
#include "common/status_macros.h"
#include "common/uuid.h"

namespace kafed::client {

class NodeAsker {
 public:
  NodeAsker(std::vector<std::string> nodes, Connector connector)
      : nodes_(std::move(nodes)), connector_(std::move(connector)) {
    if (!nodes_.empty()) next_ = RandomNumber64() % nodes_.size();
  }

  absl::StatusOr<v1::SubscriptionsResponse> Subscriptions(
      v1::SubscriptionsRequest request) {
    if (nodes_.empty()) return absl::UnavailableError("nodes: none given");
    const std::string& address = nodes_[next_ % nodes_.size()];
    if (!connection_) connection_ = connector_(address);
    // Never an answer older than the last one, whichever node gives it.
    if (position_.index() != 0) *request.mutable_min_position() = position_;
    auto response = connection_->Subscriptions(request);
    if (!response.ok()) {
      connection_.reset();
      ++next_;
      return Annotate(response.status(), address);
    }
    if (response->has_position()) position_ = response->position();
    return response;
  }

 private:
  const std::vector<std::string> nodes_;
  const Connector connector_;
  size_t next_ = 0;
  std::unique_ptr<NodeConnection> connection_;
  v1::Position position_;
};

// What a caller is told who waited `timeout` for the first answer.
inline absl::Status NoNodeAnswered(milliseconds timeout,
                                   const absl::Status& last_error) {
  return absl::DeadlineExceededError(
      "no node answered after " + std::to_string(timeout.count()) + " ms" +
      (last_error.ok() ? "" : "; last error: " + last_error.ToString()));
}

}  // namespace kafed::client
