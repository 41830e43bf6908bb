#include "tests/simulation/scheduler.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <utility>

#include "tests/simulation/system_calls.h"

namespace kafed::simulation {
namespace {

// Of 256 places where another thread may be next, it is at so many.
constexpr uint64_t kSwitches = 40;
// What a step takes.
constexpr nanoseconds kStep{2'000};

Scheduler* the_scheduler = nullptr;
thread_local Scheduler::Task* self = nullptr;

}  // namespace

struct Scheduler::Task {
  uint64_t number = 0;
  int domain = 0;
  bool waiting = false;
  bool woken = false;
  bool ended = false;
  const void* place = nullptr;
  nanoseconds deadline = kNever;
  int shared_locks = 0;
  std::atomic<int> turn{0};
  void* (*start)(void*) = nullptr;
  void* argument = nullptr;
  int rounds = 0;  // of its destructors

  // Until it is this thread's turn, for real.
  void AwaitTurn() {
    while (turn.exchange(0) == 0) {
      SystemCalls::Get().syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, 0,
                                 nullptr, nullptr, 0);
    }
  }
  void GiveTurn() {
    turn = 1;
    SystemCalls::Get().syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, nullptr,
                               nullptr, 0);
  }
};

// Called by the system when a thread ends, with its own destructors of
// thread-local things, several times: the last time its turn is over.
void EndTask(void* task);

namespace {
pthread_key_t EndKey() {
  static const pthread_key_t key = [] {
    pthread_key_t made;
    pthread_key_create(&made, EndTask);
    return made;
  }();
  return key;
}
}  // namespace

void* RunTask(void* task) {
  self = static_cast<Scheduler::Task*>(task);
  self->AwaitTurn();
  pthread_setspecific(EndKey(), task);
  return self->start(self->argument);
}

void EndTask(void* task) {
  auto* const ending = static_cast<Scheduler::Task*>(task);
  if (++ending->rounds < 3) {
    pthread_setspecific(EndKey(), task);
    return;
  }
  Scheduler& scheduler = Scheduler::Get();
  ending->ended = true;
  std::erase(scheduler.living_, ending);
  scheduler.Wake(ending, std::numeric_limits<int>::max());
  Scheduler::Task* const next = scheduler.Next();
  self = nullptr;
  next->GiveTurn();
  // For the system it lives on: what it would give back to it, at a time that
  // nobody decides, would be found by others or not.
  while (true) pause();
}

Scheduler::Scheduler() = default;
Scheduler::~Scheduler() = default;

void Scheduler::Run(uint64_t seed, const std::function<void()>& work) {
  SystemCalls::Get();
  EndKey();
  the_scheduler = this;
  // Two seeds must not be two places of one sequence.
  random_ = seed * 0xd1342543de82ef95u;
  random_ = Random();
  tasks_.push_back(std::make_unique<Task>());
  self = tasks_.back().get();
  living_.push_back(self);
  work();
  self = nullptr;
}

bool Scheduler::Active() { return self != nullptr; }
Scheduler& Scheduler::Get() { return *the_scheduler; }

uint64_t Scheduler::Random() {  // splitmix64
  random_ += 0x9e3779b97f4a7c15u;
  uint64_t mixed = random_;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
  return mixed ^ (mixed >> 31);
}

void Scheduler::Mix(uint64_t value) {
  digest_ = (digest_ ^ value) * 0x100000001b3u;
}

int Scheduler::domain() const { return self->domain; }
void Scheduler::EnterDomain(int domain) { self->domain = domain; }

void Scheduler::Freeze(int domain) {
  frozen_.insert(domain);
  if (domain == self->domain) Yield();
}
void Scheduler::Thaw(int domain) { frozen_.erase(domain); }

void Scheduler::SetWallOffset(int domain, nanoseconds offset) {
  wall_offsets_[domain] = offset;
}

nanoseconds Scheduler::WallOffset() const {
  const auto at = wall_offsets_.find(self->domain);
  return at == wall_offsets_.end() ? nanoseconds(0) : at->second;
}

void Scheduler::Share(const void* begin, size_t bytes) {
  const char* const first = static_cast<const char*>(begin);
  shared_.emplace_back(first, first + bytes);
}

