// Writer: the write path of a node. Plans, appends, publishes, answers.
//
// Group commit: while one entry is being appended, the commands that arrive
// are planned into the next one, on the image that the first will leave. Each
// command is planned on the draft that holds the ones before it; one that is
// refused is rolled back alone. No answer, not even a refusal, leaves before
// the entry it was planned on stands, because it may rest on the commands
// before it; and none from a state that another node has changed since.
//
//   Submit --> queue --> plan into the open batch --> AppendAt(N) --> publish
//                ^                                      |   |        and answer
//                +-- all that were planned on the image <   +-- unknown: retry
//                    it would have left: plan anew              the same entry
//                    (conflict: after catching up)
//
// What other nodes append is followed by the appending thread (FollowTo, see
// follower.h), so there is one publisher.
//
// A retry of a request that was carried out gets the first answer (request
// ids); one older than the window is refused, never carried out again.
//
// Thread-safe. Two threads of its own: one plans, one appends, publishes and
// answers.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "controller/write/entry_clock.h"
#include "controller/write/replica.h"
#include "federation/plan/draft.h"
#include "metastore/log/shared_log.h"

namespace kafed::controller {

// InvalidArgument if `former`, a request with the same id, was another one.
absl::Status CheckSameRequest(uint64_t former, uint64_t fingerprint);

// What a committed command answers.
struct Committed {
  std::string response;  // serialized, as the plan returned it
  Position position;
};

struct Command {
  // Plans on the draft and returns the serialized answer. Runs on the planning
  // thread, maybe several times; must not block.
  std::function<absl::StatusOr<std::string>(federation::Draft*)> plan;
  // UUIDv7, 16 bytes; empty: the command is idempotent by itself.
  std::string request_id;
  // Of the request that the id stands for; a former request with the id and
  // another fingerprint makes this one InvalidArgument. 0: not known.
  uint64_t fingerprint = 0;
  bool dry_run = false;
  // Whether the caller has given up: the command is then not planned, nor
  // planned anew. Empty: never. Else a caller who was refused by another node
  // meanwhile would find it carried out, however late. Asked as `plan` is run.
  std::function<bool()> abandoned;
  // Runs on the appending thread; must not wait for another command.
  std::function<void(absl::StatusOr<Committed>)> done;
};

class Writer {
 public:
  // All outlive the writer. `node_id` goes into entry headers.
  Writer(metastore::SharedLog* log, Replica* replica, const Clock* clock,
         uint64_t node_id);
  // Waits for the entry being appended; all other commands are answered
  // Unavailable.
  ~Writer();

  void Submit(Command command);

  // Submit and wait. Not from the writer's threads. `command.done` is not used.
  absl::StatusOr<Committed> Run(Command command);
  absl::StatusOr<Committed> Run(
      std::function<absl::StatusOr<std::string>(federation::Draft*)> plan) {
    return Run(Command{.plan = std::move(plan)});
  }

  // Brings the replica to `tail`, which another node appended; waits for it no
  // longer than `patience`.
  void FollowTo(LogIndex tail, milliseconds patience);

  // Largest number of commands planned into one entry.
  static constexpr size_t kMaxGroup = 1'000;
  // Commands waiting; beyond it new ones are refused with ResourceExhausted.
  static constexpr size_t kMaxQueue = 100'000;

 private:
  // An entry in the making and the commands whose answers rest on it.
  struct Batch {
    Batch(federation::Image image, v1::EntryHeader header)
        : base(image.position()), draft(std::move(image), std::move(header)) {}
    bool Full() const;
    const Position base;  // of the image it is planned on
    federation::Draft draft;
    std::deque<Command> commands;
    std::vector<absl::StatusOr<std::string>> answers;
    bool closed = false;  // the next command needs an entry of its own
  };

  void PlanLoop();
  void AppendLoop();
  // False if the entry would become too large: the command is for the next.
  bool AddTo(Batch* batch, Command& command) const;
  absl::StatusOr<std::string> Plan(const Command& command,
                                   federation::Draft* draft) const;
  v1::EntryHeader NextHeader(const federation::Image& image);
  // Answers, or gives back what must be planned anew.
  void Commit(std::unique_ptr<Batch> batch);
  static void Answer(const Batch& batch, const absl::Status& appended);
  // What is planned rests on an entry that will not stand.
  void PlanAnew(std::deque<Command> first);
  absl::Status Append(const federation::Draft& draft);
  // What was refused, or done before, was planned on the newest image; Aborted
  // if it was not.
  absl::Status CheckAtTail(Position base);
  // Applies and publishes what other nodes appended, up to `known`, which
  // stands, or without it to the tail, which costs the log a write where it is
  // shared. False if the writer stops while the log can't be read.
  bool CatchUp(LogIndex known = LogIndex(0));
  // Waits before the log is asked again; false when stopping.
  bool Pause(absl::Duration pause);

  metastore::SharedLog& log_;
  Replica& replica_;
  const Clock& clock_;
  EntryClock entry_clock_;  // of the planning thread
  int conflicts_ = 0;       // in a row; of the appending thread
  const uint64_t node_id_;

  absl::Mutex mutex_;
  std::deque<Command> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // The batch that commands are added to. While `planning_`, it belongs to the
  // planning thread.
  std::unique_ptr<Batch> open_ ABSL_GUARDED_BY(mutex_);
  bool planning_ ABSL_GUARDED_BY(mutex_) = false;
  // The appending thread waits to drop what is open.
  bool stale_ ABSL_GUARDED_BY(mutex_) = false;
  // What the next batch is planned on: published, or about to be.
  federation::Image tip_ ABSL_GUARDED_BY(mutex_);
  LogIndex published_ ABSL_GUARDED_BY(mutex_);
  LogIndex wanted_ ABSL_GUARDED_BY(mutex_);  // by FollowTo
  std::thread planner_;
  std::thread appender_;
};

}  // namespace kafed::controller
