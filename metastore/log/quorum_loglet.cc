#include "metastore/log/quorum_loglet.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace kafed::metastore {
namespace {

constexpr char kSealed[] = "sealed";
constexpr size_t kMaxReadAtOnce = 128;
// An answer of so many bytes is not followed by one for more entries.
constexpr size_t kLargeReadBytes = 1 << 20;
constexpr size_t kMaxAheadBytes = 4 << 20;
// How often the follower looks without having been woken, and when the servers
// do not answer.
constexpr milliseconds kLook{1'000};
constexpr milliseconds kRetry{200};
// Appends that met a gate or a predecessor that had changed just then.
constexpr int kMaxTries = 5;

std::string EncodeTrimmed(LogIndex first_kept, LogIndex deleted_before) {
  return absl::StrCat(first_kept.value(), " ", deleted_before.value());
}

// How many entries to ask for after an answer.
size_t NextCount(size_t count, const std::vector<StoredEntry>& answer) {
  size_t bytes = 0;
  for (const StoredEntry& stored : answer) bytes += stored.entry.payload.size();
  return bytes < kLargeReadBytes ? std::min(2 * count, kMaxReadAtOnce) : count;
}

}  // namespace

QuorumLoglet::QuorumLoglet(QuorumLogletOptions options, const Limits& limits,
                           const Clock& clock)
    : options_(std::move(options)),
      limits_(limits),
      signal_(clock),
      first_kept_(options_.first.value()),
      tail_(options_.first.value() - 1) {
  signal_.Advance(tail_);
}

absl::Status QuorumLoglet::Start() {
  {
    std::lock_guard lock(mutex_);
    RETURN_IF_ERROR(Refresh());
  }
  follower_ = std::thread([this] { Follow(); });
  return absl::OkStatus();
}

void QuorumLoglet::Stop() {
  stopping_ = true;
  Wake();
  if (follower_.joinable()) follower_.join();
}

std::string QuorumLoglet::Begins() const {
  return absl::StrCat("v1 ", options_.first.value());
}

std::string QuorumLoglet::NothingTrimmed() const {
  return EncodeTrimmed(options_.first, options_.first);
}

absl::Status QuorumLoglet::CheckBegins(std::string_view found) const {
  const std::string begins = Begins();
  if (found == begins) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      limits_.servers, ": ", options_.path, " has '", std::string(found),
      "', expected '", begins, "': it is another log's"));
}

absl::StatusOr<QuorumLoglet::Trimmed> QuorumLoglet::NoteTrimmed(
    const Value& value) {
  const std::vector<std::string> words = absl::StrSplit(value.data, ' ');
  uint64_t first_kept = 0;
  uint64_t deleted_before = 0;
  if (words.size() != 2 || !absl::SimpleAtoi(words[0], &first_kept) ||
      !absl::SimpleAtoi(words[1], &deleted_before)) {
    return absl::DataLossError(
        absl::StrCat(limits_.servers, ": ", options_.path, "/", kTrimmed,
                     " has '", value.data, "', expected two numbers"));
  }
  uint64_t known = first_kept_;
  while (known < first_kept &&
         !first_kept_.compare_exchange_weak(known, first_kept)) {
  }
  return Trimmed{LogIndex(first_kept), LogIndex(deleted_before), value.version};
}

absl::StatusOr<QuorumLoglet::Trimmed> QuorumLoglet::ReadTrimmed() {
  ASSIGN_OR_RETURN(const Value value, ReadValue(kTrimmed));
  return NoteTrimmed(value);
}

void QuorumLoglet::NoteTail(LogIndex tail, uint64_t running_bytes) {
  tail_ = tail;
  running_bytes_ = running_bytes;
  signal_.Advance(tail);
}

bool QuorumLoglet::NoteEntries(std::vector<StoredEntry> entries) {
  for (StoredEntry& stored : entries) {
    const LogIndex index = stored.entry.index;
    if (index <= tail_) continue;
    if (index != Next(tail_)) return false;
    {
      std::lock_guard lock(ahead_mutex_);
      if (ahead_bytes_ < kMaxAheadBytes) {
        ahead_bytes_ += stored.entry.payload.size();
        ahead_.emplace(index, std::move(stored.entry));
      }
    }
    NoteTail(index, stored.running_bytes);
  }
  return true;
}

