// Scheduler: runs the threads of this process one at a time, in an order that
// a seed decides, on a clock of its own.
//
//   real code:  std::mutex  condition_variable  absl::Mutex  sleep_for  clocks
//                  |             |                  |           |         |
//   libc:       pthread_mutex_* pthread_cond_*   futex     nanosleep  clock_*
//                  +-------------+------ system_calls.cc -----+---------+
//                                           |
//                                       Scheduler
//
// What kafed and its libraries ask of the system for threads, time and
// randomness comes here instead (system_calls.cc), so the very code that runs
// in production is what is simulated. A thread runs until it waits, or until
// the seed says that another one is next; where nothing can run, time jumps to
// the next deadline. Runs of one seed are alike, to the byte.
//
// Threads belong to a domain, a simulated machine, which can be frozen: its
// threads then stand still wherever they are, for a while (a pause) or for good
// (a crash). A thread that holds a lock which other domains need is moved on
// until it has given it back.
//
// One for a process.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace kafed::simulation {

using nanoseconds = std::chrono::nanoseconds;

class Scheduler {
 public:
  static constexpr nanoseconds kNever = nanoseconds::max();

  Scheduler();
  ~Scheduler();

  // Runs `work` as the first thread, in domain 0. To be called once; what
  // `work` leaves running stands still after it.
  void Run(uint64_t seed, const std::function<void()>& work);

  // Each step goes there as a line: its number, nanoseconds, the thread that is
  // next, how many could have been. Null: nowhere.
  void SetTrace(std::FILE* trace) { trace_ = trace; }

  // For threads of the simulation.

  uint64_t Random();  // at will, in the seed's order
  nanoseconds now() const { return now_; }
  int domain() const;
  // Threads that the calling one starts are of its domain.
  void EnterDomain(int domain);
  void Freeze(int domain);
  void Thaw(int domain);
  // The wall clock of a domain is off by this much.
  void SetWallOffset(int domain, nanoseconds offset);
  // Locks in there are needed by several domains.
  void Share(const void* begin, size_t bytes);
  // What has been decided so far, in one number.
  uint64_t digest() const { return digest_; }
  uint64_t steps() const { return steps_; }

  // For system_calls.cc. All but Active are for threads of the simulation.

  // Whether the calling thread is one.
  static bool Active();
  static Scheduler& Get();
  // Another thread may be next.
  void MayYield();
  void Yield();
  // Until somebody wakes who waits at `place`, or the deadline; false: that.
  bool Wait(const void* place, nanoseconds deadline = kNever);
  // Wakes so many of those who wait there; how many there were.
  int Wake(const void* place, int count);
  void Locked(const void* lock);
  void Unlocked(const void* lock);
  nanoseconds WallOffset() const;
  // A thread that will run `start` with `argument`; its number.
  uint64_t Begin(void* (*start)(void*), void* argument, void** trampoline);
  // Waits for the end of the thread that `begun` names.
  void AwaitEnd(uint64_t number);
  struct Task;

 private:
  friend void* RunTask(void* task);
  friend void EndTask(void* task);

  bool MayRun(const Task& task) const;
  Task* Next();
  void SwitchTo(Task* next);
  void Mix(uint64_t value);
  bool IsShared(const void* lock) const;
  [[noreturn]] void Stuck() const;

  std::FILE* trace_ = nullptr;
  uint64_t random_ = 0;
  uint64_t digest_ = 0;
  uint64_t steps_ = 0;
  nanoseconds now_{0};
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<Task*> living_;
  std::set<int> frozen_;
  std::map<int, nanoseconds> wall_offsets_;
  std::vector<std::pair<const char*, const char*>> shared_;
};

// An event that threads of any domain may set and wait for: a reply on the
// network.
class Event {
 public:
  void Set();
  bool is_set() const { return set_; }
  // Whether it was set before the deadline.
  bool WaitUntil(nanoseconds deadline);

 private:
  bool set_ = false;
};

}  // namespace kafed::simulation
