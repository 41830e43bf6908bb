#include "controller/write/writer.h"

#include <utility>
#include <vector>

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
// A group is closed when its records pass this size: compressed it stays well
// below the limit of an entry.
constexpr size_t kGroupBytes = 384 * 1024;
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

Writer::Writer(metastore::SharedLog* log, Replica* replica, const Clock* clock,
               uint64_t node_id)
    : log_(*log),
      replica_(*replica),
      clock_(*clock),
      entry_clock_(clock),
      node_id_(node_id) {
  thread_ = std::thread([this] { Loop(); });
}

Writer::~Writer() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
  for (Command& command : queue_) {
    command.done(absl::UnavailableError("the node is shutting down"));
  }
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

void Writer::Loop() {
  while (true) {
    std::deque<Command> group = Take();
    if (group.empty()) return;
    Commit(std::move(group));
  }
}

std::deque<Command> Writer::Take() {
  absl::MutexLock lock(&mutex_);
  const auto ready = [this] {
    mutex_.AssertReaderHeld();
    return stopping_ || !queue_.empty();
  };
  mutex_.Await(absl::Condition(&ready));
  std::deque<Command> group;
  if (stopping_) return group;
  while (!queue_.empty() && group.size() < kMaxGroup) {
    group.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return group;
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

void Writer::Commit(std::deque<Command> group) {
  while (!group.empty()) {
    const auto image = replica_.image();
    Draft draft(*image, NextHeader(*image));
    std::vector<Reply> replies;
    size_t planned = 0;
    for (; planned < group.size() &&
           (planned == 0 || draft.bytes() < kGroupBytes);
         ++planned) {
      const Command& command = group[planned];
      const Draft::Checkpoint before = draft.Mark();
      absl::StatusOr<std::string> answer = Plan(command, &draft);
      if (!answer.ok() || command.dry_run) draft.Rollback(before);
      replies.push_back({command.done, std::move(answer)});
    }
    absl::Status appended;
    if (!draft.empty()) appended = Append(draft);
    if (absl::IsAborted(appended)) {
      const absl::Status caught_up = CatchUp();
      if (!caught_up.ok()) Fault("can't follow the log", {{"why", caught_up}});
      continue;  // plan the same commands on the newer image
    }
    const Position position =
        draft.empty() ? image->position() : draft.position();
    if (appended.ok() && !draft.empty()) {
      KAFED_FAILPOINT("writer.publish.before");
      replica_.Publish(draft.image(), draft.changes());
      KAFED_FAILPOINT("writer.publish.after");
    }
    for (Reply& reply : replies) {
      KAFED_FAILPOINT("writer.reply");
      if (!appended.ok()) {
        reply.done(appended);
      } else if (!reply.answer.ok()) {
        reply.done(reply.answer.status());
      } else {
        reply.done(Committed{*std::move(reply.answer), position});
      }
    }
    group.erase(group.begin(), group.begin() + static_cast<long>(planned));
  }
}

absl::Status Writer::Append(const Draft& draft) {
  metastore::LogEntry entry;
  const std::string& id = draft.entry().header().entry_id();
  std::copy(id.begin(), id.end(), entry.id.begin());
  entry.payload = federation::EncodeEntry(draft.entry());
  const LogIndex index = draft.position().index;
  KAFED_FAILPOINT("writer.append.before");
  while (true) {
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
    LogWarning("append with unknown outcome, retrying",
               {{"index", index.value()}, {"why", outcome.detail}});
    absl::MutexLock lock(&mutex_);
    const auto stop = [this] {
      mutex_.AssertReaderHeld();
      return stopping_;
    };
    if (mutex_.AwaitWithTimeout(absl::Condition(&stop), kRetryPause)) {
      return absl::UnknownError(
          "the node shut down before the log said whether the change stands; "
          "look before you retry");
    }
  }
}

absl::Status Writer::CatchUp() {
  Image image = *replica_.image();
  std::vector<federation::ChangedRow> changes;
  RETURN_IF_ERROR(Replay(&log_, &image, &changes));
  replica_.Publish(std::move(image), std::move(changes));
  return absl::OkStatus();
}

}  // namespace kafed::controller
