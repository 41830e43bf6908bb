// NodeAsker: asks one of several nodes; after a failure, the next one. It also
// learns from them which nodes there are. One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "client/backoff.h"
#include "client/node_connection.h"
#include "client/node_finder.h"
#include "client/node_list.h"
#include "common/status_macros.h"

namespace kafed::client {

class NodeAsker {
 public:
  NodeAsker(const SubscriberOptions& options, Connector connector)
      : clock_(*options.clock),
        nodes_interval_(options.nodes_interval),
        connector_(std::move(connector)),
        nodes_(options.nodes, options.region, options.clock) {}

  // One attempt at one node. After an error the caller may ask again after
  // PauseOf(...).
  absl::StatusOr<v1::SubscriptionsResponse> Subscriptions(
      v1::SubscriptionsRequest request) {
    if (nodes_.empty()) return absl::UnavailableError("nodes: none given");
    if (!connection_) {
      connection_ = connector_(nodes_.Next());
      next_learning_ = clock_.Steady();
    }
    // Never an answer older than the last one, whichever node gives it.
    if (position_.index() != 0) *request.mutable_min_position() = position_;
    auto response = connection_->Subscriptions(request);
    if (!response.ok()) {
      connection_.reset();
      return Annotate(response.status(), nodes_.current());
    }
    if (response->has_position()) position_ = response->position();
    nodes_.Answered();
    Learn();
    return response;
  }

  // How long to wait after an error: not while there are nodes to try.
  milliseconds PauseOf(Backoff* backoff) const {
    return nodes_.AllAsked() ? backoff->Next() : milliseconds(0);
  }

 private:
  void Learn() {
    const milliseconds now = clock_.Steady();
    if (now < next_learning_) return;
    next_learning_ = now + nodes_interval_;
    // It has just answered: whatever this says, it is not what hangs.
    (void)LearnNodes(connection_.get(), &nodes_);
    if (nodes_.ShouldGoHome()) connection_.reset();
  }

  const Clock& clock_;
  const milliseconds nodes_interval_;
  const Connector connector_;
  NodeList nodes_;
  std::unique_ptr<NodeConnection> connection_;
  milliseconds next_learning_{0};
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
