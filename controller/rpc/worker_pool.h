// WorkerPool: threads for calls that block (log appends, Kafka, fences).
//
// gRPC's own threads must never block. Work beyond the threads waits in a
// queue; beyond the queue it is refused. What a client can draw out has lanes
// of its own, so that it delays nothing else:
//
//   lane     for                      threads at most   queue
//   Run      calls                    all               as given
//   RunLong  waits for a position     a quarter         4 for each thread
//   RunBulk  imports, snapshots       half              as given
//
// Thread-safe; the destructor waits for work that has begun.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"

namespace kafed::controller {

class WorkerPool {
 public:
  WorkerPool(size_t threads, size_t max_queue);
  ~WorkerPool();

  // False if the lane's queue is full: nothing was taken.
  bool Run(std::function<void()> work) { return Push(std::move(work), 0); }
  bool RunLong(std::function<void()> work) { return Push(std::move(work), 1); }
  bool RunBulk(std::function<void()> work) { return Push(std::move(work), 2); }

 private:
  struct Lane {
    size_t max_running = 0;
    size_t max_queue = 0;
    size_t running = 0;
    std::deque<std::function<void()>> queue;
  };

  bool Push(std::function<void()> work, size_t lane);
  // The first lane with work and a thread left for it; null: none.
  Lane* Ready() ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void Loop();

  absl::Mutex mutex_;
  std::array<Lane, 3> lanes_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace kafed::controller