bool Scheduler::IsShared(const void* lock) const {
  const char* const at = static_cast<const char*>(lock);
  return std::any_of(shared_.begin(), shared_.end(), [at](const auto& range) {
    return at >= range.first && at < range.second;
  });
}

void Scheduler::Locked(const void* lock) {
  if (IsShared(lock)) ++self->shared_locks;
}
void Scheduler::Unlocked(const void* lock) {
  if (IsShared(lock)) --self->shared_locks;
}

bool Scheduler::MayRun(const Task& task) const {
  return !task.waiting &&
         (task.shared_locks > 0 || !frozen_.contains(task.domain));
}

Scheduler::Task* Scheduler::Next() {
  now_ += kStep;
  ++steps_;
  std::vector<Task*> ready;
  while (true) {
    nanoseconds earliest = kNever;
    for (Task* task : living_) {
      if (task->waiting && task->deadline <= now_) task->waiting = false;
      if (MayRun(*task)) ready.push_back(task);
      if (task->waiting && !frozen_.contains(task->domain)) {
        earliest = std::min(earliest, task->deadline);
      }
    }
    if (!ready.empty()) break;
    if (earliest == kNever) Stuck();
    now_ = earliest;
  }
  Task* const next = ready[Random() % ready.size()];
  if (trace_ != nullptr) {
    std::fprintf(trace_, "%llu %lld %llu of %zu\n",
                 static_cast<unsigned long long>(steps_),
                 static_cast<long long>(now_.count()),
                 static_cast<unsigned long long>(next->number), ready.size());
  }
  Mix(next->number);
  Mix(static_cast<uint64_t>(now_.count()));
  return next;
}

void Scheduler::SwitchTo(Task* next) {
  Task* const me = self;
  if (next == me) return;
  next->GiveTurn();
  me->AwaitTurn();
}

void Scheduler::Yield() { SwitchTo(Next()); }

void Scheduler::MayYield() {
  if (Random() % 256 < kSwitches || frozen_.contains(self->domain)) Yield();
}

bool Scheduler::Wait(const void* place, nanoseconds deadline) {
  self->place = place;
  self->deadline = deadline;
  self->woken = false;
  self->waiting = true;
  SwitchTo(Next());
  self->place = nullptr;
  return self->woken;
}

int Scheduler::Wake(const void* place, int count) {
  std::vector<Task*> there;
  for (Task* task : living_) {
    if (task->waiting && task->place == place) there.push_back(task);
  }
  int woken = 0;
  while (woken < count && !there.empty()) {
    const size_t at = Random() % there.size();
    there[at]->waiting = false;
    there[at]->woken = true;
    there.erase(there.begin() + static_cast<ptrdiff_t>(at));
    ++woken;
  }
  return woken;
}

uint64_t Scheduler::Begin(void* (*start)(void*), void* argument,
                          void** trampoline) {
  tasks_.push_back(std::make_unique<Task>());
  Task* const task = tasks_.back().get();
  task->number = tasks_.size() - 1;
  task->domain = self->domain;
  task->start = start;
  task->argument = argument;
  living_.push_back(task);
  *trampoline = task;
  return task->number;
}

void Scheduler::AwaitEnd(uint64_t number) {
  Task* const task = tasks_[number].get();
  while (!task->ended) Wait(task);
}

void Scheduler::Stuck() const {
  std::fprintf(stderr, "stuck at %lld ns: no thread can ever run again\n",
               static_cast<long long>(now_.count()));
  for (const Task* task : living_) {
    std::fprintf(stderr, "  thread %llu of domain %d waits at %p%s\n",
                 static_cast<unsigned long long>(task->number), task->domain,
                 task->place, frozen_.contains(task->domain) ? ", frozen" : "");
  }
  _exit(3);
}

void Event::Set() {
  set_ = true;
  Scheduler::Get().Wake(this, std::numeric_limits<int>::max());
}

bool Event::WaitUntil(nanoseconds deadline) {
  Scheduler& scheduler = Scheduler::Get();
  while (!set_ && scheduler.now() < deadline) scheduler.Wait(this, deadline);
  return set_;
}

}  // namespace kafed::simulation
