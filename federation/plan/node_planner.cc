// The nodes of the metadata cluster: who there is, who does the background
// work, what all of them understand.
#include <algorithm>

#include "common/status_macros.h"
#include "federation/plan/planners.h"

namespace kafed::federation {
namespace {

std::string NodeKey(uint64_t node_id) { return KeyOf(node_id); }

struct UpgradeTarget {
  uint32_t level = kFeatureLevel;
  uint64_t held_back_by = 0;  // a node that supports no more
};

UpgradeTarget TargetOf(const Image& image) {
  UpgradeTarget target;
  image.table(Table::kNodes)
      .ForEach([&](std::string_view key, std::string_view value) {
        const auto row = DecodeRow<NodeRow>(value);
        if (row.feature_level >= target.level) return;
        target = {row.feature_level, ByteReader(key).Big64()};
      });
  return target;
}

}  // namespace

std::vector<std::pair<uint64_t, NodeRow>> NodesOf(const Image& image) {
  std::vector<std::pair<uint64_t, NodeRow>> nodes;
  image.table(Table::kNodes)
      .ForEach([&](std::string_view key, std::string_view value) {
        nodes.emplace_back(ByteReader(key).Big64(), DecodeRow<NodeRow>(value));
      });
  std::sort(nodes.begin(), nodes.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return nodes;
}

Office CoordinatorOf(const Image& image) {
  return image.GetOr<Office>(Table::kOffices, kCoordinatorOffice);
}

void PlanRegisterNode(uint64_t node_id, NodeRow row, Draft* draft) {
  if (draft->image().head().feature_level < kClusterLevel) row.region.clear();
  const auto former =
      draft->image().Get<NodeRow>(Table::kNodes, NodeKey(node_id));
  if (former && EncodeRow(*former) == EncodeRow(row)) return;
  v1::Record record;
  v1::NodeRegistered* node = record.mutable_node_registered();
  node->set_node_id(node_id);
  node->set_address(row.address);
  node->set_feature_level(row.feature_level);
  node->set_version(row.version);
  node->set_region(row.region);
  draft->Add(std::move(record));
}

absl::StatusOr<v1::MutationResponse> PlanRemoveNode(
    const v1::RemoveNodeRequest& request, Draft* draft) {
  const std::string id = std::to_string(request.node_id());
  if (draft->image().head().feature_level < kClusterLevel) {
    return absl::FailedPreconditionError(
        "node_id: nodes can be removed from feature level " +
        std::to_string(kClusterLevel) + " on; this cluster is at " +
        std::to_string(draft->image().head().feature_level) +
        ": finish the upgrade first (`kafedctl upgrade finish`)");
  }
  if (!draft->image().table(Table::kNodes).Find(NodeKey(request.node_id()))) {
    return absl::NotFoundError("node_id: there is no node " + id);
  }
  v1::Record record;
  record.mutable_node_removed()->set_node_id(request.node_id());
  draft->Add(std::move(record));
  return Answer(*draft, "node " + id + " removed");
}

void PlanElectCoordinator(uint64_t node_id, Draft* draft) {
  if (draft->image().head().feature_level < kClusterLevel) return;
  const Office former = CoordinatorOf(draft->image());
  if (former.epoch != 0 && former.node_id == node_id) return;
  v1::Record record;
  record.mutable_coordinator_elected()->set_node_id(node_id);
  record.mutable_coordinator_elected()->set_epoch(former.epoch + 1);
  draft->Add(std::move(record));
}

absl::StatusOr<v1::MutationResponse> PlanFinishUpgrade(
    const v1::FinishUpgradeRequest& /*request*/, Draft* draft) {
  const uint32_t present = draft->image().head().feature_level;
  const UpgradeTarget target = TargetOf(draft->image());
  if (target.level <= present) {
    if (present >= kFeatureLevel) {
      return Answer(*draft, "feature level " + std::to_string(present) +
                                " is the highest that this version supports; "
                                "nothing is to be done");
    }
    return absl::FailedPreconditionError(
        "feature level " + std::to_string(present) + " can't be raised: node " +
        std::to_string(target.held_back_by) +
        " supports no more; upgrade it, or remove it if it is gone "
        "(`kafedctl node remove`)");
  }
  v1::Record record;
  record.mutable_feature_level_raised()->set_level(target.level);
  draft->Add(std::move(record));
  return Answer(*draft, "feature level raised from " + std::to_string(present) +
                            " to " + std::to_string(target.level));
}

}  // namespace kafed::federation
