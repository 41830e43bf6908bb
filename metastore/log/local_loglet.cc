#include "metastore/log/local_loglet.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace kafed::metastore {

LocalLoglet::LocalLoglet(Store* store, LocalLogletOptions options,
                         const Clock& clock)
    : store_(*store),
      options_(std::move(options)),
      signal_(clock),
      first_kept_(options_.first.value()) {}

absl::StatusOr<std::unique_ptr<LocalLoglet>> LocalLoglet::Open(
    Store* store, LocalLogletOptions options, const Clock& clock) {
  if (!options.first.valid()) {
    return absl::InvalidArgumentError(
        "the first index of a loglet must be at least 1");
  }
  std::unique_ptr<LocalLoglet> loglet(
      new LocalLoglet(store, std::move(options), clock));
  RETURN_IF_ERROR(loglet->Load());
  return loglet;
}

std::string LocalLoglet::SealKey() const {
  return "loglet." + options_.name + ".sealed";
}

absl::Status LocalLoglet::Load() {
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const LogTable::Bounds bounds, store_.log().ReadBounds());
  ASSIGN_OR_RETURN(const auto seal, store_.GetMeta(SealKey()));
  if (Next(bounds.last) < options_.first) {
    return absl::FailedPreconditionError(absl::StrCat(
        "loglet '", options_.name, "' begins at ", options_.first.value(),
        ", but the log of this node ends at ", bounds.last.value()));
  }
  LogIndex tail = bounds.last;
  if (seal.has_value()) {
    uint64_t sealed_at = 0;
    if (!absl::SimpleAtoi(*seal, &sealed_at)) {
      return absl::DataLossError("the seal of loglet '" + options_.name +
                                 "' is unreadable");
    }
    if (tail < LogIndex(sealed_at)) {
      return absl::DataLossError(
          absl::StrCat("loglet '", options_.name, "' was sealed at ", sealed_at,
                       ", but the log of this node ends at ", tail.value()));
    }
    sealed_ = true;
    tail = LogIndex(sealed_at);
    signal_.MarkSealed();
  }
  signal_.Advance(std::max(tail, LogIndex(options_.first.value() - 1)));
  const LogIndex first = std::max(bounds.first, options_.first);
  if (tail < first || !bounds.first.valid()) {
    first_kept_ = Next(signal_.Get()).value();
    return absl::OkStatus();
  }
  first_kept_ = first.value();
  ASSIGN_OR_RETURN(const StoredEntry newest, store_.log().Get(tail));
  running_bytes_ = newest.running_bytes;
  ASSIGN_OR_RETURN(trimmed_bytes_, RunningBytesBefore(first));
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> LocalLoglet::RunningBytesBefore(LogIndex index) const {
  ASSIGN_OR_RETURN(const StoredEntry stored, store_.log().Get(index));
  return stored.running_bytes - stored.entry.payload.size();
}

absl::Status LocalLoglet::Write(LogIndex first,
                                std::span<const LogEntry> entries) {
  RETURN_IF_ERROR(store_.log().Append(first, entries, running_bytes_));
  running_bytes_ += PayloadBytes(entries);
  signal_.Advance(LogIndex(first.value() + entries.size() - 1));
  return absl::OkStatus();
}

absl::Status LocalLoglet::CompleteOpenBatch() {
  if (!open_batch_.has_value()) return absl::OkStatus();
  RETURN_IF_ERROR(Write(open_batch_->first, open_batch_->entries));
  open_batch_.reset();
  return absl::OkStatus();
}

bool LocalLoglet::IsOpenBatch(LogIndex first,
                              std::span<const LogEntry> entries) const {
  return open_batch_.has_value() && open_batch_->first == first &&
         std::equal(
             entries.begin(), entries.end(), open_batch_->entries.begin(),
             open_batch_->entries.end(),
             [](const LogEntry& a, const LogEntry& b) { return a.id == b.id; });
}

AppendOutcome LocalLoglet::Compare(LogIndex first,
                                   std::span<const LogEntry> entries) {
  const LogIndex tail = signal_.Get();
  const LogIndex first_kept(first_kept_);
  if (first < options_.first) return ConflictOutcome(first, tail);
  if (first < first_kept) {
    return UnknownOutcome(tail, TrimmedStatus(first, first_kept));
  }
  if (entries.size() > tail.value() - first.value() + 1) {
    return ConflictOutcome(first, tail);
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    const LogIndex index(first.value() + i);
    const auto stored = store_.log().Get(index);
    if (!stored.ok()) return UnknownOutcome(tail, stored.status());
    if (stored->entry.id != entries[i].id) return ConflictOutcome(first, tail);
  }
  return OkOutcome(tail);
}

