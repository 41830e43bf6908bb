// Restore: a new data directory from a backup, as a new incarnation.
//
// The directory appears under its name only when it is complete: it is made
// beside its place and renamed. What a new incarnation changes is the business
// of the record IncarnationBegan (federation/image/apply_incarnation.cc). In a
// quorum, a restore that was interrupted leaves a log without nodes; the next
// one needs another path.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/position.h"
#include "controller/write/node_log.h"

namespace kafed::controller {

struct RestoreOptions {
  std::string from;       // an image, as `kafedctl snapshot save` writes it
  std::string directory;  // does not exist, or is empty
  // Counter of the new incarnation; 0: the backup's plus 1. Must be above that
  // of every incarnation that ever served, other restores included.
  uint64_t incarnation = 0;
  // Who keeps the log from now on, as for a node: "local", or a quorum with
  // nothing below the path yet. Other nodes then join with empty directories.
  std::string backend = "local";
  metastore::QuorumOptions quorum;
};

struct RestoreReport {
  Position backup;    // what the backup holds
  Position restored;  // where the new incarnation begins
  uint64_t hosts = 0;
  uint64_t topics = 0;
  uint64_t sub_clusters = 0;
  std::string node_id;  // of the new directory
};

// InvalidArgument, FailedPrecondition name the option and what would be right;
// DataLoss for a damaged backup. Nothing is left of a restore that failed.
absl::StatusOr<RestoreReport> Restore(const RestoreOptions& options,
                                      const Clock& clock = RealClock());

}  // namespace kafed::controller
