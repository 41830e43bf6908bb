// A loglet in memory: for tests and simulations; nothing survives it.
//
// The reference of the contract: short enough to be read as one. Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <vector>

#include "metastore/log/loglet.h"
#include "metastore/log/tail_signal.h"

namespace kafed::metastore {

struct MemoryLogletOptions {
  LogIndex first{1};
  uint64_t budget_bytes = 0;  // payloads kept at most; 0: no limit
};

class MemoryLoglet : public Loglet {
 public:
  // `clock` must outlive the loglet.
  explicit MemoryLoglet(MemoryLogletOptions options = {},
                        const Clock& clock = RealClock());

  LogIndex First() const override { return options_.first; }
  AppendOutcome AppendBatchAt(LogIndex first,
                              std::span<const LogEntry> entries) override;
  absl::StatusOr<std::vector<LogEntry>> Read(LogIndex from,
                                             size_t max_bytes) override;
  absl::StatusOr<TailState> CheckTail() override;
  absl::StatusOr<LogIndex> FirstKept() override;
  absl::StatusOr<uint64_t> SizeBytes() override;
  absl::Status WaitFor(LogIndex index, milliseconds deadline) override;
  absl::Status Trim(LogIndex before) override;
  absl::StatusOr<LogIndex> Seal() override;

 private:
  // All REQUIRE mutex_.
  LogIndex TailLocked() const;
  // The outcome of an append at an index that is taken already.
  AppendOutcome CompareLocked(LogIndex first,
                              std::span<const LogEntry> entries) const;

  const MemoryLogletOptions options_;
  TailSignal signal_;
  std::mutex mutex_;
  std::deque<LogEntry> entries_;  // first_kept_, first_kept_ + 1, ...
  LogIndex first_kept_;
  uint64_t bytes_ = 0;
  bool sealed_ = false;
};

}  // namespace kafed::metastore
