// Snapshot containers in files.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "common/snapshot_container.h"

namespace kafed {

// The bytes of a file. NotFound with the reason when it can't be opened,
// InvalidArgument for a folder.
absl::StatusOr<SnapshotSource> OpenSnapshotFile(const std::string& path);

// Writes a container that appears under its name only when it is whole; `fill`
// adds the rows.
absl::StatusOr<SnapshotSummary> WriteSnapshotFile(
    const std::string& path, const SnapshotHeader& header,
    const std::function<absl::Status(SnapshotWriter&)>& fill);

}  // namespace kafed
