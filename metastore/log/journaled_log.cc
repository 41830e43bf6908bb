#include "metastore/log/journaled_log.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "metastore/log/loglet.h"

namespace kafed::metastore {
namespace {
constexpr size_t kBatchBytes = 4 << 20;
constexpr milliseconds kRetryPause{1'000};
}  // namespace

absl::StatusOr<std::unique_ptr<JournaledLog>> JournaledLog::Open(
    SharedLog* shared, Store* store) {
  std::unique_ptr<JournaledLog> log(new JournaledLog(shared, store));
  RETURN_IF_ERROR(log->Load());
  log->thread_ = std::thread([self = log.get()] { self->Loop(); });
  return log;
}

JournaledLog::~JournaledLog() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

absl::Status JournaledLog::Load() {
  ASSIGN_OR_RETURN(const LogTable::Bounds bounds, store_.log().ReadBounds());
  last_ = bounds.last;
  first_ = bounds.first.valid() ? bounds.first : Next(bounds.last);
  queued_ = offered_ = last_;
  if (!bounds.first.valid()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const StoredEntry newest, store_.log().Get(last_));
  running_bytes_ = newest.running_bytes;
  return CheckCopy(last_);
}

absl::Status JournaledLog::CheckCopy(LogIndex last) {
  ASSIGN_OR_RETURN(const LogIndex tail, shared_.Tail());
  if (tail < last) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the log ends at ", tail.value(), ", but this node's copy at ",
        last.value(),
        ": it is another cluster's log, or its quorum has lost entries that "
        "were acknowledged; to go on from this node's copy, see \"The quorum's "
        "data is lost\" in docs/operating/nodes.md"));
  }
  ASSIGN_OR_RETURN(const LogIndex kept, shared_.FirstKept());
  if (last < kept) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto there, shared_.Read(last, 1));
  ASSIGN_OR_RETURN(const StoredEntry here, store_.log().Get(last));
  if (there.empty() || there.front().id == here.entry.id) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "entry ", last.value(),
      " of this node's copy is not that of the log: the data directory belongs "
      "to another cluster; start with an empty one to join this cluster"));
}

AppendOutcome JournaledLog::AppendBatchAt(LogIndex first,
                                          std::span<const LogEntry> entries) {
  AppendOutcome outcome = shared_.AppendBatchAt(first, entries);
  if (outcome.ok()) Offer(first, entries);
  return outcome;
}

absl::StatusOr<std::vector<LogEntry>> JournaledLog::Read(LogIndex from,
                                                         size_t max_bytes) {
  LogIndex first;
  LogIndex last;
  {
    std::lock_guard lock(mutex_);
    first = first_;
    last = last_;
  }
  if (from >= first && from <= last && from.valid()) {
    auto entries = store_.log().Read(from, last, max_bytes);
    std::lock_guard lock(mutex_);
    if (entries.ok() || from >= first_) return entries;  // else trimmed since
  }
  ASSIGN_OR_RETURN(auto entries, shared_.Read(from, max_bytes));
  if (from > last) Offer(from, entries);
  return entries;
}

absl::StatusOr<LogIndex> JournaledLog::FirstKept() {
  const auto shared = shared_.FirstKept();
  std::lock_guard lock(mutex_);
  // While the servers are away, what can be read is the copy.
  if (absl::IsUnavailable(shared.status())) return first_;
  RETURN_IF_ERROR(shared.status());
  // A copy that ends before the shared log begins leaves a gap.
  return Next(last_) >= *shared ? std::min(*shared, first_) : *shared;
}

absl::Status JournaledLog::Trim(LogIndex before) {
  std::lock_guard writing(write_mutex_);
  LogIndex cut;
  {
    std::lock_guard lock(mutex_);
    cut = std::min(before, last_);
    if (cut <= first_) return absl::OkStatus();
    first_ = cut;  // readers go to the shared log for what is before
  }
  return store_.log().Trim(cut);
}

