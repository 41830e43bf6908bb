// WakeSignal: lets a background thread sleep until it is needed.
//
// A wake that comes while the thread works is kept for its next sleep; several
// count as one. Thread-safe.
#pragma once

#include <algorithm>

#include "absl/synchronization/mutex.h"
#include "common/clock.h"

namespace kafed::controller {

class WakeSignal {
 public:
  void Wake() {
    absl::MutexLock lock(&mutex_);
    woken_ = true;
  }
  void Stop() {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  bool stopping() const {
    absl::MutexLock lock(&mutex_);
    return stopping_;
  }

  // Sleeps until woken or `time` has passed; false: the thread shall end.
  bool Sleep(milliseconds time) {
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(
        absl::Condition(this, &WakeSignal::Ready),
        absl::Milliseconds(std::max<int64_t>(time.count(), 0)));
    woken_ = false;
    return !stopping_;
  }

  // Sleeps for `time` even if woken; false: the thread shall end.
  bool Pause(milliseconds time) {
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_),
                            absl::Milliseconds(time.count()));
    return !stopping_;
  }

 private:
  bool Ready() const { return woken_ || stopping_; }

  mutable absl::Mutex mutex_;
  bool woken_ = false;
  bool stopping_ = false;
};

}  // namespace kafed::controller
