// RocksDB as kafed uses it. Private to metastore/store: no other folder sees
// RocksDB's headers.
//
// Opens the database with its column families, forwards RocksDB's own log to
// common/log.h (RocksDB's default log file aborts the process on a full disk),
// has its background errors mended, and translates its statuses. Thread-safe.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "metastore/store/mender.h"
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

class Database {
 public:
  // Keeps the database open as it is while it lives, whatever must be mended.
  class Pin {
   public:
    explicit Pin(Database* database) : database_(database) {}
    ~Pin() {
      if (database_ != nullptr) database_->Unpin();
    }
    Pin(Pin&& other) noexcept
        : database_(std::exchange(other.database_, nullptr)) {}
    Pin& operator=(Pin&&) = delete;

   private:
    Database* database_;
  };

  // In a data directory. DataLoss when storage ends before what was synced.
  // Read-only: nothing is written, and such an end is no error: see lost().
  static absl::StatusOr<std::unique_ptr<Database>> Open(
      const std::string& directory, WriteHook hook, bool read_only);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // To be held by whoever uses what follows. Waits while it is mended, unless
  // the caller holds one already.
  Pin Use();
  rocksdb::DB& db() { return *files_.db; }
  rocksdb::ColumnFamilyHandle* log() { return files_.families[1]; }
  rocksdb::ColumnFamilyHandle* snapshot() { return files_.families[2]; }
  rocksdb::ColumnFamilyHandle* meta() { return files_.families[3]; }

  // Durable when it returns ok. ResourceExhausted: the disk is full, and
  // nothing of the batch stands, now or later. Other errors leave that open.
  absl::Status WriteSynced(rocksdb::WriteBatch* batch);
  // Ordered before every later write, durable with the next synced one.
  absl::Status WriteLater(rocksdb::WriteBatch* batch);

  // Writes that were synced and are not there: 0 for a sound database.
  uint64_t lost() const;
  // Reads every file and compares its checksums.
  absl::Status VerifyFiles();

  absl::Status Health() const { return mender_.Health(); }

 private:
  struct Files {
    std::unique_ptr<rocksdb::DB> db;
    std::vector<rocksdb::ColumnFamilyHandle*> families;
  };

  Database(const std::string& directory, WriteHook hook);
  absl::Status OpenFiles(bool read_only);
  void CloseFiles();
  void Unpin();
  // The mending: closes and opens anew. Only reads until that succeeds.
  absl::Status Reopen();
  absl::Status CheckRoom();
  // REQUIRES write_mutex_ and a pin.
  absl::Status WriteUnsynced(rocksdb::WriteBatch* batch);

  const std::string directory_;
  const std::string path_;
  const WriteHook hook_;
  Files files_;
  std::unique_ptr<SyncMark> mark_;  // null when read-only
  uint64_t synced_at_open_ = 0;
  uint64_t last_at_open_ = 0;
  // One write and its sync at a time: another's failure must not make a sync
  // fail that its own write did not need.
  std::mutex write_mutex_;

  std::mutex use_mutex_;
  std::condition_variable use_changed_;
  size_t pins_ = 0;
  bool closed_ = false;  // being mended; only while there are no pins

  Mender mender_;  // last: its thread uses the rest
};

}  // namespace kafed::metastore
