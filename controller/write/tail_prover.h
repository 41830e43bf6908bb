// TailProver: proves again and again that a replica is at the tail of a log
// that others write to.
//
//   t0 = now --> Tail() = T --> the replica is at T or after --> proven as of
//   t0
//
// The tail is linearizable: whatever was acknowledged anywhere before t0 is at
// T or before. So a lease that ends a ttl after t0 is over a ttl after any
// newer entry was committed. A node that is cut off from the log proves
// nothing, and gives no lease.
//
// A thread of its own.
#pragma once

#include <functional>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "controller/write/replica.h"
#include "metastore/log/shared_log.h"

namespace kafed::controller {

class TailProver {
 public:
  // Told of each proof, from the prover's thread; `at` is a time of Steady().
  using Proven = std::function<void(milliseconds at, LogIndex tail)>;

  // All outlive it. `interval` is from the end of a proof to the next.
  TailProver(metastore::SharedLog* log, const Replica* replica,
             const Clock* clock, milliseconds interval, Proven proven);
  // Waits for the proof under way.
  ~TailProver();

 private:
  void Loop();
  absl::Status Prove();

  metastore::SharedLog& log_;
  const Replica& replica_;
  const Clock& clock_;
  const milliseconds interval_;
  const Proven proven_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace kafed::controller
