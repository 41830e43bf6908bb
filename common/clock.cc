#include "common/clock.h"

#include <ctime>

namespace kafed {
namespace {

milliseconds Read(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return milliseconds(now.tv_sec * 1000 + now.tv_nsec / 1'000'000);
}

class SystemClock : public Clock {
 public:
  milliseconds Wall() const override { return Read(CLOCK_REALTIME); }
  milliseconds Steady() const override { return Read(CLOCK_BOOTTIME); }
};

}  // namespace

const Clock& RealClock() {
  static const SystemClock clock;
  return clock;
}

}  // namespace kafed
