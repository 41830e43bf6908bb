// Writer: the write path of a node. Plans, appends, publishes, answers.
//
// Group commit: while one entry is being appended, the commands that arrive
// wait and are planned as the next entry. Each command is planned on the draft
// that holds the ones before it; one that is refused is rolled back alone. No
// answer, not even a refusal, leaves before the entry it was planned on stands,
// because it may rest on the commands before it.
//
//   Submit --> queue --> plan on a draft --> AppendAt(N) --> publish --> answer
//                ^                              | conflict: catch up, plan anew
//                +------------------------------+ unknown: retry the same entry
//
// A retry of a request that was carried out gets the first answer (request
// ids); one older than the window is refused, never carried out again.
//
// Thread-safe. One thread of its own does all planning and appending.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <utility>

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
  // Plans on the draft and returns the serialized answer. Runs on the writer's
  // thread, maybe several times; must not block.
  std::function<absl::StatusOr<std::string>(federation::Draft*)> plan;
  // UUIDv7, 16 bytes; empty: the command is idempotent by itself.
  std::string request_id;
  // Of the request that the id stands for; a former request with the id and
  // another fingerprint makes this one InvalidArgument. 0: not known.
  uint64_t fingerprint = 0;
  bool dry_run = false;
  std::function<void(absl::StatusOr<Committed>)> done;
};

class Writer {
 public:
  // All outlive the writer. `node_id` goes into entry headers.
  Writer(metastore::SharedLog* log, Replica* replica, const Clock* clock,
         uint64_t node_id);
  // Waits for the entry being appended; commands not yet planned are answered
  // Unavailable.
  ~Writer();

  void Submit(Command command);

  // Submit and wait. Not from the writer's thread. `command.done` is not used.
  absl::StatusOr<Committed> Run(Command command);
  absl::StatusOr<Committed> Run(
      std::function<absl::StatusOr<std::string>(federation::Draft*)> plan) {
    return Run(Command{.plan = std::move(plan)});
  }

  // Largest number of commands planned into one entry.
  static constexpr size_t kMaxGroup = 1'000;
  // Commands waiting; beyond it new ones are refused with ResourceExhausted.
  static constexpr size_t kMaxQueue = 100'000;

 private:
  struct Reply {
    std::function<void(absl::StatusOr<Committed>)> done;
    absl::StatusOr<std::string> answer;
  };
  void Loop();
  std::deque<Command> Take();
  // Plans, appends and answers; commands that must be planned again come back.
  void Commit(std::deque<Command> group);
  absl::StatusOr<std::string> Plan(const Command& command,
                                   federation::Draft* draft) const;
  v1::EntryHeader NextHeader(const federation::Image& image);
  absl::Status Append(const federation::Draft& draft);
  absl::Status CatchUp();

  metastore::SharedLog& log_;
  Replica& replica_;
  const Clock& clock_;
  EntryClock entry_clock_;  // of the thread
  const uint64_t node_id_;

  absl::Mutex mutex_;
  std::deque<Command> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace kafed::controller
