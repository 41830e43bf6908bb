// The loglet of one node: its own RocksDB, synced before acknowledging.
//
// The embedded default, and the reference for durability. A batch is one
// WriteBatch with one sync; batching the commands of many callers is the
// writer's business, since appends are conditional on their index anyway.
//
// A write that fails leaves its outcome open: the bytes may or may not come
// back after a restart. The loglet then holds on to that batch and completes it
// before anything else is appended, so that no other entry can take its place:
//
//   AppendAt(8, a) -> storage error       kUnknown, `a` is held
//   AppendAt(8, b) -> writes `a` again    kConflict, tail 8
//                     fails again         kRefused (Unavailable)
//   AppendAt(8, a) -> writes `a` again    kOk
//
// Thread-safe: one append at a time, reads do not wait for it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "metastore/log/loglet.h"
#include "metastore/log/tail_signal.h"
#include "metastore/store/store.h"

namespace kafed::metastore {

struct LocalLogletOptions {
  // Its name in the chain; keeps its seal apart from that of other loglets.
  std::string name = "local";
  LogIndex first{1};
  // Payload bytes kept at most; beyond it appends are refused rather than
  // history lost. 0: no limit.
  uint64_t budget_bytes = 0;
};

class LocalLoglet : public Loglet {
 public:
  // `store` and `clock` must outlive the loglet. FailedPrecondition when the
  // store's log does not reach up to options.first.
  static absl::StatusOr<std::unique_ptr<LocalLoglet>> Open(
      Store* store, LocalLogletOptions options = {},
      const Clock& clock = RealClock());

  LogIndex First() const override { return options_.first; }
  absl::StatusOr<TailState> CheckTail() override;
  AppendOutcome AppendBatchAt(LogIndex first,
                              std::span<const LogEntry> entries) override;
  absl::StatusOr<std::vector<LogEntry>> Read(LogIndex from,
                                             size_t max_bytes) override;
  absl::StatusOr<LogIndex> FirstKept() override;
  absl::StatusOr<uint64_t> SizeBytes() override;
  absl::Status WaitFor(LogIndex index, milliseconds deadline) override;
  absl::Status Trim(LogIndex before) override;
  absl::StatusOr<LogIndex> Seal() override;

 private:
  // A batch whose outcome is open.
  struct OpenBatch {
    LogIndex first;
    std::vector<LogEntry> entries;
  };

  LocalLoglet(Store* store, LocalLogletOptions options, const Clock& clock);
  absl::Status Load();
  std::string SealKey() const;

  // All REQUIRE mutex_.
  absl::Status Write(LogIndex first, std::span<const LogEntry> entries);
  absl::Status CompleteOpenBatch();
  bool IsOpenBatch(LogIndex first, std::span<const LogEntry> entries) const;
  // The outcome of an append at an index that is taken already.
  AppendOutcome Compare(LogIndex first, std::span<const LogEntry> entries);
  absl::Status CheckRoom(uint64_t added_bytes) const;
  absl::StatusOr<uint64_t> RunningBytesBefore(LogIndex index) const;

  Store& store_;
  const LocalLogletOptions options_;
  TailSignal signal_;  // its tail is what may be read
  std::atomic<uint64_t> first_kept_;

  std::mutex mutex_;  // one writer: appends, trims, seal
  bool sealed_ = false;
  std::optional<OpenBatch> open_batch_;
  // Running totals: up to the tail, and before the first entry kept.
  uint64_t running_bytes_ = 0;
  uint64_t trimmed_bytes_ = 0;
};

}  // namespace kafed::metastore
