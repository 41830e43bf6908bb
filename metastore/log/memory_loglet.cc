#include "metastore/log/memory_loglet.h"

#include <algorithm>

#include "common/status_macros.h"

namespace kafed::metastore {

MemoryLoglet::MemoryLoglet(MemoryLogletOptions options, const Clock& clock)
    : options_(options), signal_(clock), first_kept_(options.first) {
  signal_.Advance(TailLocked());
}

LogIndex MemoryLoglet::TailLocked() const {
  return LogIndex(first_kept_.value() + entries_.size() - 1);
}

AppendOutcome MemoryLoglet::CompareLocked(
    LogIndex first, std::span<const LogEntry> entries) const {
  const LogIndex tail = TailLocked();
  if (first < options_.first) return ConflictOutcome(first, tail);
  if (first < first_kept_) {
    return UnknownOutcome(tail, TrimmedStatus(first, first_kept_));
  }
  const size_t offset = first.value() - first_kept_.value();
  if (offset + entries.size() > entries_.size()) {
    return ConflictOutcome(first, tail);
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries_[offset + i].id != entries[i].id) {
      return ConflictOutcome(first, tail);
    }
  }
  return OkOutcome(tail);
}

AppendOutcome MemoryLoglet::AppendBatchAt(LogIndex first,
                                          std::span<const LogEntry> entries) {
  if (absl::Status bad = CheckBatch(first, entries); !bad.ok()) {
    return RefusedOutcome(LogIndex(0), bad);
  }
  std::lock_guard lock(mutex_);
  const LogIndex tail = TailLocked();
  if (first <= tail) {
    AppendOutcome found = CompareLocked(first, entries);
    if (found.result != AppendResult::kConflict || !sealed_) return found;
  }
  if (sealed_) return SealedOutcome(tail);
  if (first != Next(tail)) return ConflictOutcome(first, tail);
  const uint64_t added = PayloadBytes(entries);
  if (options_.budget_bytes > 0 && bytes_ + added > options_.budget_bytes) {
    return RefusedOutcome(tail,
                          BudgetStatus(bytes_, added, options_.budget_bytes));
  }
  LogIndex next = first;
  for (const LogEntry& entry : entries) {
    entries_.push_back({next, entry.id, entry.payload});
    next = Next(next);
  }
  bytes_ += added;
  signal_.Advance(TailLocked());
  return OkOutcome(TailLocked());
}

absl::StatusOr<std::vector<LogEntry>> MemoryLoglet::Read(LogIndex from,
                                                         size_t max_bytes) {
  if (!from.valid()) return ReadFromZeroStatus();
  std::lock_guard lock(mutex_);
  if (from < first_kept_) return TrimmedStatus(from, first_kept_);
  std::vector<LogEntry> read;
  size_t bytes = 0;
  for (size_t i = from.value() - first_kept_.value(); i < entries_.size();
       ++i) {
    bytes += entries_[i].payload.size();
    if (!read.empty() && bytes > max_bytes) break;
    read.push_back(entries_[i]);
  }
  return read;
}

absl::StatusOr<TailState> MemoryLoglet::CheckTail() {
  std::lock_guard lock(mutex_);
  return TailState{TailLocked(), sealed_};
}

absl::StatusOr<LogIndex> MemoryLoglet::FirstKept() {
  std::lock_guard lock(mutex_);
  return first_kept_;
}

absl::StatusOr<uint64_t> MemoryLoglet::SizeBytes() {
  std::lock_guard lock(mutex_);
  return bytes_;
}

absl::Status MemoryLoglet::WaitFor(LogIndex index, milliseconds deadline) {
  return signal_.WaitFor(index, deadline);
}

absl::Status MemoryLoglet::Trim(LogIndex before) {
  std::lock_guard lock(mutex_);
  const LogIndex cut = std::min(before, TailLocked());
  while (first_kept_ < cut) {
    bytes_ -= entries_.front().payload.size();
    entries_.pop_front();
    first_kept_ = Next(first_kept_);
  }
  return absl::OkStatus();
}

absl::StatusOr<LogIndex> MemoryLoglet::Seal() {
  std::lock_guard lock(mutex_);
  sealed_ = true;
  signal_.MarkSealed();
  return TailLocked();
}

}  // namespace kafed::metastore
