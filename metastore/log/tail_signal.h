// The last index of a loglet, and the threads that wait for it to grow.
//
// Shared by the loglets that live in this process. Waits follow the given
// Clock, looked at again at least every kLook, so that a fake clock works.
// Thread-safe.
#pragma once

#include <condition_variable>
#include <mutex>

#include "absl/status/status.h"
#include "common/clock.h"
#include "common/position.h"

namespace kafed::metastore {

class TailSignal {
 public:
  explicit TailSignal(const Clock& clock) : clock_(clock) {}

  LogIndex Get() const;
  // Moves the tail forward and wakes its waiters.
  void Advance(LogIndex tail);
  // Wakes every waiter: those for later indexes get FailedPrecondition.
  void MarkSealed();
  // As SharedLog::WaitFor.
  absl::Status WaitFor(LogIndex index, milliseconds deadline);

 private:
  static constexpr milliseconds kLook{50};

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  LogIndex tail_;
  bool sealed_ = false;
};

}  // namespace kafed::metastore
