// Time, as an interface, so that tests decide what time it is.
//
// Two clocks: Wall() is what entries are stamped with (milliseconds since the
// epoch); Steady() measures leases and timeouts and also runs while the machine
// is suspended (CLOCK_BOOTTIME). Nothing in federation/ may use either: time
// reaches it through the entry. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace kafed {

using std::chrono::milliseconds;

class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds since 1970-01-01 UTC.
  virtual milliseconds Wall() const = 0;
  // Milliseconds since an arbitrary start; never goes back.
  virtual milliseconds Steady() const = 0;
};

// The process-wide real clock.
const Clock& RealClock();

// A clock that moves only when told to.
class FakeClock : public Clock {
 public:
  explicit FakeClock(milliseconds wall = milliseconds(1'700'000'000'000))
      : wall_(wall.count()) {}
  milliseconds Wall() const override { return milliseconds(wall_.load()); }
  milliseconds Steady() const override { return milliseconds(steady_.load()); }
  void Advance(milliseconds by) {
    wall_ += by.count();
    steady_ += by.count();
  }
  // Moves only the wall clock, as an operator's `date -s` would.
  void StepWall(milliseconds by) { wall_ += by.count(); }

 private:
  std::atomic<int64_t> wall_;
  std::atomic<int64_t> steady_{1000};
};

}  // namespace kafed
