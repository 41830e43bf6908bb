#include "controller/peer/join.h"

#include <utility>

#include "common/log.h"
#include "common/status_macros.h"
#include "common/uuid.h"
#include "controller/peer/peer_client.h"
#include "controller/write/recovery.h"

namespace kafed::controller {
namespace {

// A peer's snapshot may be trimmed behind while it is being fetched.
constexpr int kMaxFetches = 3;

absl::Status FetchFromAny(uint64_t min_index, std::vector<std::string> peers,
                          metastore::SnapshotStore* snapshots) {
  std::string said;
  while (!peers.empty()) {
    std::swap(peers[RandomNumber64() % peers.size()], peers.back());
    const std::string address = std::move(peers.back());
    peers.pop_back();
    const auto fetched =
        PeerClient(address).FetchSnapshot(min_index, snapshots);
    if (fetched.ok()) return absl::OkStatus();
    said += "; " + std::string(fetched.status().message());
  }
  return absl::UnavailableError(
      "the log's history does not go back to what this node has, and no peer "
      "gave a snapshot at " +
      std::to_string(min_index) +
      " or after (peers: addresses of other nodes)" + said);
}

}  // namespace

absl::StatusOr<federation::Image> RecoverOrJoin(
    metastore::SharedLog* log, metastore::SnapshotStore* snapshots,
    const std::vector<std::string>& peers) {
  for (int fetches = 0;; ++fetches) {
    auto image = Recover(log, snapshots);
    if (image.ok()) {
      ASSIGN_OR_RETURN(const LogIndex tail, log->Tail());
      if (image->head().index <= tail) return image;
      return absl::FailedPreconditionError(
          "the log ends at " + std::to_string(tail.value()) +
          ", but this node's snapshot is at " +
          std::to_string(image->head().index.value()) +
          ": it is another cluster's log, or its quorum has lost entries that "
          "were acknowledged; see \"The quorum's data is lost\" in "
          "docs/operating/nodes.md");
    }
    if (!absl::IsOutOfRange(image.status()) || fetches == kMaxFetches) {
      return image.status();
    }
    ASSIGN_OR_RETURN(const LogIndex kept, log->FirstKept());
    LogInfo("the log's history is trimmed, a peer's snapshot is needed",
            {{"first_kept", kept.value()}});
    RETURN_IF_ERROR(FetchFromAny(kept.value() - 1, peers, snapshots));
  }
}

}  // namespace kafed::controller
