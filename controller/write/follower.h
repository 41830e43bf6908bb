// Follower: keeps a node's replica at the tail of a log that others write to.
//
// It only waits for the next index to stand; the writer applies and publishes
// it, so that a replica has one publisher. A log that can't be reached is asked
// again.
//
// One thread of its own.
#pragma once

#include <atomic>
#include <thread>

#include "common/clock.h"
#include "controller/write/replica.h"
#include "controller/write/writer.h"
#include "metastore/log/shared_log.h"

namespace kafed::controller {

class Follower {
 public:
  // All outlive the follower.
  Follower(metastore::SharedLog* log, const Replica* replica, Writer* writer,
           const Clock* clock);
  ~Follower();

 private:
  void Loop();

  metastore::SharedLog& log_;
  const Replica& replica_;
  Writer& writer_;
  const Clock& clock_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace kafed::controller
