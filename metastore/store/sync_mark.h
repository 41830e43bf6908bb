// SyncMark: how far storage had come when it was last synced.
//
// RocksDB takes a damaged or cut write-ahead log for the end of an interrupted
// write and opens without what followed. The mark tells such an end from a
// loss: a number of RocksDB's that every synced write raises, kept in a small
// mapped file beside the database. It is written after the sync and never
// synced itself, so it may be behind after a power failure, but is never ahead
// of what must be there.
//
//   DIR/kafed.synced   8 bytes: number, little-endian; 8 bytes: their XXH3-64
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"

namespace kafed::metastore {

class SyncMark {
 public:
  // Maps the file, or makes it. Unavailable for errors of the file system.
  static absl::StatusOr<std::unique_ptr<SyncMark>> Open(
      const std::string& path);
  ~SyncMark();
  SyncMark(const SyncMark&) = delete;
  SyncMark& operator=(const SyncMark&) = delete;

  // The mark in a file; 0 if there is none, or none that is readable.
  static uint64_t Read(const std::string& path);

  uint64_t value() const;
  // Raises the mark; a lower number changes nothing.
  void Advance(uint64_t number);

 private:
  explicit SyncMark(char* bytes) : bytes_(bytes) {}

  mutable std::mutex mutex_;
  char* const bytes_;
};

}  // namespace kafed::metastore
