// How a node of a cluster gets its image: from its own disk and the log, or,
// where the log's history does not go back that far, from a peer.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "federation/image/image.h"
#include "metastore/log/shared_log.h"
#include "metastore/log/snapshot_store.h"

namespace kafed::controller {

// The image at the log's tail. `peers` are addresses (HOST:PORT) of nodes that
// may have a snapshot, asked in random order; Unavailable, with what each said,
// where one is needed and none gives it. FailedPrecondition where this node
// has seen more than the log has.
absl::StatusOr<federation::Image> RecoverOrJoin(
    metastore::SharedLog* log, metastore::SnapshotStore* snapshots,
    const std::vector<std::string>& peers);

}  // namespace kafed::controller
