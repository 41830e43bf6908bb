// Whether a client's clock is close enough to this node's.
//
// Brokers refuse messages whose time is too far off; a producer with such a
// clock is told so before it loses any.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "common/clock.h"

namespace kafed::controller {

// FailedPrecondition if `client_time_ms`, any number at all, is off by more
// than `allowed`.
inline absl::Status CheckClientClock(uint64_t client_time_ms, milliseconds wall,
                                     milliseconds allowed) {
  const auto now = static_cast<uint64_t>(wall.count());
  const bool ahead = client_time_ms > now;
  const uint64_t off = ahead ? client_time_ms - now : now - client_time_ms;
  if (off <= static_cast<uint64_t>(allowed.count())) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "client_time_ms: the client's clock is off by " +
      std::string(ahead ? "" : "-") + std::to_string(off) + " ms, at most " +
      std::to_string(allowed.count()) + " are allowed; set its clock (NTP)");
}

}  // namespace kafed::controller
