// Pauses between attempts: doubling, with full jitter in the upper half.
#pragma once

#include <algorithm>

#include "common/clock.h"
#include "common/uuid.h"

namespace kafed::client {

// One thread at a time.
class Backoff {
 public:
  Backoff(milliseconds least, milliseconds most)
      : least_(std::max(least, milliseconds(1))),
        most_(std::max(most, least_)),
        next_(least_) {}

  // The next pause, from half of the step to the step.
  milliseconds Next() {
    const int64_t half = std::max<int64_t>(next_.count() / 2, 1);
    const milliseconds pause(
        half + static_cast<int64_t>(RandomNumber64() % (half + 1)));
    next_ = std::min(next_ * 2, most_);
    return std::min(pause, most_);
  }
  void Reset() { next_ = least_; }

 private:
  const milliseconds least_;
  const milliseconds most_;
  milliseconds next_;
};

}  // namespace kafed::client
