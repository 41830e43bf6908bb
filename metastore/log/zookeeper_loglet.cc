#include "metastore/log/zookeeper_loglet.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "metastore/store/log_value.h"

namespace kafed::metastore {
namespace {

using Step = ZooKeeperStep;

constexpr char kOpen[] = "open";
constexpr char kSealed[] = "sealed";
constexpr uint64_t kBucketEntries = 1'000;
constexpr size_t kDeletesAtOnce = 100;
constexpr size_t kMaxReadAtOnce = 128;
constexpr size_t kMaxAheadBytes = 4 << 20;
// How often the follower looks without having been woken, and when ZooKeeper
// does not answer.
constexpr milliseconds kLook{1'000};
constexpr milliseconds kRetry{200};
// Appends that met a gate or a bucket that had changed just then.
constexpr int kMaxTries = 5;

std::string EncodeTrimmed(LogIndex first_kept, LogIndex deleted_before) {
  return absl::StrCat(first_kept.value(), " ", deleted_before.value());
}

uint64_t BucketOf(LogIndex index) { return index.value() / kBucketEntries; }

// The greatest number among names; nullopt: there is none.
absl::StatusOr<std::optional<uint64_t>> Greatest(
    const std::vector<std::string>& names, const std::string& path) {
  std::optional<uint64_t> greatest;
  for (const std::string& name : names) {
    uint64_t number = 0;
    if (!absl::SimpleAtoi(name, &number)) {
      return absl::DataLossError(
          absl::StrCat(path, " has a node '", name, "' that is no number"));
    }
    greatest = std::max(greatest.value_or(0), number);
  }
  return greatest;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ZooKeeperLoglet>> ZooKeeperLoglet::Open(
    ZooKeeperSession* session, ZooKeeperLogletOptions options,
    const Clock& clock) {
  std::unique_ptr<ZooKeeperLoglet> loglet(
      new ZooKeeperLoglet(session, std::move(options), clock));
  RETURN_IF_ERROR(loglet->MakeNodes());
  {
    std::lock_guard lock(loglet->mutex_);
    RETURN_IF_ERROR(loglet->Refresh());
  }
  loglet->follower_ = std::thread([self = loglet.get()] { self->Follow(); });
  return loglet;
}

ZooKeeperLoglet::ZooKeeperLoglet(ZooKeeperSession* session,
                                 ZooKeeperLogletOptions options,
                                 const Clock& clock)
    : session_(*session),
      options_(std::move(options)),
      signal_(clock),
      first_kept_(options_.first.value()),
      tail_(options_.first.value() - 1) {
  signal_.Advance(tail_);
}

ZooKeeperLoglet::~ZooKeeperLoglet() {
  stopping_ = true;
  session_.Wake();
  if (follower_.joinable()) follower_.join();
}

std::string ZooKeeperLoglet::Child(const char* name) const {
  return absl::StrCat(options_.path, "/", name);
}

std::string ZooKeeperLoglet::BucketPath(LogIndex index) const {
  return absl::StrCat(options_.path, "/e/", BucketOf(index));
}

std::string ZooKeeperLoglet::EntryPath(LogIndex index) const {
  return absl::StrCat(BucketPath(index), "/", index.value());
}

absl::Status ZooKeeperLoglet::MakeNodes() {
  const std::string begins = absl::StrCat("v1 ", options_.first.value());
  // The folders above, one by one; then all of the loglet or nothing.
  RETURN_IF_ERROR(session_.CreateFolders(options_.path));
  const std::vector<Step> steps = {
      {Step::Kind::kCreate, options_.path, begins},
      {Step::Kind::kCreate, Child("gate"), kOpen},
      {Step::Kind::kCreate, Child("trimmed"),
       EncodeTrimmed(options_.first, options_.first)},
      {Step::Kind::kCreate, Child("probe"), ""},
      {Step::Kind::kCreate, Child("e"), ""},
  };
  absl::Status made = session_.Multi(steps).status;
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  ASSIGN_OR_RETURN(const ZooKeeperNode node, session_.Get(options_.path));
  if (node.data != begins) {
    return absl::FailedPreconditionError(
        absl::StrCat("ZooKeeper: ", options_.path, " has '", node.data,
                     "', expected '", begins, "': it is another log's"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ZooKeeperLoglet::Trimmed> ZooKeeperLoglet::ReadTrimmed() {
  ASSIGN_OR_RETURN(const ZooKeeperNode node, session_.Get(Child("trimmed")));
  const std::vector<std::string> words = absl::StrSplit(node.data, ' ');
  uint64_t first_kept = 0;
  uint64_t deleted_before = 0;
  if (words.size() != 2 || !absl::SimpleAtoi(words[0], &first_kept) ||
      !absl::SimpleAtoi(words[1], &deleted_before)) {
    return absl::DataLossError(absl::StrCat("ZooKeeper: ", Child("trimmed"),
                                            " has '", node.data,
                                            "', expected two numbers"));
  }
  first_kept_ = std::max(first_kept_.load(), first_kept);
  return Trimmed{LogIndex(first_kept), LogIndex(deleted_before), node.version};
}

void ZooKeeperLoglet::NoteTail(LogIndex tail, uint64_t running_bytes) {
  tail_ = tail;
  running_bytes_ = running_bytes;
  signal_.Advance(tail);
}

absl::Status ZooKeeperLoglet::Refresh() {
  ASSIGN_OR_RETURN(const ZooKeeperNode gate, session_.Get(Child("gate")));
  ASSIGN_OR_RETURN(const Trimmed trimmed, ReadTrimmed());
  const bool empty = tail_.value() + 1 == options_.first.value();
  if (empty || Next(tail_) < trimmed.first_kept) {
    RETURN_IF_ERROR(FindTail());
  }
  RETURN_IF_ERROR(WalkToTail());
  gate_version_ = gate.version;
  // The gate was read before the tail: nothing came behind it.
  if (gate.data == kSealed) {
    sealed_ = true;
    signal_.MarkSealed();
  }
  return absl::OkStatus();
}

absl::Status ZooKeeperLoglet::FindTail() {
  ASSIGN_OR_RETURN(const auto names, session_.Children(Child("e")));
  ASSIGN_OR_RETURN(auto bucket, Greatest(names, Child("e")));
  // A bucket is made before its first entry, so the last may be empty.
  while (bucket) {
    const LogIndex in_bucket(*bucket * kBucketEntries);
    const auto entries = session_.Children(BucketPath(in_bucket));
    if (absl::IsNotFound(entries.status())) break;  // trimmed just now
    RETURN_IF_ERROR(entries.status());
    ASSIGN_OR_RETURN(const auto last,
                     Greatest(*entries, BucketPath(in_bucket)));
    if (last) {
      const LogIndex index(*last);
      ASSIGN_OR_RETURN(const ZooKeeperNode node,
                       session_.Get(EntryPath(index)));
      ASSIGN_OR_RETURN(const StoredEntry stored,
                       DecodeLogValue(index, node.data));
      if (index > tail_) NoteTail(index, stored.running_bytes);
      break;
    }
    if (*bucket == 0) break;
    --*bucket;
  }
  return absl::OkStatus();
}

absl::Status ZooKeeperLoglet::WalkToTail() {
  size_t at_once = 1;
  while (true) {
    std::vector<std::string> paths;
    for (size_t i = 1; i <= at_once; ++i) {
      paths.push_back(EntryPath(LogIndex(tail_.value() + i)));
    }
    for (auto& bytes : session_.GetMany(paths)) {
      if (absl::IsNotFound(bytes.status())) return absl::OkStatus();
      RETURN_IF_ERROR(bytes.status());
      const LogIndex index = Next(tail_);
      ASSIGN_OR_RETURN(StoredEntry stored, DecodeLogValue(index, *bytes));
      {
        std::lock_guard lock(ahead_mutex_);
        if (ahead_bytes_ < kMaxAheadBytes) {
          ahead_bytes_ += stored.entry.payload.size();
          ahead_.emplace(index, std::move(stored.entry));
        }
      }
      NoteTail(index, stored.running_bytes);
    }
    at_once = std::min(2 * at_once, kMaxReadAtOnce);
  }
}

absl::StatusOr<TailState> ZooKeeperLoglet::CheckTail() {
  std::lock_guard lock(mutex_);
  // What was acknowledged anywhere stands before this write.
  RETURN_IF_ERROR(session_.Set(Child("probe"), "").status());
  RETURN_IF_ERROR(Refresh());
  return TailState{tail_, sealed_};
}

absl::StatusOr<uint64_t> ZooKeeperLoglet::KeptBytes() {
  ASSIGN_OR_RETURN(const Trimmed trimmed, ReadTrimmed());
  if (tail_ < trimmed.first_kept) return 0;
  ASSIGN_OR_RETURN(const ZooKeeperNode node,
                   session_.Get(EntryPath(trimmed.first_kept)));
  ASSIGN_OR_RETURN(const StoredEntry first,
                   DecodeLogValue(trimmed.first_kept, node.data));
  return running_bytes_ - first.running_bytes + first.entry.payload.size();
}

absl::Status ZooKeeperLoglet::CheckRoom(uint64_t added_bytes) {
  if (options_.budget_bytes == 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const uint64_t kept, KeptBytes());
  if (kept + added_bytes > options_.budget_bytes) {
    return BudgetStatus(kept, added_bytes, options_.budget_bytes);
  }
  return absl::OkStatus();
}

absl::Status ZooKeeperLoglet::EnsureBuckets(LogIndex first, LogIndex last) {
  for (uint64_t bucket = BucketOf(first); bucket <= BucketOf(last); ++bucket) {
    if (buckets_.contains(bucket)) continue;
    absl::Status made =
        session_.Create(BucketPath(LogIndex(bucket * kBucketEntries)), "");
    if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
    buckets_.insert(bucket);
  }
  while (buckets_.size() > 2) buckets_.erase(buckets_.begin());
  return absl::OkStatus();
}

AppendOutcome ZooKeeperLoglet::Compare(LogIndex first,
                                       std::span<const LogEntry> entries) {
  if (first < options_.first) return ConflictOutcome(first, tail_);
  if (first.value() < first_kept_) {
    return UnknownOutcome(tail_, TrimmedStatus(first, LogIndex(first_kept_)));
  }
  if (first.value() + entries.size() - 1 > tail_.value()) {
    return ConflictOutcome(first, tail_);
  }
  std::vector<std::string> paths;
  for (size_t i = 0; i < entries.size(); ++i) {
    paths.push_back(EntryPath(LogIndex(first.value() + i)));
  }
  const auto found = session_.GetMany(paths);
  for (size_t i = 0; i < entries.size(); ++i) {
    if (absl::IsNotFound(found[i].status()) && ReadTrimmed().ok() &&
        first.value() < first_kept_) {  // trimmed just now
      return UnknownOutcome(tail_, TrimmedStatus(first, LogIndex(first_kept_)));
    }
    if (!found[i].ok()) return UnknownOutcome(tail_, found[i].status());
    const auto stored = DecodeLogValue(LogIndex(first.value() + i), *found[i]);
    if (!stored.ok()) return UnknownOutcome(tail_, stored.status());
    if (stored->entry.id != entries[i].id) return ConflictOutcome(first, tail_);
  }
  return OkOutcome(tail_);
}

AppendOutcome ZooKeeperLoglet::AppendBatchAt(
    LogIndex first, std::span<const LogEntry> entries) {
  absl::Status bad = CheckBatch(first, entries);
  if (const uint64_t bytes = PayloadBytes(entries);
      bad.ok() && bytes > kMaxMultiBytes) {
    bad = absl::InvalidArgumentError(
        absl::StrCat("the batch of ", entries.size(), " entries at ",
                     first.value(), " has ", bytes,
                     " bytes, the limit of "
                     "ZooKeeper is ",
                     kMaxMultiBytes, ": append it in several batches"));
  }
  if (!bad.ok()) return RefusedOutcome(LogIndex(0), bad);
  std::lock_guard lock(mutex_);
  if (first > Next(tail_) && !sealed_) {
    if (absl::Status seen = Refresh(); !seen.ok()) {
      return UnknownOutcome(LogIndex(0), seen);
    }
  }
  AppendOutcome outcome;
  bool again = true;
  for (int tries = 0; again && tries < kMaxTries; ++tries) {
    outcome = TryAppend(first, entries, &again);
  }
  return outcome;
}

AppendOutcome ZooKeeperLoglet::TryAppend(LogIndex first,
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
    return RefusedOutcome(tail_, room);
  }
  const LogIndex last(first.value() + entries.size() - 1);
  if (absl::Status made = EnsureBuckets(first, last); !made.ok()) {
    return RefusedOutcome(tail_, made);
  }
  std::vector<Step> steps;
  steps.push_back({Step::Kind::kCheck, Child("gate"), "", gate_version_});
  if (first > options_.first) {
    steps.push_back({Step::Kind::kCheck, EntryPath(tail_), ""});
  }
  const size_t creates_at = steps.size();
  uint64_t running = running_bytes_;
  for (size_t i = 0; i < entries.size(); ++i) {
    const LogIndex index(first.value() + i);
    running += entries[i].payload.size();
    steps.push_back(
        {Step::Kind::kCreate, EntryPath(index),
         EncodeLogValue(index, entries[i].id, entries[i].payload, running)});
  }
  const ZooKeeperMulti done = session_.Multi(steps);
  if (done.status.ok()) {
    NoteTail(last, running);
    return OkOutcome(tail_);
  }
  if (absl::IsUnavailable(done.status)) {
    return UnknownOutcome(tail_, done.status);
  }
  const bool lost_race = absl::IsAborted(done.status) ||
                         absl::IsAlreadyExists(done.status) ||
                         absl::IsNotFound(done.status);
  if (!lost_race) return RefusedOutcome(tail_, done.status);
  if (done.failed_step >= creates_at && absl::IsNotFound(done.status)) {
    buckets_.clear();  // trimmed away by another node
  }
  if (absl::Status seen = Refresh(); !seen.ok()) {
    return UnknownOutcome(tail_, seen);
  }
  *again = true;
  return ConflictOutcome(first, tail_);
}

absl::StatusOr<std::vector<LogEntry>> ZooKeeperLoglet::Read(LogIndex from,
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
  for (size_t at_once = 1;; at_once = std::min(2 * at_once, kMaxReadAtOnce)) {
    std::vector<std::string> paths;
    for (size_t i = 0; i < at_once; ++i) {
      paths.push_back(EntryPath(LogIndex(next.value() + i)));
    }
    for (auto& found : session_.GetMany(paths)) {
      if (absl::IsNotFound(found.status())) {
        if (!read.empty() || next > signal_.Get()) return read;
        // It stood and is gone.
        RETURN_IF_ERROR(ReadTrimmed().status());
        if (next.value() < first_kept_) {
          return TrimmedStatus(next, LogIndex(first_kept_));
        }
        return read;
      }
      if (!found.ok()) {
        if (!read.empty()) return read;
        return found.status();
      }
      ASSIGN_OR_RETURN(StoredEntry stored, DecodeLogValue(next, *found));
      if (!add(std::move(stored.entry))) return read;
    }
  }
}

absl::StatusOr<LogIndex> ZooKeeperLoglet::FirstKept() {
  ASSIGN_OR_RETURN(const Trimmed trimmed, ReadTrimmed());
  return trimmed.first_kept;
}

absl::StatusOr<uint64_t> ZooKeeperLoglet::SizeBytes() {
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(Refresh());
  return KeptBytes();
}

absl::Status ZooKeeperLoglet::WaitFor(LogIndex index, milliseconds deadline) {
  return signal_.WaitFor(index, deadline);
}

absl::Status ZooKeeperLoglet::Trim(LogIndex before) {
  {
    std::lock_guard lock(mutex_);
    RETURN_IF_ERROR(Refresh());
    before = std::min(before, tail_);
  }
  while (true) {
    ASSIGN_OR_RETURN(const Trimmed old, ReadTrimmed());
    const LogIndex cut = std::max(before, old.first_kept);
    if (cut == old.deleted_before) return absl::OkStatus();
    // First said, then done: what is missing is known to be trimmed.
    const auto said = session_.Set(
        Child("trimmed"), EncodeTrimmed(cut, old.deleted_before), old.version);
    if (absl::IsAborted(said.status())) continue;  // another node trims
    RETURN_IF_ERROR(said.status());
    first_kept_ = std::max(first_kept_.load(), cut.value());
    RETURN_IF_ERROR(DeleteEntries(old.deleted_before, cut));
    const auto done =
        session_.Set(Child("trimmed"), EncodeTrimmed(cut, cut), *said);
    if (!absl::IsAborted(done.status())) return done.status();
  }
}

absl::Status ZooKeeperLoglet::DeleteEntries(LogIndex from, LogIndex before) {
  while (from < before) {
    std::vector<Step> steps;
    while (from < before && steps.size() < kDeletesAtOnce) {
      steps.push_back({Step::Kind::kDelete, EntryPath(from), ""});
      from = Next(from);
    }
    absl::Status deleted = session_.Multi(steps).status;
    if (deleted.ok()) continue;
    if (!absl::IsNotFound(deleted)) return deleted;
    // A trim that ended half way, or another node's.
    for (const Step& step : steps) {
      absl::Status one = session_.Delete(step.path);
      if (!one.ok() && !absl::IsNotFound(one)) return one;
    }
  }
  ASSIGN_OR_RETURN(const auto buckets, session_.Children(Child("e")));
  for (const std::string& name : buckets) {
    uint64_t bucket = 0;
    if (!absl::SimpleAtoi(name, &bucket) || bucket >= BucketOf(before)) {
      continue;
    }
    absl::Status one = session_.Delete(absl::StrCat(Child("e"), "/", name));
    if (!one.ok() && !absl::IsNotFound(one)) return one;
  }
  return absl::OkStatus();
}

absl::StatusOr<LogIndex> ZooKeeperLoglet::Seal() {
  std::lock_guard lock(mutex_);
  while (true) {
    ASSIGN_OR_RETURN(const ZooKeeperNode gate, session_.Get(Child("gate")));
    if (gate.data == kSealed) break;
    const auto sealed = session_.Set(Child("gate"), kSealed, gate.version);
    if (!absl::IsAborted(sealed.status())) RETURN_IF_ERROR(sealed.status());
  }
  RETURN_IF_ERROR(Refresh());
  return tail_;
}

absl::StatusOr<bool> ZooKeeperLoglet::Look() {
  // The watches first: what comes behind them wakes.
  ASSIGN_OR_RETURN(const ZooKeeperNode gate, session_.Get(Child("gate"), true));
  ASSIGN_OR_RETURN(const bool more,
                   session_.Exists(EntryPath(Next(signal_.Get())), true));
  return more || gate.data == kSealed;
}

void ZooKeeperLoglet::Follow() {
  bool sealed = false;
  bool idle = false;  // nothing woke the thread
  while (!stopping_ && !sealed) {
    const uint64_t seen = session_.changes();
    const absl::StatusOr<bool> more = Look();
    absl::Status looked = more.status();
    // When idle also for what was trimmed beyond the entry that is watched.
    if (looked.ok() && (*more || idle)) {
      std::lock_guard lock(mutex_);
      looked = Refresh();
      sealed = sealed_;
    }
    if (looked.ok() && *more) continue;
    if (!looked.ok() && !absl::IsUnavailable(looked)) {
      LogWarning("can't follow the log in ZooKeeper",
                 {{"path", options_.path}, {"why", looked}});
    }
    const uint64_t known = looked.ok() ? seen : session_.changes();
    session_.WaitForChange(known, looked.ok() ? kLook : kRetry);
    idle = session_.changes() == known;
  }
}

}  // namespace kafed::metastore
