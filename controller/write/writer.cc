#include "controller/write/writer.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "common/uuid.h"
#include "controller/write/recovery.h"
#include "federation/image/entry_codec.h"

namespace kafed::controller {
namespace {

using federation::Draft;
using federation::Image;
using federation::Table;

// A client's clock may be off by this much (design, section 11).
constexpr uint64_t kClientClockSlackMs = 2 * 60 * 1000;
// A batch is full when its records pass this size.
constexpr size_t kGroupBytes = 192 * 1024;
// What commands may share: then an entry is below its limit even if it can't
// be compressed, and none is refused for the size of another.
constexpr size_t kSharedBytes = metastore::kMaxEntryBytes - 32 * 1024;
constexpr absl::Duration kRetryPause = absl::Milliseconds(20);

// `now_ms` is the entry's time, which answers are forgotten by; the client's
// clock is compared with the wall clock.
absl::Status CheckRequestId(const std::string& bytes, uint64_t now_ms,
                            uint64_t wall_ms) {
  ASSIGN_OR_RETURN(const RequestId id, ParseRequestId(bytes));
  const auto time_ms = static_cast<uint64_t>(TimeOf(id).count());
  if (time_ms + federation::kRequestWindowMs < now_ms) {
    return absl::FailedPreconditionError(
        "request_id: is older than the 10 minutes that answers are kept; its "
        "outcome is unknown: look before you retry with a new one");
  }
  const uint64_t latest_ms = std::max(now_ms, wall_ms);
  if (time_ms > latest_ms + kClientClockSlackMs) {
    return absl::InvalidArgumentError(
        "request_id: is " + std::to_string((time_ms - latest_ms) / 1000) +
        " s in the future; the client's clock may be off by 120 s at most");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSameRequest(uint64_t former, uint64_t fingerprint) {
  if (former == 0 || fingerprint == 0 || former == fingerprint) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "request_id: was used for another request before; a retry repeats the "
      "same request, anything else needs an id of its own");
}

bool Writer::Batch::Full() const {
  return closed || draft.bytes() >= kGroupBytes || commands.size() >= kMaxGroup;
}

Writer::Writer(metastore::SharedLog* log, Replica* replica, const Clock* clock,
               uint64_t node_id)
    : log_(*log),
      replica_(*replica),
      clock_(*clock),
      entry_clock_(clock),
      node_id_(node_id),
      tip_(*replica->image()),
      published_(tip_.head().index) {
  planner_ = std::thread([this] { PlanLoop(); });
  appender_ = std::thread([this] { AppendLoop(); });
}

Writer::~Writer() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  appender_.join();
  planner_.join();
  const absl::Status stopped =
      absl::UnavailableError("the node is shutting down");
  if (open_ != nullptr) Answer(*open_, stopped);
  for (Command& command : queue_) command.done(stopped);
}

void Writer::Submit(Command command) {
  absl::Status refusal;
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) {
      refusal = absl::UnavailableError("the node is shutting down");
    } else if (queue_.size() >= kMaxQueue) {
      refusal = absl::ResourceExhaustedError(
          "the node has " + std::to_string(kMaxQueue) +
          " changes waiting; try again later");
    } else {
      queue_.push_back(std::move(command));
      return;
    }
  }
  command.done(refusal);
}

absl::StatusOr<Committed> Writer::Run(Command command) {
  absl::Notification finished;
  absl::StatusOr<Committed> result;
  command.done = [&](absl::StatusOr<Committed> answer) {
    result = std::move(answer);
    finished.Notify();
  };
  Submit(std::move(command));
  finished.WaitForNotification();
  return result;
}

void Writer::PlanLoop() {
  const auto ready = [this] {
    mutex_.AssertReaderHeld();
    return stopping_ ||
           (!queue_.empty() && !stale_ && (open_ == nullptr || !open_->Full()));
  };
  absl::MutexLock lock(&mutex_);
  while (true) {
    mutex_.Await(absl::Condition(&ready));
    if (stopping_) return;
    if (open_ == nullptr) {
      open_ = std::make_unique<Batch>(tip_, NextHeader(tip_));
    }
    Batch* const batch = open_.get();
    Command command = std::move(queue_.front());
    queue_.pop_front();
    planning_ = true;
    mutex_.Unlock();
    batch->closed = !AddTo(batch, command);
    mutex_.Lock();
    planning_ = false;
    if (batch->closed) queue_.push_front(std::move(command));
  }
}

