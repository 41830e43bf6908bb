// What the programs that send messages share: an even pace, and the times from
// handing each message over to what became of it.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

namespace kafed::bench {

// A full buffer makes room while its owner waits.
constexpr std::chrono::milliseconds kFullPause{1};

[[noreturn]] inline void Die(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::_Exit(1);
}

// When each message was handed over and reported, by its number. Sent by one
// thread, Reported by any.
class Times {
 public:
  explicit Times(size_t messages) : sent_(messages), took_us_(messages) {}
  void Sent(size_t number) { sent_[number] = Clock::now(); }
  void Reported(size_t number) {
    took_us_[number] =
        std::chrono::duration<float, std::micro>(Clock::now() - sent_[number])
            .count();
    ++reported_;
  }
  size_t reported() const { return reported_; }
  // One JSON line; "per_second" from the first call to this one.
  void Print() {
    const double seconds =
        std::chrono::duration<double>(Clock::now() - sent_[0]).count();
    const double cpu_us = 1e6 * static_cast<double>(std::clock()) /
                          CLOCKS_PER_SEC / static_cast<double>(took_us_.size());
    std::sort(took_us_.begin(), took_us_.end());
    std::printf(
        "{\"per_second\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
        "\"cpu_us\": %.2f}\n",
        static_cast<double>(took_us_.size()) / seconds,
        took_us_[took_us_.size() / 2], took_us_[took_us_.size() * 99 / 100],
        cpu_us);
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> sent_;
  std::vector<float> took_us_;
  std::atomic<size_t> reported_{0};
};

// Calls `send` for each number, `rate` a second; 0: as fast as it goes.
template <typename Send>
void Pace(size_t messages, double rate, Send send) {
  const auto begun = std::chrono::steady_clock::now();
  for (size_t i = 0; i < messages; ++i) {
    if (rate > 0) {
      std::this_thread::sleep_until(
          begun +
          std::chrono::duration_cast<std::chrono::steady_clock::duration>(
              std::chrono::duration<double>(static_cast<double>(i) / rate)));
    }
    send(i);
  }
}

}  // namespace kafed::bench
