// RocksDB as kafed uses it. Private to metastore/store: no other folder sees
// RocksDB's headers.
//
// Opens the database with its column families, forwards RocksDB's own log to
// common/log.h (RocksDB's default log file aborts the process on a full disk),
// follows its background errors, and translates its statuses. Thread-safe.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "metastore/store/sync_mark.h"
#include "metastore/store/write_hook.h"

namespace kafed::metastore {

// Codes: NotFound, DataLoss for corruption, ResourceExhausted for a full disk,
// Unavailable for other I/O errors, else Internal.
absl::Status Translate(const rocksdb::Status& status, std::string_view context);

// Big-endian numbers, so that keys sort as numbers do.
void PutBigEndian(uint64_t value, int bytes, std::string* out);
uint64_t GetBigEndian(std::string_view in, size_t offset, int bytes);

inline rocksdb::Slice ToSlice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}
inline std::string_view ToView(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

// Whether the database can take writes, as its listener was told.
class DatabaseHealth {
 public:
  absl::Status Get() const;
  void Set(absl::Status status);

 private:
  mutable std::mutex mutex_;
  absl::Status status_;
};

class Database {
 public:
  // In a data directory. DataLoss when storage ends before what was synced.
  // Read-only: nothing is written, and such an end is no error: see lost().
  static absl::StatusOr<std::unique_ptr<Database>> Open(
      const std::string& directory, WriteHook hook, bool read_only);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  rocksdb::DB& db() { return *db_; }
  rocksdb::ColumnFamilyHandle* log() { return log_; }
  rocksdb::ColumnFamilyHandle* snapshot() { return snapshot_; }
  rocksdb::ColumnFamilyHandle* meta() { return meta_; }

  // Durable when it returns ok. An error leaves the outcome open.
  absl::Status WriteSynced(rocksdb::WriteBatch* batch);
  // Ordered before every later write, durable with the next synced one.
  absl::Status WriteLater(rocksdb::WriteBatch* batch);

  // Writes that were synced and are not there: 0 for a sound database.
  uint64_t lost() const;
  // Reads every file and compares its checksums.
  absl::Status VerifyFiles();

  absl::Status Health() const { return health_->Get(); }

 private:
  Database(std::unique_ptr<rocksdb::DB> db,
           std::shared_ptr<DatabaseHealth> health, WriteHook hook);

  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::ColumnFamilyHandle* default_ = nullptr;
  rocksdb::ColumnFamilyHandle* log_ = nullptr;
  rocksdb::ColumnFamilyHandle* snapshot_ = nullptr;
  rocksdb::ColumnFamilyHandle* meta_ = nullptr;
  std::shared_ptr<DatabaseHealth> health_;
  const WriteHook hook_;
  std::unique_ptr<SyncMark> mark_;  // null when read-only
  uint64_t synced_at_open_ = 0;
  uint64_t last_at_open_ = 0;
};

}  // namespace kafed::metastore
