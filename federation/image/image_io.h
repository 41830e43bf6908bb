// Images as streams of rows: what snapshots of a node hold.
#pragma once

#include "absl/status/statusor.h"
#include "common/snapshot_container.h"
#include "federation/image/image.h"

namespace kafed::federation {

// Version of the row encodings; docs/internals/snapshot-format.md.
inline constexpr uint32_t kRowVersion = 1;

SnapshotHeader HeaderOf(const Image& image);

// Adds every row; between the writer's Begin and Finish. Streams: the image
// does not change, whatever is written meanwhile.
absl::Status AddRows(const Image& image, SnapshotWriter* writer);

// Reads a whole container and compares its hashes. DataLoss if the rows are not
// those of the header; FailedPrecondition for a newer row version.
absl::StatusOr<Image> LoadImage(SnapshotReader* reader);

}  // namespace kafed::federation