bool Writer::AddTo(Batch* batch, Command& command) const {
  const Draft::Checkpoint before = batch->draft.Mark();
  absl::StatusOr<std::string> answer = Plan(command, &batch->draft);
  const bool fits = batch->draft.bytes() <= kSharedBytes || before.records == 0;
  if (!answer.ok() || command.dry_run || !fits) batch->draft.Rollback(before);
  if (!fits) return false;
  batch->commands.push_back(std::move(command));
  batch->answers.push_back(std::move(answer));
  return true;
}

void Writer::AppendLoop() {
  // All that waits goes into one entry, as far as it has room.
  const auto ready = [this] {
    mutex_.AssertReaderHeld();
    return stopping_ || wanted_ > published_ ||
           (open_ != nullptr && !planning_ &&
            (queue_.empty() || open_->Full()));
  };
  while (true) {
    std::unique_ptr<Batch> batch;
    LogIndex wanted;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&ready));
      if (stopping_) return;
      wanted = wanted_;
      if (wanted_ <= published_) {
        batch = std::move(open_);
        if (!batch->draft.empty()) tip_ = batch->draft.image();
      }
    }
    if (batch != nullptr) {
      Commit(std::move(batch));
    } else if (CatchUp(wanted)) {
      PlanAnew({});
    }
  }
}

void Writer::FollowTo(LogIndex tail, milliseconds patience) {
  absl::MutexLock lock(&mutex_);
  wanted_ = std::max(wanted_, tail);
  const auto there = [this, tail] {
    mutex_.AssertReaderHeld();
    return stopping_ || published_ >= tail;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&there),
                          absl::Milliseconds(patience.count()));
}

v1::EntryHeader Writer::NextHeader(const Image& image) {
  v1::EntryHeader header;
  header.set_entry_id(std::string(AsBytes(RandomBytes16())));
  header.set_writer_node_id(node_id_);
  *header.mutable_position() = PositionOf(image);
  header.mutable_position()->set_index(image.head().index.value() + 1);
  header.set_feature_level(image.head().feature_level);
  header.set_predecessor_hash(image.head().header_hash);
  header.set_time_ms(entry_clock_.Next(image.head().time_ms));
  return header;
}

absl::StatusOr<std::string> Writer::Plan(const Command& command,
                                         Draft* draft) const {
  if (!command.request_id.empty()) {
    const auto former = draft->image().Get<federation::CompletedRequest>(
        Table::kRequests, command.request_id);
    if (former) {
      RETURN_IF_ERROR(
          CheckSameRequest(former->fingerprint, command.fingerprint));
      return former->response;
    }
    RETURN_IF_ERROR(
        CheckRequestId(command.request_id, draft->time_ms(),
                       static_cast<uint64_t>(clock_.Wall().count())));
  }
  if (command.abandoned && command.abandoned()) {
    return absl::CancelledError("the caller has given up; nothing was changed");
  }
  ASSIGN_OR_RETURN(std::string response, command.plan(draft));
  if (!command.request_id.empty() && !command.dry_run) {
    v1::Record record;
    record.mutable_request_completed()->set_request_id(command.request_id);
    record.mutable_request_completed()->set_response(response);
    record.mutable_request_completed()->set_fingerprint(command.fingerprint);
    draft->Add(std::move(record));
  }
  return response;
}

