// ChangeCount: how often something has changed, for threads that wait for more.
//
// Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "common/clock.h"

namespace kafed::metastore {

class ChangeCount {
 public:
  uint64_t Get() const {
    std::lock_guard lock(mutex_);
    return count_;
  }
  void Raise() {
    {
      std::lock_guard lock(mutex_);
      ++count_;
    }
    changed_.notify_all();
  }
  // Until the count is above `seen` or the time is up.
  void WaitAbove(uint64_t seen, milliseconds timeout) const {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return count_ > seen; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  uint64_t count_ = 0;
};

}  // namespace kafed::metastore
