// Stands before libc: a thread of a simulation gets its answers from the
// scheduler, every other one from the system. The program's own definitions
// are what the shared libraries are linked to as well.
#include "tests/simulation/system_calls.h"

#include <dlfcn.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <limits>
#include <map>

#include "absl/time/clock.h"
#include "tests/simulation/scheduler.h"

namespace kafed::simulation {
namespace {

constexpr nanoseconds kSecond{1'000'000'000};
// 2026-01-01; the machine has been up for a while.
constexpr nanoseconds kWallBegin{1'767'225'600 * 1'000'000'000LL};
constexpr nanoseconds kUptime = 1'000 * kSecond;
constexpr int kAll = std::numeric_limits<int>::max();

template <typename Function>
void Find(const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

bool IsWall(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

nanoseconds Ns(const timespec& time) {
  return nanoseconds(time.tv_sec * kSecond.count() + time.tv_nsec);
}

nanoseconds Read(clockid_t clock) {
  const Scheduler& scheduler = Scheduler::Get();
  return IsWall(clock) ? kWallBegin + scheduler.WallOffset() + scheduler.now()
                       : kUptime + scheduler.now();
}

// A time of `clock` as one of the scheduler.
nanoseconds At(clockid_t clock, const timespec& time) {
  const Scheduler& scheduler = Scheduler::Get();
  return Ns(time) - Read(clock) + scheduler.now();
}

void Lock(pthread_mutex_t* mutex) {
  Scheduler& scheduler = Scheduler::Get();
  scheduler.MayYield();
  while (SystemCalls::Get().mutex_trylock(mutex) == EBUSY) {
    scheduler.Wait(mutex);
  }
  scheduler.Locked(mutex);
}

void Unlock(pthread_mutex_t* mutex) {
  Scheduler& scheduler = Scheduler::Get();
  SystemCalls::Get().mutex_unlock(mutex);
  scheduler.Unlocked(mutex);
  scheduler.Wake(mutex, 1);
}

int WaitForSignal(pthread_cond_t* condition, pthread_mutex_t* mutex,
                  nanoseconds deadline) {
  Unlock(mutex);
  const bool woken = Scheduler::Get().Wait(condition, deadline);
  Lock(mutex);
  return woken ? 0 : ETIMEDOUT;
}

long Futex(int* word, int operation, int value, const timespec* timeout) {
  Scheduler& scheduler = Scheduler::Get();
  const int command = operation & FUTEX_CMD_MASK;
  if (command == FUTEX_WAKE || command == FUTEX_WAKE_BITSET) {
    const int woken = scheduler.Wake(word, value);
    scheduler.MayYield();
    return woken;
  }
  if (command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET) {
    errno = ENOSYS;
    return -1;
  }
  scheduler.MayYield();
  if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != value) {
    errno = EAGAIN;
    return -1;
  }
  nanoseconds deadline = Scheduler::kNever;
  if (timeout != nullptr) {
    const bool wall = (operation & FUTEX_CLOCK_REALTIME) != 0;
    deadline = command == FUTEX_WAIT
                   ? scheduler.now() + Ns(*timeout)
                   : At(wall ? CLOCK_REALTIME : CLOCK_MONOTONIC, *timeout);
  }
  if (scheduler.Wait(word, deadline)) return 0;
  errno = ETIMEDOUT;
  return -1;
}

// Threads of the simulation, by the system's name for them.
std::map<pthread_t, uint64_t>& Threads() {
  static auto* const threads = new std::map<pthread_t, uint64_t>;
  return *threads;
}

void Sleep(nanoseconds until) {
  static const char place = 0;
  Scheduler& scheduler = Scheduler::Get();
  while (scheduler.now() < until) scheduler.Wait(&place, until);
}

}  // namespace

void* RunTask(void* task);

const SystemCalls& SystemCalls::Get() {
  static const SystemCalls* const calls = [] {
    auto* const found = new SystemCalls;
    Find("pthread_mutex_lock", &found->mutex_lock);
    Find("pthread_mutex_trylock", &found->mutex_trylock);
    Find("pthread_mutex_unlock", &found->mutex_unlock);
    Find("pthread_cond_wait", &found->cond_wait);
    Find("pthread_cond_timedwait", &found->cond_timedwait);
    Find("pthread_cond_clockwait", &found->cond_clockwait);
    Find("pthread_cond_signal", &found->cond_signal);
    Find("pthread_cond_broadcast", &found->cond_broadcast);
    Find("pthread_create", &found->create);
    Find("pthread_join", &found->join);
    Find("sched_yield", &found->yield);
    Find("nanosleep", &found->nanosleep);
    Find("clock_nanosleep", &found->clock_nanosleep);
    Find("clock_gettime", &found->clock_gettime);
    Find("getrandom", &found->getrandom);
    Find("syscall", &found->syscall);
    return found;
  }();
  return *calls;
}

}  // namespace kafed::simulation

// Abseil's own reads the processor's counter.
namespace absl {
ABSL_NAMESPACE_BEGIN
int64_t GetCurrentTimeNanos() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return kafed::simulation::Ns(now).count();
}
ABSL_NAMESPACE_END
}  // namespace absl

// NOLINTBEGIN(readability-identifier-naming): libc's names.
using kafed::simulation::Scheduler;
using kafed::simulation::SystemCalls;
namespace sim = kafed::simulation;

extern "C" {

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  if (!Scheduler::Active()) return SystemCalls::Get().mutex_lock(mutex);
  sim::Lock(mutex);
  return 0;
}

int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  const int result = SystemCalls::Get().mutex_trylock(mutex);
  if (result == 0 && Scheduler::Active()) Scheduler::Get().Locked(mutex);
  return result;
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  if (!Scheduler::Active()) return SystemCalls::Get().mutex_unlock(mutex);
  sim::Unlock(mutex);
  Scheduler::Get().MayYield();
  return 0;
}

