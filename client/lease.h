// LeaseKeeper: until when the routes of a session may be used.
//
// A node answers a lease request with a duration; it counts from when the
// request was *sent*, on the clock that runs during suspend, so the client's
// end is never later than the node's. Thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>

#include "client/monitor.h"
#include "common/clock.h"

namespace kafed::client {

// On Clock::Steady; zero: never granted.
struct LeaseState {
  milliseconds session_until{0};
  // For multicast topics, whose fences must be short.
  milliseconds multicast_until{0};
};

class LeaseKeeper {
 public:
  static constexpr milliseconds kLeastInterval{100};

  explicit LeaseKeeper(const Clock* clock) : clock_(*clock) {}

  // A request is about to be sent: its id, from 1.
  uint64_t Sent() {
    MonitorLock lock(&mutex_);
    sent_[++last_] = clock_.Steady();
    return last_;
  }

  // The node granted request `id`. An id that was never sent grants nothing.
  void Granted(uint64_t id, milliseconds session, milliseconds multicast) {
    MonitorLock lock(&mutex_);
    const auto at = sent_.find(id);
    if (at == sent_.end()) return;
    state_ = {at->second + session, at->second + multicast};
    // A node that proved long ago that it is current grants what is left.
    if (multicast.count() > 0) {
      interval_ = std::max(multicast / 3, kLeastInterval);
    }
    // Older requests were superseded: the node answers the newest only.
    sent_.erase(sent_.begin(), std::next(at));
  }

  // The stream is over: unanswered requests never will be.
  void Disconnected() {
    MonitorLock lock(&mutex_);
    sent_.clear();
  }

  // A new session begins without a lease.
  void Reset() {
    MonitorLock lock(&mutex_);
    sent_.clear();
    state_ = {};
  }

  LeaseState state() const {
    MonitorLock lock(&mutex_);
    return state_;
  }

  // How often to ask.
  milliseconds interval() const {
    MonitorLock lock(&mutex_);
    return interval_;
  }

  // How long the oldest unanswered request has been waiting.
  milliseconds Waiting() const {
    MonitorLock lock(&mutex_);
    if (sent_.empty()) return milliseconds(0);
    return clock_.Steady() - sent_.begin()->second;
  }

 private:
  const Clock& clock_;
  mutable Monitor mutex_;
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, milliseconds> sent_ ABSL_GUARDED_BY(mutex_);
  LeaseState state_ ABSL_GUARDED_BY(mutex_);
  milliseconds interval_ ABSL_GUARDED_BY(mutex_){1'000};
};

}  // namespace kafed::client
