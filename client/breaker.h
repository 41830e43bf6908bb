// Breaker: stops what keeps failing from taking everything down with it.
//
//             failures in a row               pause over
//   +--------+ ------------> +------+ ------------------> +-----------+
//   | closed |               | open | <------------------ | half-open |
//   +--------+ <-----+       +------+    probe failed     +-----------+
//                    +---------------------------------------+
//                         any success                one probe at a time
//
// Pure: time is passed in. Not thread-safe.
#pragma once

#include "common/clock.h"

namespace kafed::client {

class Breaker {
 public:
  Breaker() = default;
  Breaker(int failures, milliseconds pause) : limit_(failures), pause_(pause) {}

  // Whether something may be sent now; a half-open breaker says yes once.
  bool Allow(milliseconds now) {
    if (!open_) return true;
    if (probing_ || now < retry_at_) return false;
    probing_ = true;
    return true;
  }
  // The same, without taking the probe.
  bool WouldAllow(milliseconds now) const {
    return !open_ || (!probing_ && now >= retry_at_);
  }
  // A probe that Allow gave was not sent after all.
  void Return() { probing_ = false; }

  void Succeeded() {
    failures_ = 0;
    open_ = probing_ = false;
  }
  void Failed(milliseconds now) {
    if (++failures_ < limit_ && !open_) return;
    open_ = true;
    probing_ = false;
    retry_at_ = now + pause_;
  }
  bool open() const { return open_; }

 private:
  int limit_ = 5;
  milliseconds pause_{2'000};
  int failures_ = 0;
  bool open_ = false;
  bool probing_ = false;
  milliseconds retry_at_{0};
};

}  // namespace kafed::client