bool QuorumLoglet::NoteNews(std::vector<StoredEntry> news) {
  std::lock_guard lock(mutex_);
  return NoteEntries(std::move(news));
}

absl::Status QuorumLoglet::Refresh() {
  ASSIGN_OR_RETURN(State state, ReadState(Next(tail_)));
  ASSIGN_OR_RETURN(const Trimmed trimmed, NoteTrimmed(state.trimmed));
  const bool empty = Next(tail_) == options_.first;
  if (empty || Next(tail_) < trimmed.first_kept) {
    // The entries behind the tail are many, or are gone.
    ASSIGN_OR_RETURN(const auto newest, ReadNewest());
    if (newest && newest->entry.index > tail_) {
      NoteTail(newest->entry.index, newest->running_bytes);
      state.more = true;
    }
  }
  NoteEntries(std::move(state.next));
  for (size_t count = 1; state.more;) {
    ASSIGN_OR_RETURN(auto entries, ReadEntries(Next(tail_), count));
    state.more = entries.size() == count;
    count = NextCount(count, entries);
    NoteEntries(std::move(entries));
  }
  gate_version_ = state.gate.version;
  // The gate was read before the tail: nothing came behind it.
  if (state.gate.data == kSealed) {
    sealed_ = true;
    signal_.MarkSealed();
  }
  return absl::OkStatus();
}

absl::StatusOr<TailState> QuorumLoglet::CheckTail() {
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(ProveQuorum());
  RETURN_IF_ERROR(Refresh());
  return TailState{tail_, sealed_};
}

absl::StatusOr<uint64_t> QuorumLoglet::KeptBytes() {
  ASSIGN_OR_RETURN(const Trimmed trimmed, ReadTrimmed());
  if (tail_ < trimmed.first_kept) return 0;
  ASSIGN_OR_RETURN(const auto first, ReadEntries(trimmed.first_kept, 1));
  if (first.empty()) {  // trimmed just now
    return absl::UnavailableError(
        absl::StrCat("entry ", trimmed.first_kept.value(),
                     " is being trimmed: ask for the size again"));
  }
  dropped_bytes_ = first[0].running_bytes - first[0].entry.payload.size();
  return running_bytes_ - dropped_bytes_;
}

absl::Status QuorumLoglet::CheckRoom(uint64_t added_bytes) {
  if (options_.budget_bytes == 0) return absl::OkStatus();
  // Others trim too, so there may be more room than is known, never less.
  const uint64_t known = running_bytes_ - dropped_bytes_;
  if (known + added_bytes <= options_.budget_bytes) return absl::OkStatus();
  ASSIGN_OR_RETURN(const uint64_t kept, KeptBytes());
  if (kept + added_bytes > options_.budget_bytes) {
    return BudgetStatus(kept, added_bytes, options_.budget_bytes);
  }
  return absl::OkStatus();
}

AppendOutcome QuorumLoglet::Compare(LogIndex first,
                                    std::span<const LogEntry> entries) {
  if (first < options_.first) return ConflictOutcome(first, tail_);
  if (first.value() < first_kept_) {
    return UnknownOutcome(tail_, TrimmedStatus(first, LogIndex(first_kept_)));
  }
  if (first.value() + entries.size() - 1 > tail_.value()) {
    return ConflictOutcome(first, tail_);
  }
  const auto found = ReadEntries(first, entries.size());
  if (!found.ok()) return UnknownOutcome(tail_, found.status());
  for (size_t i = 0; i < found->size(); ++i) {
    if ((*found)[i].entry.id != entries[i].id) {
      return ConflictOutcome(first, tail_);
    }
  }
  if (found->size() == entries.size()) return OkOutcome(tail_);
  // They stood and are gone.
  const auto trimmed = ReadTrimmed();
  if (!trimmed.ok()) return UnknownOutcome(tail_, trimmed.status());
  const LogIndex missing(first.value() + found->size());
  if (missing < trimmed->first_kept) {
    return UnknownOutcome(tail_, TrimmedStatus(first, trimmed->first_kept));
  }
  return UnknownOutcome(tail_, absl::DataLossError(absl::StrCat(
                                   "entry ", missing.value(), " is missing")));
}

