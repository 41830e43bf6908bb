// WorkerPool: threads for calls that block (log appends, Kafka, fences).
//
// gRPC's own threads must never block. Work beyond the threads waits in a
// queue; beyond the queue it is refused. Thread-safe; the destructor waits for
// work that has begun.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"

namespace kafed::controller {

class WorkerPool {
 public:
  WorkerPool(size_t threads, size_t max_queue);
  ~WorkerPool();

  // False if the queue is full: nothing was taken.
  bool Run(std::function<void()> work);

 private:
  void Loop();
  const size_t max_queue_;
  absl::Mutex mutex_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace kafed::controller
