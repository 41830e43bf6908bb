#include "controller/peer/log_trimmer.h"

#include <algorithm>
#include <functional>

#include "common/log.h"
#include "federation/plan/planners.h"

namespace kafed::controller {
namespace {
constexpr milliseconds kInterval{2'000};
}  // namespace

uint64_t TrimBefore(const std::vector<TrimVote>& nodes) {
  if (nodes.empty()) return 0;
  std::vector<uint64_t> snapshots;
  snapshots.reserve(nodes.size());
  for (const TrimVote& node : nodes) snapshots.push_back(node.snapshot);
  std::sort(snapshots.begin(), snapshots.end(), std::greater<>());
  const size_t needed =
      nodes.size() == 1 ? 1 : std::max<size_t>(2, nodes.size() / 2 + 1);
  const uint64_t held = snapshots[needed - 1];
  if (held == 0) return 0;
  uint64_t before = held + 1;
  for (const TrimVote& node : nodes) {
    if (node.applied) before = std::min(before, *node.applied + 1);
  }
  return before;
}

LogTrimmer::LogTrimmer(metastore::SharedLog* log, const Replica* replica,
                       const metastore::SnapshotStore* snapshots,
                       const PeerWatch* peers, const OfficeHolder* office)
    : log_(*log),
      replica_(*replica),
      snapshots_(*snapshots),
      peers_(*peers),
      office_(*office) {
  thread_ = std::thread([this] { Loop(); });
}

LogTrimmer::~LogTrimmer() {
  signal_.Stop();
  thread_.join();
}

void LogTrimmer::Loop() {
  while (signal_.Sleep(kInterval)) {
    if (office_.in_office()) Trim();
  }
}

void LogTrimmer::Trim() {
  const auto newest = snapshots_.Newest();
  const auto image = replica_.image();
  std::vector<TrimVote> nodes{{newest ? newest->position.index.value() : 0,
                               image->head().index.value()}};
  const std::vector<PeerInfo> peers = peers_.List();
  for (const auto& [id, row] : federation::NodesOf(*image)) {
    const auto at = std::find_if(
        peers.begin(), peers.end(),
        [node = id](const PeerInfo& peer) { return peer.node_id == node; });
    if (id == peers_.self()) continue;
    TrimVote vote;
    if (at != peers.end()) {
      // What it said once stays true: it keeps the newest.
      vote.snapshot = at->state.snapshot().index();
      if (peers_.Fresh(*at)) vote.applied = at->state.position().index();
    }
    nodes.push_back(vote);
  }
  const uint64_t before = TrimBefore(nodes);
  if (before <= 1) return;
  const absl::Status trimmed = log_.Trim(LogIndex(before));
  if (!trimmed.ok()) {
    LogWarning("the log can't be trimmed, will be tried again",
               {{"why", trimmed}});
  }
}

}  // namespace kafed::controller
