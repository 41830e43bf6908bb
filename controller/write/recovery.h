// How a node gets its image back: newest snapshot, then the entries after it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "federation/image/editor.h"
#include "federation/image/image.h"
#include "federation/image/incarnation.h"
#include "metastore/log/shared_log.h"
#include "metastore/log/snapshot_store.h"

namespace kafed::controller {

// Applies the entries after the image's position, at least up to `tail`, which
// is known to stand: where the log is shared, asking for the tail is a write to
// its quorum. An entry that does not decode or apply is an error that names it:
// a fault.
absl::Status ReplayTo(metastore::SharedLog* log, LogIndex tail,
                      federation::Image* image,
                      std::vector<federation::ChangedRow>* changes);
// The same up to the tail that the log gives.
absl::Status Replay(metastore::SharedLog* log, federation::Image* image,
                    std::vector<federation::ChangedRow>* changes);

// The image at the tail. A snapshot that can't be read is left out with a
// warning, as the older one and the log may do.
absl::StatusOr<federation::Image> Recover(metastore::SharedLog* log,
                                          metastore::SnapshotStore* snapshots);

struct IncarnationBeginning {
  uint64_t incarnation = 1;
  uint64_t node_id = 0;  // who begins it
  uint64_t now_ms = 0;
  federation::NodeRow node;
  std::string_view reason = federation::kReasonNew;
};

// Appends the first entry of an incarnation, right behind the image, and
// applies it.
absl::Status BeginIncarnation(metastore::SharedLog* log,
                              const IncarnationBeginning& beginning,
                              federation::Image* image);

}  // namespace kafed::controller