LogIndex JournaledLog::journaled() const {
  std::lock_guard lock(mutex_);
  return last_;
}

bool JournaledLog::WaitJournaled(LogIndex index, milliseconds patience) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return last_ >= index; });
}

void JournaledLog::Offer(LogIndex first, std::span<const LogEntry> entries) {
  std::lock_guard lock(mutex_);
  LogIndex index = first;
  for (const LogEntry& entry : entries) {
    // What does not follow is left for FillTo.
    const bool wanted = index > queued_ && queue_bytes_ < kMaxQueueBytes;
    if (wanted && (queue_.empty() || index == Next(queue_.back().index))) {
      queue_.push_back(entry);
      queue_.back().index = index;
      queue_bytes_ += entry.payload.size();
      taken_bytes_ += entry.payload.size();
      queued_ = index;
    }
    offered_ = std::max(offered_, index);
    index = Next(index);
  }
  changed_.notify_all();
}

void JournaledLog::Loop() {
  bool told = false;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || last_ < offered_; });
    if (last_ >= offered_) return;
    const LogIndex offered = offered_;
    std::vector<LogEntry> entries;
    size_t bytes = 0;
    while (!queue_.empty() && bytes < kBatchBytes) {
      bytes += queue_.front().payload.size();
      entries.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    queue_bytes_ -= bytes;
    lock.unlock();
    const absl::Status written = CatchUp(std::move(entries), offered);
    if (!written.ok() && !std::exchange(told, true)) {
      LogWarning("this node's copy of the log can't be written",
                 {{"why", written}});
    }
    if (written.ok() && std::exchange(told, false)) {
      LogInfo("this node's copy of the log is written again", {});
    }
    lock.lock();
    changed_.notify_all();
    if (written.ok()) continue;
    if (stopping_) return;
    // What was taken is read again from the shared log.
    queue_.clear();
    queue_bytes_ = 0;
    queued_ = last_;
    changed_.wait_for(lock, kRetryPause, [&] { return stopping_; });
  }
}

absl::Status JournaledLog::CatchUp(std::vector<LogEntry> entries,
                                   LogIndex offered) {
  std::lock_guard writing(write_mutex_);
  if (entries.empty()) return FillTo(Next(offered));
  const LogIndex first = entries.front().index;
  if (first > Next(journaled())) RETURN_IF_ERROR(FillTo(first));
  return Write(entries);
}

absl::Status JournaledLog::FillTo(LogIndex wanted) {
  for (LogIndex from = Next(journaled()); from < wanted;
       from = Next(journaled())) {
    auto read = shared_.Read(from, kBatchBytes);
    if (absl::IsOutOfRange(read.status())) return BeginAnewAt(wanted);
    RETURN_IF_ERROR(read.status());
    while (!read->empty() && read->back().index >= wanted) read->pop_back();
    if (read->empty()) {
      return absl::DataLossError(
          absl::StrCat("log entry ", from.value(), " is missing"));
    }
    RETURN_IF_ERROR(Write(*read));
  }
  return absl::OkStatus();
}

absl::Status JournaledLog::BeginAnewAt(LogIndex first) {
  LogInfo("this node's copy of the log begins anew",
          {{"at", first.value()}, {"ended_at", journaled().value()}});
  {
    std::lock_guard lock(mutex_);
    first_ = first;  // readers go to the shared log
    last_ = LogIndex(first.value() - 1);
  }
  running_bytes_ = 0;
  return store_.log().BeginAnewAt(first);
}

absl::Status JournaledLog::Write(std::span<const LogEntry> entries) {
  const uint64_t bytes = PayloadBytes(entries);
  RETURN_IF_ERROR(store_.CheckFreeSpace(bytes));
  RETURN_IF_ERROR(
      store_.log().Append(entries.front().index, entries, running_bytes_));
  running_bytes_ += bytes;
  std::lock_guard lock(mutex_);
  last_ = entries.back().index;
  queued_ = std::max(queued_, last_);
  return absl::OkStatus();
}

}  // namespace kafed::metastore
