// EntryClock: the time that entries are stamped with.
//
// Answers to requests and former bindings are forgotten by the time of entries,
// so that time must not run away when somebody sets the wall clock: it follows
// the wall clock, never goes back, and gains at most a quarter on the clock
// that nobody can set. A wall clock that was an hour ahead for 20 minutes
// leaves it 5 minutes ahead. Only a start takes the wall clock at its word.
//
// One thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/clock.h"

namespace kafed::controller {

class EntryClock {
 public:
  explicit EntryClock(const Clock* clock)
      : clock_(*clock),
        time_ms_(WallMs()),
        steady_ms_(clock_.Steady().count()) {}

  // Milliseconds since 1970, at least `newest_ms`, the time of the newest
  // entry.
  uint64_t Next(uint64_t newest_ms) {
    const int64_t steady_ms = clock_.Steady().count();
    const auto elapsed = static_cast<uint64_t>(steady_ms - steady_ms_);
    const uint64_t fastest = time_ms_ + elapsed + elapsed / 4;
    time_ms_ = std::max({newest_ms, time_ms_, std::min(WallMs(), fastest)});
    steady_ms_ = steady_ms;
    return time_ms_;
  }

 private:
  uint64_t WallMs() const {
    return static_cast<uint64_t>(clock_.Wall().count());
  }

  const Clock& clock_;
  uint64_t time_ms_;
  int64_t steady_ms_;
};

}  // namespace kafed::controller
