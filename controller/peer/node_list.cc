#include "controller/peer/node_list.h"

#include <algorithm>

#include "controller/version.h"
#include "federation/plan/planners.h"

namespace kafed::controller {
namespace {

void FillThisNode(const RpcContext& context, const federation::Image& image,
                  v1::NodeStatus* node) {
  const milliseconds now = context.clock->Steady();
  node->set_reachable(true);
  node->set_version(kVersion);
  *node->mutable_position() = PositionOf(image);
  node->set_lag_ms(LagMs(context));
  node->set_uptime_ms(
      static_cast<uint64_t>((now - context.started_at).count()));
  node->set_health(context.health());
  node->set_followers(context.followers());
}

void FillPeer(const PeerInfo& peer, v1::NodeStatus* node) {
  node->set_reachable(true);
  node->set_version(peer.state.version());
  *node->mutable_position() = peer.state.position();
  node->set_lag_ms(peer.state.lag_ms());
  node->set_uptime_ms(peer.state.uptime_ms());
  node->set_health(peer.state.health());
  node->set_followers(peer.state.followers());
}

// `peer` is null where this node has not begun to ask it.
std::string ErrorOf(const PeerWatch* peers, const PeerInfo* peer) {
  if (peers == nullptr) return "this node has a log of its own";
  if (peer == nullptr) return kNotAskedYet;
  return peer->error.ok() ? "does not answer"
                          : std::string(peer->error.message());
}

}  // namespace

void ListNodes(const RpcContext& context, const PeerWatch* peers,
               v1::ListNodesResponse* response) {
  const auto image = context.replica->image();
  *response->mutable_position() = PositionOf(*image);
  response->set_feature_level(image->head().feature_level);
  const std::vector<PeerInfo> answers =
      peers != nullptr ? peers->List() : std::vector<PeerInfo>();
  const uint64_t in_office = peers != nullptr
                                 ? federation::CoordinatorOf(*image).node_id
                                 : context.node_id;
  uint64_t newest = image->head().index.value();
  for (const PeerInfo& peer : answers) {
    if (peers->Fresh(peer)) {
      newest = std::max(newest, peer.state.position().index());
    }
  }
  for (const auto& [id, row] : federation::NodesOf(*image)) {
    v1::NodeStatus* node = response->add_nodes();
    node->set_node_id(id);
    node->set_address(row.address);
    node->set_region(row.region);
    node->set_version(row.version);
    node->set_feature_level(row.feature_level);
    node->set_coordinator(id == in_office);
    const auto at = std::find_if(
        answers.begin(), answers.end(),
        [peer = id](const PeerInfo& each) { return each.node_id == peer; });
    if (id == context.node_id) {
      FillThisNode(context, *image, node);
    } else if (at != answers.end() && peers->Fresh(*at)) {
      FillPeer(*at, node);
    } else {
      node->set_error(ErrorOf(peers, at == answers.end() ? nullptr : &*at));
    }
    if (node->reachable()) {
      node->set_lag_entries(newest -
                            std::min(newest, node->position().index()));
    }
  }
}

}  // namespace kafed::controller
