// Operations that are kept under way, and what each of them took.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "absl/synchronization/mutex.h"

namespace kafed::bench {

using SteadyClock = std::chrono::steady_clock;

// What a number of operations took.
struct Taken {
  std::vector<float> us;
  double seconds = 0;

  void Add(const Taken& more) {
    us.insert(us.end(), more.us.begin(), more.us.end());
    seconds += more.seconds;
  }
  double PerSecond() const { return static_cast<double>(us.size()) / seconds; }
  // REQUIRES: there is one.
  double Percentile(size_t percent) {
    std::sort(us.begin(), us.end());
    return us[us.size() * percent / 100];
  }
};

// Begins an operation, which calls `done` once, later, on any thread.
using Operation = std::function<void(std::function<void()> done)>;

// Keeps up to `in_flight` operations under way until `count` were begun (0: any
// number) or `seconds` are over, and waits for all of them.
class Operations {
 public:
  static Taken Run(const Operation& operation, size_t in_flight, size_t count,
                   double seconds) {
    Operations run(operation, count, seconds);
    run.running_ = in_flight;
    for (size_t i = 0; i < in_flight; ++i) run.Next();
    absl::MutexLock lock(&run.mutex_);
    const auto over = [&run] {
      run.mutex_.AssertReaderHeld();
      return run.running_ == 0;
    };
    run.mutex_.Await(absl::Condition(&over));
    run.taken_.seconds =
        std::chrono::duration<double>(SteadyClock::now() - run.begun_).count();
    return run.taken_;
  }

 private:
  Operations(const Operation& operation, size_t count, double seconds)
      : operation_(operation),
        count_(count),
        begun_(SteadyClock::now()),
        end_(begun_ + std::chrono::duration_cast<SteadyClock::duration>(
                          std::chrono::duration<double>(seconds))) {}

  void Next() {
    const auto at = SteadyClock::now();
    {
      absl::MutexLock lock(&mutex_);
      if (at >= end_ || (count_ != 0 && started_ == count_)) {
        --running_;
        return;
      }
      ++started_;
    }
    operation_([this, at] {
      const auto took = SteadyClock::now() - at;
      {
        absl::MutexLock lock(&mutex_);
        taken_.us.push_back(
            std::chrono::duration<float, std::micro>(took).count());
      }
      Next();
    });
  }

  const Operation& operation_;
  const size_t count_;
  const SteadyClock::time_point begun_;
  const SteadyClock::time_point end_;
  absl::Mutex mutex_;
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t started_ ABSL_GUARDED_BY(mutex_) = 0;
  Taken taken_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kafed::bench