void Writer::Commit(std::unique_ptr<Batch> batch) {
  const absl::Status appended =
      batch->draft.empty() ? CheckAtTail(batch->base) : Append(batch->draft);
  if (absl::IsAborted(appended)) {
    // Nodes that write at once would else be in each other's way again.
    const auto most_us = uint64_t{1'000} << std::min(conflicts_, 5);
    if (conflicts_++ > 0) Pause(absl::Microseconds(RandomNumber64() % most_us));
    CatchUp();
    return PlanAnew(std::move(batch->commands));
  }
  conflicts_ = 0;
  if (!appended.ok()) {
    PlanAnew({});
  } else if (!batch->draft.empty()) {
    KAFED_FAILPOINT("writer.publish.before");
    replica_.Publish(batch->draft.image(), batch->draft.changes());
    KAFED_FAILPOINT("writer.publish.after");
    absl::MutexLock lock(&mutex_);
    published_ = batch->draft.position().index;
  }
  Answer(*batch, appended);
}

void Writer::Answer(const Batch& batch, const absl::Status& appended) {
  const Position position =
      batch.draft.empty() ? batch.base : batch.draft.position();
  for (size_t i = 0; i < batch.commands.size(); ++i) {
    KAFED_FAILPOINT("writer.reply");
    const auto& done = batch.commands[i].done;
    if (!appended.ok()) {
      done(appended);
    } else if (!batch.answers[i].ok()) {
      done(batch.answers[i].status());
    } else {
      done(Committed{*batch.answers[i], position});
    }
  }
}

void Writer::PlanAnew(std::deque<Command> first) {
  const auto still = [this] {
    mutex_.AssertReaderHeld();
    return !planning_;
  };
  absl::MutexLock lock(&mutex_);
  stale_ = true;  // the planning thread begins no other command
  mutex_.Await(absl::Condition(&still));
  if (open_ != nullptr) {
    std::move(open_->commands.begin(), open_->commands.end(),
              std::back_inserter(first));
    open_.reset();
  }
  queue_.insert(queue_.begin(), std::make_move_iterator(first.begin()),
                std::make_move_iterator(first.end()));
  tip_ = *replica_.image();
  published_ = tip_.head().index;
  stale_ = false;
}

absl::Status Writer::CheckAtTail(Position base) {
  const auto tail = log_.Tail();
  RETURN_IF_ERROR(tail.status());
  if (*tail == base.index) return absl::OkStatus();
  return absl::AbortedError("another node has appended");
}

absl::Status Writer::Append(const Draft& draft) {
  metastore::LogEntry entry;
  const std::string& id = draft.entry().header().entry_id();
  std::copy(id.begin(), id.end(), entry.id.begin());
  entry.payload = federation::EncodeEntry(draft.entry());
  const LogIndex index = draft.position().index;
  KAFED_FAILPOINT("writer.append.before");
  for (bool told = false;; told = true) {
    const metastore::AppendOutcome outcome = log_.AppendAt(index, entry);
    switch (outcome.result) {
      case metastore::AppendResult::kOk:
        return absl::OkStatus();
      case metastore::AppendResult::kConflict:
        return absl::AbortedError("another node appended first");
      case metastore::AppendResult::kSealed:
      case metastore::AppendResult::kRefused:
        return outcome.detail.ok()
                   ? absl::UnavailableError("the log takes no entries")
                   : outcome.detail;
      case metastore::AppendResult::kUnknown:
        break;
    }
    if (absl::IsOutOfRange(outcome.detail)) {
      // The index was trimmed meanwhile: this node is far behind the log.
      Fault("can't tell whether an entry stands", {{"why", outcome.detail}});
    }
    // Whether it stands is open: only the same append can tell.
    if (!told) {
      LogWarning("append with unknown outcome, retrying",
                 {{"index", index.value()}, {"why", outcome.detail}});
    }
    if (!Pause(kRetryPause)) {
      return absl::UnknownError(
          "the node shut down before the log said whether the change stands; "
          "look before you retry");
    }
  }
}

bool Writer::Pause(absl::Duration pause) {
  const auto stop = [this] {
    mutex_.AssertReaderHeld();
    return stopping_;
  };
  absl::MutexLock lock(&mutex_);
  return !mutex_.AwaitWithTimeout(absl::Condition(&stop), pause);
}

bool Writer::CatchUp(LogIndex known) {
  for (bool told = false;; told = true) {
    Image image = *replica_.image();
    std::vector<federation::ChangedRow> changes;
    const absl::Status replayed = known.valid()
                                      ? ReplayTo(&log_, known, &image, &changes)
                                      : Replay(&log_, &image, &changes);
    const bool unreachable =
        absl::IsUnavailable(replayed) || absl::IsDeadlineExceeded(replayed);
    if (absl::IsOutOfRange(replayed)) {
      Fault(
          "this node was away for longer than the log's history goes back; "
          "start it again: it takes a snapshot from a peer",
          {{"why", replayed}});
    }
    if (!replayed.ok() && !unreachable) {
      Fault("can't follow the log", {{"why", replayed}});
    }
    // What was read before the log could not be reached stands all the same.
    if (image.head().index > replica_.position().index) {
      replica_.Publish(std::move(image), std::move(changes));
    }
    if (replayed.ok()) return true;
    if (!told)
      LogWarning("the log can't be read, retrying", {{"why", replayed}});
    if (!Pause(kRetryPause)) return false;
  }
}

}  // namespace kafed::controller
