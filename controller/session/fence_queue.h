// FenceQueue: waits for many fences with one thread.
//
// A change that waits for a fence (a join that gives a VPC a new home) is done
// with its work and only waits, for up to a lease; it must not hold one of the
// few threads that others' calls need. Fences of many changes are looked at
// together, whenever the LeaseTable changed or the earliest of them may be
// over.
//
// Thread-safe. The callbacks run on its thread, or on that of Stop, and must be
// quick.
#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "controller/session/lease_table.h"

namespace kafed::controller {

class FenceQueue {
 public:
  // Ok once the fence is complete, with the sessions that it waited for, by
  // number; Unavailable if the queue stopped before: the change stands
  // nevertheless.
  using Done = std::function<void(const absl::Status&,
                                  const std::vector<uint64_t>& waited_for)>;

  FenceQueue(LeaseTable* leases, const Clock* clock);
  ~FenceQueue();

  // Waits for the fence of multicast routes at `position`, which was committed
  // just now.
  void Wait(Position position, Done done);

  // Answers everything that waits, now and later. Idempotent.
  void Stop();

 private:
  struct Waiting {
    Position position;
    milliseconds committed_at;
    std::vector<uint64_t> waited_for;  // sorted
    Done done;
  };
  void Loop();
  // Takes out what is complete; the time until something else may be.
  milliseconds Look(std::vector<Waiting>* complete)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  LeaseTable& leases_;
  const Clock& clock_;
  absl::Mutex mutex_;
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace kafed::controller
