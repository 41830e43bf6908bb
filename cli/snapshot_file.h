// Reads a snapshot container from a file, checks every checksum and counts.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "cli/printer.h"
#include "common/snapshot_container.h"
#include "kafed/v1/types.pb.h"

namespace kafed::cli {

struct SnapshotContent {
  SnapshotKind kind = SnapshotKind::kImage;
  v1::Position position;
  uint64_t time_ms = 0;
  uint32_t feature_level = 0;  // images only
  SnapshotSummary summary;
  std::map<uint8_t, uint64_t> rows;  // by table
};

// NotFound where there is no file; else the container's errors.
absl::StatusOr<SnapshotContent> ReadSnapshotFile(const std::string& path);

// The name of a table in a snapshot of this kind; "table N" of a newer one.
std::string SnapshotTableName(SnapshotKind kind, uint8_t table);

void PrintSnapshot(const std::string& path, const SnapshotContent& content,
                   Printer* printer);

}  // namespace kafed::cli
