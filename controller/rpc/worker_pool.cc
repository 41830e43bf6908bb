#include "controller/rpc/worker_pool.h"

#include <algorithm>

namespace kafed::controller {

WorkerPool::WorkerPool(size_t threads, size_t max_queue) {
  {
    absl::MutexLock lock(&mutex_);
    lanes_[0] = {threads, max_queue, 0, {}};
    lanes_[1] = {std::max<size_t>(threads / 4, 1), 4 * threads, 0, {}};
    lanes_[2] = {std::max<size_t>(threads / 2, 1), max_queue, 0, {}};
  }
  for (size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Loop(); });
  }
}

WorkerPool::~WorkerPool() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

bool WorkerPool::Push(std::function<void()> work, size_t lane) {
  absl::MutexLock lock(&mutex_);
  Lane& to = lanes_[lane];
  if (stopping_ || to.queue.size() >= to.max_queue) return false;
  to.queue.push_back(std::move(work));
  return true;
}

WorkerPool::Lane* WorkerPool::Ready() {
  for (Lane& lane : lanes_) {
    if (lane.queue.empty()) continue;
    if (lane.running < lane.max_running || stopping_) return &lane;
  }
  return nullptr;
}

void WorkerPool::Loop() {
  while (true) {
    std::function<void()> work;
    Lane* lane = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      const auto ready = [this] {
        mutex_.AssertReaderHeld();
        return stopping_ || Ready() != nullptr;
      };
      mutex_.Await(absl::Condition(&ready));
      lane = Ready();
      if (lane == nullptr) return;  // stopping, and nothing is left
      work = std::move(lane->queue.front());
      lane->queue.pop_front();
      ++lane->running;
    }
    work();
    absl::MutexLock lock(&mutex_);
    --lane->running;
  }
}

}  // namespace kafed::controller
