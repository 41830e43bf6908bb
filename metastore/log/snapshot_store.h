// Snapshots in the data directory, by the position that they hold.
//
// It keeps containers (common/snapshot_container.h) without looking at their
// rows. A snapshot streams in piece by piece, becomes visible all at once with
// its manifest, and is read piece by piece; what an interrupted save left is
// removed at start. The newest few are kept.
//
//   Save / Receive --pieces--> [ snapshot CF ] --manifest, synced--> visible
//                                   |                                  |
//                       removed at start if alone             oldest deleted
//
// Thread-safe: one save at a time, the others wait; reads do not.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/snapshot_container.h"
#include "metastore/store/store.h"

namespace kafed::metastore {

struct StoredSnapshot {
  SnapshotPosition position;
  SnapshotKind kind = SnapshotKind::kImage;
  SnapshotSummary summary;
  uint32_t pieces = 0;
  milliseconds written_at{0};  // wall clock
};

struct SnapshotStoreOptions {
  size_t keep = 2;  // newest snapshots kept; at least 1
};

// Adds the rows, between the writer's Begin and Finish.
using SnapshotFill = std::function<absl::Status(SnapshotWriter&)>;

class SnapshotStore {
 public:
  // Removes what interrupted saves left. `store` and `clock` must outlive it.
  static absl::StatusOr<std::unique_ptr<SnapshotStore>> Open(
      Store* store, SnapshotStoreOptions options = {},
      const Clock& clock = RealClock());

  // Writes a new snapshot; durable when it returns ok. If there is one at this
  // position already, that one is returned and `fill` is not called. An error
  // of `fill` is passed on and nothing is kept. ResourceExhausted below the
  // free-space floor.
  absl::StatusOr<StoredSnapshot> Save(const SnapshotPosition& position,
                                      const SnapshotHeader& header,
                                      const SnapshotFill& fill);

  // The same from the bytes of a whole container, of a peer or a backup; kept
  // only if it is complete and undamaged.
  absl::StatusOr<StoredSnapshot> Receive(const SnapshotPosition& position,
                                         SnapshotSource source);

  // Newest first.
  std::vector<StoredSnapshot> List() const;
  std::optional<StoredSnapshot> Newest() const;
  // Snapshots that were left out because their manifest does not decode.
  size_t unreadable() const { return unreadable_; }

  // The snapshot's bytes, or a reader over them. NotFound, naming the newest
  // one, when there is none at `position`. Both go on working when the snapshot
  // is deleted meanwhile; the store must outlive them.
  absl::StatusOr<SnapshotSource> OpenBytes(
      const SnapshotPosition& position) const;
  absl::StatusOr<std::unique_ptr<SnapshotReader>> Open(
      const SnapshotPosition& position) const;

 private:
  SnapshotStore(Store* store, SnapshotStoreOptions options, const Clock& clock);
  absl::Status Load();
  std::optional<StoredSnapshot> Find(const SnapshotPosition& position) const;
  // Runs `produce` with a sink that stores pieces, then publishes.
  absl::StatusOr<StoredSnapshot> Write(
      const SnapshotPosition& position,
      const std::function<absl::StatusOr<StoredSnapshot>(SnapshotSink)>&
          produce);
  absl::Status Publish(const StoredSnapshot& snapshot);
  // Both REQUIRE save_mutex_.
  absl::Status DeleteOld();
  absl::Status DeleteUnwanted();

  Store& store_;
  const SnapshotStoreOptions options_;
  const Clock& clock_;
  std::mutex save_mutex_;                   // held for a whole save
  std::vector<SnapshotPosition> unwanted_;  // still to be deleted
  mutable std::mutex mutex_;                // guards snapshots_
  std::vector<StoredSnapshot> snapshots_;   // oldest first
  size_t unreadable_ = 0;                   // set by Load
};

// The manifest's bytes; docs/internals/snapshot-format.md.
std::string EncodeManifest(const StoredSnapshot& snapshot);
absl::StatusOr<StoredSnapshot> DecodeManifest(const SnapshotPosition& position,
                                              std::string_view bytes);

}  // namespace kafed::metastore
