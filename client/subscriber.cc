#include "client/subscriber.h"

#include <utility>

#include "client/agent_subscriber.h"
#include "client/group_subscriber.h"

namespace kafed::client {

absl::StatusOr<std::unique_ptr<Subscriber>> Subscriber::Create(
    SubscriberOptions options, SubscriberHandlers handlers) {
  if (!handlers.on_message) {
    return absl::InvalidArgumentError("on_message: no handler is given");
  }
  const bool agent = !options.host.empty();
  if (agent == !options.resource_topic.empty()) {
    return absl::InvalidArgumentError(
        "host: set either host, or resource_topic and group");
  }
  if (agent) {
    if (options.nodes.empty() && options.state_dir.empty()) {
      return absl::InvalidArgumentError(
          "nodes: none given; expected HOST:PORT of at least one node, or a "
          "state_dir to start from");
    }
    return AgentSubscriber::Create(std::move(options), std::move(handlers));
  }
  if (options.group.empty() || options.nodes.empty()) {
    return absl::InvalidArgumentError(
        std::string(options.group.empty() ? "group" : "nodes") +
        ": is needed in group mode");
  }
  return GroupSubscriber::Create(std::move(options), std::move(handlers));
}

}  // namespace kafed::client