absl::Status QuorumLoglet::CheckSize(LogIndex first,
                                     std::span<const LogEntry> entries) const {
  RETURN_IF_ERROR(CheckBatch(first, entries));
  const std::string batch = absl::StrCat("the batch of ", entries.size(),
                                         " entries at ", first.value());
  if (const uint64_t bytes = PayloadBytes(entries);
      bytes > limits_.batch_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        batch, " has ", bytes, " bytes, the limit of ", limits_.servers, " is ",
        limits_.batch_bytes, ": append it in several batches"));
  }
  if (entries.size() > limits_.batch_entries) {
    return absl::InvalidArgumentError(absl::StrCat(
        batch, " is too long, the limit of ", limits_.servers, " is ",
        limits_.batch_entries, " entries: append it in several batches"));
  }
  return absl::OkStatus();
}

AppendOutcome QuorumLoglet::AppendBatchAt(LogIndex first,
                                          std::span<const LogEntry> entries) {
  if (absl::Status bad = CheckSize(first, entries); !bad.ok()) {
    return RefusedOutcome(LogIndex(0), std::move(bad));
  }
  std::lock_guard lock(mutex_);
  if (first > Next(tail_) && !sealed_) {
    if (absl::Status seen = Refresh(); !seen.ok()) {
      return UnknownOutcome(LogIndex(0), std::move(seen));
    }
  }
  AppendOutcome outcome;
  bool again = true;
  for (int tries = 0; again && tries < kMaxTries; ++tries) {
    outcome = TryAppend(first, entries, &again);
  }
  return outcome;
}

AppendOutcome QuorumLoglet::TryAppend(LogIndex first,
                                      std::span<const LogEntry> entries,
                                      bool* again) {
  *again = false;
  if (first <= tail_) {
    AppendOutcome found = Compare(first, entries);
    if (found.result != AppendResult::kConflict || !sealed_) return found;
  }
  if (sealed_) return SealedOutcome(tail_);
  if (first != Next(tail_)) return ConflictOutcome(first, tail_);
  if (absl::Status room = CheckRoom(PayloadBytes(entries)); !room.ok()) {
    return RefusedOutcome(tail_, std::move(room));
  }
  std::vector<std::string> values;
  values.reserve(entries.size());
  uint64_t running = running_bytes_;
  for (size_t i = 0; i < entries.size(); ++i) {
    running += entries[i].payload.size();
    values.push_back(EncodeLogValue(LogIndex(first.value() + i), entries[i].id,
                                    entries[i].payload, running));
  }
  AppendOutcome outcome = Write(gate_version_, first, std::move(values));
  if (outcome.ok()) {
    NoteTail(LogIndex(first.value() + entries.size() - 1), running);
    return OkOutcome(tail_);
  }
  if (outcome.result != AppendResult::kConflict) {
    outcome.tail = tail_;
    return outcome;
  }
  if (absl::Status seen = Refresh(); !seen.ok()) {
    return UnknownOutcome(tail_, std::move(seen));
  }
  *again = true;
  return ConflictOutcome(first, tail_);
}

absl::StatusOr<std::vector<LogEntry>> QuorumLoglet::Read(LogIndex from,
                                                         size_t max_bytes) {
  if (!from.valid()) return ReadFromZeroStatus();
  if (from.value() < first_kept_) {
    return TrimmedStatus(from, LogIndex(first_kept_));
  }
  std::vector<LogEntry> read;
  size_t bytes = 0;
  LogIndex next = from;
  // Whether there is room for more.
  const auto add = [&](LogEntry entry) {
    bytes += entry.payload.size();
    if (!read.empty() && bytes > max_bytes) return false;
    read.push_back(std::move(entry));
    next = Next(next);
    return bytes < max_bytes;
  };
  {
    std::lock_guard lock(ahead_mutex_);
    while (!ahead_.empty() && ahead_.begin()->first < from) {
      ahead_bytes_ -= ahead_.begin()->second.payload.size();
      ahead_.erase(ahead_.begin());
    }
    for (auto at = ahead_.begin(); at != ahead_.end() && at->first == next;
         ++at) {
      if (!add(at->second)) return read;
    }
  }
  // What comes behind the tail that is known will be told of.
  if (!read.empty() && next > signal_.Get()) return read;
  bool more = true;
  for (size_t count = 1; more;) {
    auto found = ReadEntries(next, count);
    if (absl::IsUnavailable(found.status()) && !read.empty()) return read;
    RETURN_IF_ERROR(found.status());
    more = found->size() == count;
    count = NextCount(count, *found);
    for (StoredEntry& stored : *found) {
      if (!add(std::move(stored.entry))) return read;
    }
  }
  if (!read.empty() || next > signal_.Get()) return read;
  // It stood and is gone.
  RETURN_IF_ERROR(ReadTrimmed().status());
  if (next.value() < first_kept_) {
    return TrimmedStatus(next, LogIndex(first_kept_));
  }
  return read;
}

