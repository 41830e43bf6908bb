#include "cli/retry.h"

#include <algorithm>
#include <thread>

namespace kafed::cli {

absl::Status Retry(const RetryPolicy& policy,
                   const std::function<absl::Status(milliseconds)>& call) {
  const milliseconds end = policy.clock->Steady() + policy.timeout;
  milliseconds pause = policy.first_pause;
  for (int attempt = 1;; ++attempt) {
    const milliseconds left = end - policy.clock->Steady();
    absl::Status status = call(std::max(left, milliseconds(1)));
    if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) {
      return status;
    }
    if (attempt >= policy.attempts || policy.clock->Steady() + pause >= end) {
      return status;
    }
    if (policy.pause) {
      policy.pause(pause);
    } else {
      std::this_thread::sleep_for(pause);
    }
    pause *= 2;
  }
}

}  // namespace kafed::cli
