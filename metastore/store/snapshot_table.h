// The column family `snapshot`: the pieces of each snapshot, and its manifest.
//
// The bytes mean nothing here. The manifest is written last and synced, and is
// what makes a snapshot exist; docs/internals/snapshot-format.md has the keys.
// REQUIRES: one writer per snapshot at a time; reads are free.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/position.h"

namespace kafed::metastore {

class Database;

// Which state a snapshot holds: that after the entry at `index`.
struct SnapshotPosition {
  Incarnation incarnation;
  LogIndex index;
  friend bool operator==(const SnapshotPosition&,
                         const SnapshotPosition&) = default;
};

// The pieces of one snapshot, in order. It sees them as they were when it was
// made, also when the snapshot is deleted meanwhile. One thread at a time; must
// not outlive the Store.
class PieceCursor {
 public:
  virtual ~PieceCursor() = default;
  // Nothing after the last piece; DataLoss when one is missing in between.
  virtual absl::StatusOr<std::optional<std::string>> Next() = 0;
};

class SnapshotTable {
 public:
  using Manifest = std::pair<SnapshotPosition, std::string>;

  explicit SnapshotTable(Database* database) : database_(*database) {}

  // Durable with the manifest, not before.
  absl::Status PutPiece(const SnapshotPosition& position, uint32_t number,
                        std::string_view bytes);
  absl::Status PutManifest(const SnapshotPosition& position,
                           std::string_view manifest);

  // By counter, index, nonce: the oldest first.
  absl::StatusOr<std::vector<Manifest>> Manifests() const;
  // Every position that has a piece, with or without a manifest.
  absl::StatusOr<std::vector<SnapshotPosition>> PositionsWithPieces() const;

  std::unique_ptr<PieceCursor> OpenPieces(
      const SnapshotPosition& position) const;

  // The manifest first, so that a half deleted snapshot does not exist.
  absl::Status Delete(const SnapshotPosition& position);

 private:
  Database& database_;
};

}  // namespace kafed::metastore
