// A node's data directory: the durable event log, snapshots, and small values.
//
// The only door to RocksDB: nothing outside this folder includes its headers.
// It decides nothing about the log's contents. Made once per process by the
// composition root, and outlives everything that uses it.
//
//   DIR/kafed.lock   one process at a time
//   DIR/kafed.synced how far storage was synced: sync_mark.h
//   DIR/kafed.format version of the format, in decimal: read before storage is
//                    opened. A version that changes the format raises it first.
//                    The family meta has it too, for who lost the file
//   DIR/db/          RocksDB: column families log, snapshot, meta
//
// Thread-safe, but see LogTable for writers of the log.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/position.h"
#include "metastore/store/log_table.h"
#include "metastore/store/snapshot_table.h"
#include "metastore/store/write_hook.h"

namespace kafed::metastore {

class Database;
class DirectoryLock;

inline constexpr uint64_t kDataFormatVersion = 1;
inline constexpr uint64_t kDefaultFreeSpaceFloorBytes = 256ull << 20;

struct StoreOptions {
  std::string directory;
  // Writes that would leave less than this free are refused, so that storage
  // itself hardly ever meets a full disk. 0: not looked at.
  uint64_t free_space_floor_bytes = kDefaultFreeSpaceFloorBytes;
  WriteHook write_hook;  // tests only
  // For verification: nothing is written or made, and storage that ends before
  // what was synced is opened as far as it goes.
  bool read_only = false;
};

class Store {
 public:
  // Opens or creates. FailedPrecondition when another process has the
  // directory or a newer kafed wrote it; DataLoss when it is damaged;
  // Unavailable for errors of the file system.
  static absl::StatusOr<std::unique_ptr<Store>> Open(StoreOptions options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // 32 hex digits, drawn when the directory was created.
  const std::string& node_id() const { return node_id_; }
  const std::string& directory() const { return options_.directory; }
  bool read_only() const { return options_.read_only; }

  // Synced writes that are not there any more; only a read-only store opens
  // with more than 0.
  uint64_t lost_writes() const;
  // Reads every file of storage and compares its checksums; DataLoss.
  absl::Status VerifyFiles();

  // Ok, or why storage takes no writes at present.
  absl::Status Health() const;
  absl::StatusOr<uint64_t> FreeBytes() const;
  // ResourceExhausted, naming what is free and what is needed, when writing
  // `bytes` would go below the floor, if there is one.
  absl::Status CheckFreeSpace(uint64_t bytes) const;

  LogTable& log() { return log_; }
  SnapshotTable& snapshots() { return snapshots_; }

  // Small values; a Put is durable when it returns ok.
  absl::StatusOr<std::optional<std::string>> GetMeta(
      std::string_view key) const;
  absl::Status PutMeta(std::string_view key, std::string_view value);

  // The position up to which the local log has taken over the log of the
  // metadata cluster. AppliedWrite goes into LogTable::Append together with
  // the entries that it covers, so that both stand or none.
  static MetaWrite AppliedWrite(Position applied);
  absl::StatusOr<std::optional<Position>> Applied() const;

 private:
  Store(StoreOptions options, std::unique_ptr<DirectoryLock> lock,
        std::unique_ptr<Database> database);
  absl::Status CheckFormat();
  absl::Status LoadNodeId();

  const StoreOptions options_;
  std::unique_ptr<DirectoryLock> lock_;  // released last
  std::unique_ptr<Database> database_;
  LogTable log_;
  SnapshotTable snapshots_;
  std::string node_id_;
};

}  // namespace kafed::metastore