absl::Status LocalLoglet::CheckRoom(uint64_t added_bytes) const {
  const uint64_t kept_bytes = running_bytes_ - trimmed_bytes_;
  if (options_.budget_bytes > 0 &&
      kept_bytes + added_bytes > options_.budget_bytes) {
    return BudgetStatus(kept_bytes, added_bytes, options_.budget_bytes);
  }
  RETURN_IF_ERROR(store_.Health());
  return store_.CheckFreeSpace(added_bytes);
}

AppendOutcome LocalLoglet::AppendBatchAt(LogIndex first,
                                         std::span<const LogEntry> entries) {
  if (absl::Status bad = CheckBatch(first, entries); !bad.ok()) {
    return RefusedOutcome(LogIndex(0), bad);
  }
  std::lock_guard lock(mutex_);
  const bool retried = IsOpenBatch(first, entries);
  if (absl::Status open = CompleteOpenBatch(); !open.ok()) {
    if (retried) return UnknownOutcome(signal_.Get(), open);
    return RefusedOutcome(
        signal_.Get(),
        absl::UnavailableError(absl::StrCat(
            "an earlier append is not settled yet: ", open.ToString())));
  }
  const LogIndex tail = signal_.Get();
  if (first <= tail) {
    AppendOutcome found = Compare(first, entries);
    if (found.result != AppendResult::kConflict || !sealed_) return found;
  }
  if (sealed_) return SealedOutcome(tail);
  if (first != Next(tail)) return ConflictOutcome(first, tail);
  if (absl::Status room = CheckRoom(PayloadBytes(entries)); !room.ok()) {
    return RefusedOutcome(tail, room);
  }
  if (absl::Status written = Write(first, entries); !written.ok()) {
    // A full disk: nothing of it stands, now or later.
    if (absl::IsResourceExhausted(written)) {
      return RefusedOutcome(tail, written);
    }
    open_batch_ = OpenBatch{first, {entries.begin(), entries.end()}};
    return UnknownOutcome(tail, written);
  }
  return OkOutcome(signal_.Get());
}

absl::StatusOr<std::vector<LogEntry>> LocalLoglet::Read(LogIndex from,
                                                        size_t max_bytes) {
  if (!from.valid()) return ReadFromZeroStatus();
  const LogIndex tail = signal_.Get();
  if (from < LogIndex(first_kept_)) {
    return TrimmedStatus(from, LogIndex(first_kept_));
  }
  if (from > tail) return std::vector<LogEntry>();
  auto entries = store_.log().Read(from, tail, max_bytes);
  // A trim may have come in between.
  if (!entries.ok() && from < LogIndex(first_kept_)) {
    return TrimmedStatus(from, LogIndex(first_kept_));
  }
  return entries;
}

absl::StatusOr<TailState> LocalLoglet::CheckTail() {
  std::lock_guard lock(mutex_);
  return TailState{signal_.Get(), sealed_};
}

absl::StatusOr<LogIndex> LocalLoglet::FirstKept() {
  return LogIndex(first_kept_);
}

absl::StatusOr<uint64_t> LocalLoglet::SizeBytes() {
  std::lock_guard lock(mutex_);
  return running_bytes_ - trimmed_bytes_;
}

absl::Status LocalLoglet::WaitFor(LogIndex index, milliseconds deadline) {
  return signal_.WaitFor(index, deadline);
}

absl::Status LocalLoglet::Trim(LogIndex before) {
  std::lock_guard lock(mutex_);
  const LogIndex cut = std::min(before, signal_.Get());
  if (cut <= LogIndex(first_kept_)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const uint64_t trimmed, RunningBytesBefore(cut));
  // Readers are turned away before anything goes; a trim that fails half way
  // is finished by the next one.
  const uint64_t previous = first_kept_.exchange(cut.value());
  if (absl::Status done = store_.log().Trim(cut); !done.ok()) {
    first_kept_ = previous;
    return done;
  }
  trimmed_bytes_ = trimmed;
  return absl::OkStatus();
}

absl::StatusOr<LogIndex> LocalLoglet::Seal() {
  std::lock_guard lock(mutex_);
  if (sealed_) return signal_.Get();
  RETURN_IF_ERROR(CompleteOpenBatch());
  const LogIndex tail = signal_.Get();
  RETURN_IF_ERROR(store_.PutMeta(SealKey(), std::to_string(tail.value())));
  sealed_ = true;
  signal_.MarkSealed();
  return tail;
}

}  // namespace kafed::metastore
