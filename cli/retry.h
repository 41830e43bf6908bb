// Retry: repeats a call while the trouble may pass and time is left.
//
// Only Unavailable and DeadlineExceeded are repeated, a few times, with a
// doubling pause. Every attempt sends the same bytes, hence the same request
// id: the node carries a change out once, however often it hears of it. Pure
// but for the clock and the pause, which are handed in.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "common/clock.h"

namespace kafed::cli {

struct RetryPolicy {
  milliseconds timeout{30'000};  // of all attempts together
  int attempts = 5;
  milliseconds first_pause{100};
  const Clock* clock = &RealClock();
  std::function<void(milliseconds)> pause;  // null: sleeps
};

// `call` gets the time that is left.
absl::Status Retry(const RetryPolicy& policy,
                   const std::function<absl::Status(milliseconds)>& call);

}  // namespace kafed::cli
