// The contract of the event log: the only truth of a kafed system.
//
// An entry is opaque here: an index, an id drawn by its writer, and bytes. What
// the bytes mean, and how they are compressed, is the business of the layers
// above. The log does not plan, apply, retry or elect anybody.
//
// Conditional append is the whole concurrency control. A writer plans against
// the state at index N-1 and appends at exactly N; whoever comes second gets
// kConflict with the tail, catches up and plans again:
//
//   writer A: AppendAt(8, a) ----> kOk        (tail 8)
//   writer B: AppendAt(8, b) ----> kConflict  (tail 8)  reads 8, plans again
//   writer B: AppendAt(9, b') ---> kOk        (tail 9)
//
// Invariants, of every implementation:
//  - Indexes are 1, 2, 3 ... without gaps; LogIndex(0) is before the first.
//  - What was acknowledged is durable, never changes and never moves.
//  - A batch is atomic: all of its entries stand, or none.
//  - An append is idempotent by entry id: the same ids at the same indexes are
//    kOk again, also when the log has been sealed meanwhile.
//
// Thread-safe. Calls block; a caller brings its own thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/position.h"
#include "metastore/log/log_entry.h"

namespace kafed::metastore {

enum class AppendResult {
  kOk,        // durable
  kConflict,  // the index is not the next one; `tail` says what is
  kUnknown,   // may or may not stand: retry the same append
  kSealed,    // this log takes no entries any more; not written
  kRefused,   // not written; retrying at once would not help: see detail
};

// "ok", "conflict", ...: for logs and messages.
const char* ToString(AppendResult result);

struct AppendOutcome {
  AppendResult result = AppendResult::kUnknown;
  // The last index of the log as far as known after the call; index 0 for a
  // kUnknown or kRefused that never reached the log.
  LogIndex tail;
  // Why, for everything but kOk. kRefused: InvalidArgument when the batch
  // itself is wrong, ResourceExhausted when space or budget is used up,
  // Unavailable while storage takes no writes.
  // kUnknown with OutOfRange: the index is trimmed, so that ids cannot be
  // compared any more; retrying will not help, start from a snapshot.
  absl::Status detail;

  bool ok() const { return result == AppendResult::kOk; }
};

class SharedLog {
 public:
  virtual ~SharedLog() = default;

  // Appends `entries` at first, first+1, ... as one atomic, durable step.
  // Their own index fields are not read.
  virtual AppendOutcome AppendBatchAt(LogIndex first,
                                      std::span<const LogEntry> entries) = 0;

  // The batch of one.
  AppendOutcome AppendAt(LogIndex index, const LogEntry& entry) {
    return AppendBatchAt(index, std::span(&entry, 1));
  }

  // The entries from `from` on, in order, until their payloads pass
  // `max_bytes`; at least one when there is one. Empty beyond the tail. May
  // return fewer than asked: an empty answer alone means "none yet".
  // OutOfRange, naming the first index kept, when `from` has been trimmed;
  // InvalidArgument for index 0; DataLoss, naming the index, for a stored entry
  // that does not pass its checksum.
  virtual absl::StatusOr<std::vector<LogEntry>> Read(LogIndex from,
                                                     size_t max_bytes) = 0;

  // The last index that stands, 0 when none. Linearizable: not below any
  // append that was acknowledged anywhere before the call.
  virtual absl::StatusOr<LogIndex> Tail() = 0;

  // The oldest index kept; one beyond the tail when the log is empty.
  virtual absl::StatusOr<LogIndex> FirstKept() = 0;

  // Payload bytes kept, before the storage's own compression.
  virtual absl::StatusOr<uint64_t> SizeBytes() = 0;

  // Blocks until the tail is at or after `index`. `deadline` is a time of the
  // Clock's Steady(). DeadlineExceeded when it passes first;
  // FailedPrecondition when the log was sealed before `index`.
  virtual absl::Status WaitFor(LogIndex index, milliseconds deadline) = 0;

  // Forgets the entries before `before`, except that the newest entry is
  // always kept. Trimming what is trimmed already is ok.
  virtual absl::Status Trim(LogIndex before) = 0;

  // Refuses every further append, for good; returns the final tail. Sealing
  // again is ok.
  virtual absl::StatusOr<LogIndex> Seal() = 0;
};

}  // namespace kafed::metastore
