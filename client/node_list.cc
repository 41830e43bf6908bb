#include "client/node_list.h"

#include <algorithm>
#include <utility>

#include "common/position.h"
#include "common/uuid.h"

namespace kafed::client {
namespace {

Position PositionOf(const v1::Position& position) {
  return {position.incarnation(), LogIndex(position.index())};
}

}  // namespace

NodeList::NodeList(const std::vector<std::string>& configured,
                   std::string region, const Clock* clock)
    : region_(std::move(region)), clock_(*clock) {
  nodes_.reserve(configured.size());
  for (const std::string& address : configured) {
    if (!address.empty() && Find(address) == nullptr) {
      nodes_.push_back({address, true, false});
    }
  }
}

size_t NodeList::size() const {
  MonitorLock lock(&mutex_);
  return nodes_.size();
}

std::string NodeList::current() const {
  MonitorLock lock(&mutex_);
  return current_;
}

const NodeList::Node* NodeList::Find(const std::string& address) const {
  const auto at =
      std::find_if(nodes_.begin(), nodes_.end(),
                   [&](const Node& node) { return node.address == address; });
  return at == nodes_.end() ? nullptr : &*at;
}

std::vector<const NodeList::Node*> NodeList::Unasked() const {
  std::vector<const Node*> unasked;
  unasked.reserve(nodes_.size());
  for (const Node& node : nodes_) {
    if (!asked_.contains(node.address)) unasked.push_back(&node);
  }
  return unasked;
}

std::string NodeList::Next() {
  MonitorLock lock(&mutex_);
  std::vector<const Node*> best = Unasked();
  if (best.empty()) {
    asked_.clear();
    best = Unasked();
  }
  const auto away = std::partition(best.begin(), best.end(),
                                   [](const Node* node) { return node->home; });
  if (away != best.begin()) best.erase(away, best.end());
  current_ = best[RandomNumber64() % best.size()]->address;
  asked_.insert(current_);
  return current_;
}

bool NodeList::AllAsked() const {
  MonitorLock lock(&mutex_);
  return Unasked().empty();
}

void NodeList::Answered() {
  MonitorLock lock(&mutex_);
  asked_ = {current_};
}

void NodeList::Learn(const v1::NodesResponse& response) {
  MonitorLock lock(&mutex_);
  if (PositionOf(response.position()) < PositionOf(learnt_at_)) return;
  learnt_at_ = response.position();
  std::vector<Node> nodes;
  nodes.reserve(nodes_.size() + static_cast<size_t>(response.nodes_size()));
  for (Node& node : nodes_) {
    node.home = false;
    if (node.configured) nodes.push_back(std::move(node));
  }
  nodes_ = std::move(nodes);
  for (const v1::NodeAddress& each : response.nodes()) {
    if (each.address().empty()) continue;
    const bool home = !region_.empty() && each.region() == region_;
    const Node* known = Find(each.address());
    if (known == nullptr) {
      nodes_.push_back({each.address(), false, home});
    } else if (home) {
      nodes_[static_cast<size_t>(known - nodes_.data())].home = true;
    }
  }
}

bool NodeList::ShouldGoHome() {
  MonitorLock lock(&mutex_);
  const Node* present = Find(current_);
  if (present != nullptr && present->home) return false;
  if (std::none_of(nodes_.begin(), nodes_.end(),
                   [](const Node& node) { return node.home; })) {
    return false;
  }
  const milliseconds now = clock_.Steady();
  if (went_home_ && now - *went_home_ < kHomeInterval) return false;
  went_home_ = now;
  asked_ = {current_};
  return true;
}

}  // namespace kafed::client
