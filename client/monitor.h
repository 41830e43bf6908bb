// Monitor: a mutex with conditions, visible to ThreadSanitizer.
//
// absl::Mutex of the distribution is not instrumented, so ThreadSanitizer sees
// none of its hand-overs; this one is made of the standard library's parts. A
// waiter is woken by every unlock and looks at its condition again.
#pragma once

#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "common/clock.h"

namespace kafed::client {

class ABSL_LOCKABLE Monitor {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    // Before the unlock: afterwards a waiter may have destroyed this.
    if (waiters_ > 0) changed_.notify_all();
    mutex_.unlock();
  }
  // For conditions, which run with the lock held.
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {}

  // REQUIRES: the lock. Waits until `condition()` or until `timeout` has
  // passed; the last answer of the condition. A timeout below 0 is 0.
  template <typename Condition>
  bool AwaitFor(milliseconds timeout, const Condition& condition) {
    std::unique_lock<std::mutex> lock(mutex_, std::adopt_lock);
    // Others may wait for what this one changed before.
    if (waiters_ > 0) changed_.notify_all();
    ++waiters_;
    const bool result = changed_.wait_for(lock, timeout, condition);
    --waiters_;
    lock.release();
    return result;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiters_ = 0;
};

class ABSL_SCOPED_LOCKABLE MonitorLock {
 public:
  explicit MonitorLock(Monitor* monitor) ABSL_EXCLUSIVE_LOCK_FUNCTION(monitor)
      : monitor_(*monitor) {
    monitor_.Lock();
  }
  ~MonitorLock() ABSL_UNLOCK_FUNCTION() { monitor_.Unlock(); }
  MonitorLock(const MonitorLock&) = delete;
  MonitorLock& operator=(const MonitorLock&) = delete;

 private:
  Monitor& monitor_;
};

}  // namespace kafed::client