int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  if (!Scheduler::Active()) {
    return SystemCalls::Get().cond_wait(condition, mutex);
  }
  return sim::WaitForSignal(condition, mutex, Scheduler::kNever);
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                           const timespec* time) {
  if (!Scheduler::Active()) {
    return SystemCalls::Get().cond_timedwait(condition, mutex, time);
  }
  return sim::WaitForSignal(condition, mutex, sim::At(CLOCK_REALTIME, *time));
}

int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                           clockid_t clock, const timespec* time) {
  if (!Scheduler::Active()) {
    return SystemCalls::Get().cond_clockwait(condition, mutex, clock, time);
  }
  return sim::WaitForSignal(condition, mutex, sim::At(clock, *time));
}

int pthread_cond_signal(pthread_cond_t* condition) noexcept {
  if (!Scheduler::Active()) return SystemCalls::Get().cond_signal(condition);
  Scheduler::Get().Wake(condition, 1);
  Scheduler::Get().MayYield();
  return 0;
}

int pthread_cond_broadcast(pthread_cond_t* condition) noexcept {
  if (!Scheduler::Active()) {
    return SystemCalls::Get().cond_broadcast(condition);
  }
  Scheduler::Get().Wake(condition, sim::kAll);
  Scheduler::Get().MayYield();
  return 0;
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                   void* (*start)(void*), void* argument) noexcept {
  const SystemCalls& calls = SystemCalls::Get();
  if (!Scheduler::Active()) {
    return calls.create(thread, attributes, start, argument);
  }
  void* task = nullptr;
  const uint64_t number = Scheduler::Get().Begin(start, argument, &task);
  const int result = calls.create(thread, attributes, sim::RunTask, task);
  if (result == 0) sim::Threads()[*thread] = number;
  Scheduler::Get().MayYield();
  return result;
}

int pthread_join(pthread_t thread, void** result) {
  if (Scheduler::Active()) {
    const auto at = sim::Threads().find(thread);
    if (at != sim::Threads().end()) {
      Scheduler::Get().AwaitEnd(at->second);
      sim::Threads().erase(at);
      if (result != nullptr) *result = nullptr;
      return 0;
    }
  }
  return SystemCalls::Get().join(thread, result);
}

int sched_yield() noexcept {
  if (!Scheduler::Active()) return SystemCalls::Get().yield();
  Scheduler::Get().Yield();
  return 0;
}

int nanosleep(const timespec* time, timespec* left) {
  if (!Scheduler::Active()) return SystemCalls::Get().nanosleep(time, left);
  sim::Sleep(Scheduler::Get().now() + sim::Ns(*time));
  return 0;
}

int clock_nanosleep(clockid_t clock, int flags, const timespec* time,
                    timespec* left) {
  if (!Scheduler::Active()) {
    return SystemCalls::Get().clock_nanosleep(clock, flags, time, left);
  }
  sim::Sleep((flags & TIMER_ABSTIME) != 0
                 ? sim::At(clock, *time)
                 : Scheduler::Get().now() + sim::Ns(*time));
  return 0;
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  if (!Scheduler::Active()) {
    return SystemCalls::Get().clock_gettime(clock, time);
  }
  const sim::nanoseconds now = sim::Read(clock);
  time->tv_sec = now / sim::kSecond;
  time->tv_nsec = (now % sim::kSecond).count();
  return 0;
}

int gettimeofday(timeval* time, void*) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1'000;
  return 0;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

ssize_t getrandom(void* buffer, size_t bytes, unsigned flags) {
  if (!Scheduler::Active()) {
    return SystemCalls::Get().getrandom(buffer, bytes, flags);
  }
  auto* const out = static_cast<unsigned char*>(buffer);
  for (size_t i = 0; i < bytes; ++i) {
    out[i] = static_cast<unsigned char>(Scheduler::Get().Random());
  }
  return static_cast<ssize_t>(bytes);
}

long syscall(long number, ...) noexcept {
  va_list arguments;
  va_start(arguments, number);
  long values[6];
  for (long& value : values) value = va_arg(arguments, long);
  va_end(arguments);
  if (number == SYS_futex && Scheduler::Active()) {
    int* word = nullptr;
    const timespec* timeout = nullptr;
    std::memcpy(&word, &values[0], sizeof(void*));
    std::memcpy(&timeout, &values[3], sizeof(void*));
    return sim::Futex(word, static_cast<int>(values[1]),
                      static_cast<int>(values[2]), timeout);
  }
  return SystemCalls::Get().syscall(number, values[0], values[1], values[2],
                                    values[3], values[4], values[5]);
}

}  // extern "C"
// NOLINTEND(readability-identifier-naming)
