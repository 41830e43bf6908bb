// The column family `log`: entries by index, without gaps.
//
// It stores what it is told; what may be appended where is the loglet's
// business. One writer at a time (REQUIRES: the caller serializes Append and
// Trim); reads are free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "metastore/log/log_entry.h"
#include "metastore/store/log_value.h"

namespace kafed::metastore {

class Database;

// A value of the column family `meta` that is written in the same batch.
struct MetaWrite {
  std::string key;
  std::string value;
};

class LogTable {
 public:
  // Without entries: first is 0, last the index before that of the first
  // entry to come (0 unless BeginAt said otherwise).
  struct Bounds {
    LogIndex first;
    LogIndex last;
  };

  explicit LogTable(Database* database) : database_(*database) {}

  absl::StatusOr<Bounds> ReadBounds() const;

  // The log's first entry will be at `first`: for a log that goes on from a
  // snapshot. FailedPrecondition if there are entries.
  absl::Status BeginAt(LogIndex first);

  // Drops all entries; the next one will be at `first`, which is behind them:
  // for a copy of a log that has lost the thread.
  absl::Status BeginAnewAt(LogIndex first);

  // Writes the entries at first, first+1 ... and `also` in one synced batch.
  // `running_bytes` is the running total before `first`. An error leaves the
  // outcome open.
  absl::Status Append(LogIndex first, std::span<const LogEntry> entries,
                      uint64_t running_bytes,
                      std::span<const MetaWrite> also = {});

  // The entries from `from` to at most `last`, until their payloads pass
  // `max_bytes`, at least one. DataLoss for a gap or a wrong checksum.
  absl::StatusOr<std::vector<LogEntry>> Read(LogIndex from, LogIndex last,
                                             size_t max_bytes) const;

  // NotFound when there is none.
  absl::StatusOr<StoredEntry> Get(LogIndex index) const;

  // Drops the entries before `before`: whole files at once, the rest when
  // storage compacts. Durable when it returns ok.
  absl::Status Trim(LogIndex before);

  // Replaces the stored bytes of an entry; for tests of damaged data.
  absl::Status PutRawForTest(LogIndex index, std::string_view value);
  absl::StatusOr<std::string> GetRawForTest(LogIndex index) const;

 private:
  Database& database_;
};

}  // namespace kafed::metastore