absl::StatusOr<LogIndex> QuorumLoglet::FirstKept() {
  ASSIGN_OR_RETURN(const Trimmed trimmed, ReadTrimmed());
  return trimmed.first_kept;
}

absl::StatusOr<uint64_t> QuorumLoglet::SizeBytes() {
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(Refresh());
  return KeptBytes();
}

absl::Status QuorumLoglet::WaitFor(LogIndex index, milliseconds deadline) {
  return signal_.WaitFor(index, deadline);
}

absl::Status QuorumLoglet::Trim(LogIndex before) {
  {
    std::lock_guard lock(mutex_);
    RETURN_IF_ERROR(Refresh());
    before = std::min(before, tail_);
  }
  while (true) {
    ASSIGN_OR_RETURN(const Trimmed old, ReadTrimmed());
    const LogIndex cut = std::max(before, old.first_kept);
    if (cut == old.deleted_before) return absl::OkStatus();
    // First said, then done.
    const std::string doing = EncodeTrimmed(cut, old.deleted_before);
    const auto said = SetValue(kTrimmed, doing, old.version);
    if (absl::IsAborted(said.status())) continue;  // another node trims
    RETURN_IF_ERROR(said.status());
    RETURN_IF_ERROR(NoteTrimmed({doing, *said}).status());
    RETURN_IF_ERROR(DeleteEntries(old.deleted_before, cut));
    const auto done = SetValue(kTrimmed, EncodeTrimmed(cut, cut), *said);
    if (!absl::IsAborted(done.status())) return done.status();
  }
}

absl::StatusOr<LogIndex> QuorumLoglet::Seal() {
  std::lock_guard lock(mutex_);
  while (true) {
    ASSIGN_OR_RETURN(const Value gate, ReadValue(kGate));
    if (gate.data == kSealed) break;
    const auto sealed = SetValue(kGate, kSealed, gate.version);
    if (!absl::IsAborted(sealed.status())) RETURN_IF_ERROR(sealed.status());
  }
  RETURN_IF_ERROR(Refresh());
  return tail_;
}

void QuorumLoglet::Follow() {
  bool sealed = false;
  bool idle = false;  // nothing woke the thread
  while (!stopping_ && !sealed) {
    const uint64_t seen = Changes();
    const LogIndex next = Next(signal_.Get());
    const absl::StatusOr<Seen> found = Look(next);
    absl::Status looked = found.status();
    const bool more = looked.ok() && *found != Seen::kNothing;
    // When idle also for what was trimmed beyond the entry that is watched.
    if (looked.ok() && (more || idle)) {
      std::lock_guard lock(mutex_);
      // An entry of this node's own was seen before its append was answered;
      // to learn what is known would keep the next append waiting.
      if (*found != Seen::kNext || tail_ < next) looked = Refresh();
      sealed = sealed_;
    }
    if (looked.ok() && more) continue;
    if (!looked.ok() && !absl::IsUnavailable(looked)) {
      LogWarning("can't follow the log", {{"servers", limits_.servers},
                                          {"path", options_.path},
                                          {"why", looked}});
    }
    const uint64_t known = looked.ok() ? seen : Changes();
    WaitForChange(known, looked.ok() ? kLook : kRetry);
    idle = !looked.ok() || Changes() == known;
  }
}

}  // namespace kafed::metastore
