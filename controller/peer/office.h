// OfficeHolder: this node's part in who does the background work.
//
// Campaigns for the coordinator's office in the quorum, and records in the log
// that it was elected, with the next epoch; from then on it is in office. A
// node that can't reach the quorum is not. Two nodes may believe for a moment
// that they are: what they write is planned against the log, so only one of two
// equal facts gets in.
//
// A thread of its own. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "controller/reconcile/wake_signal.h"
#include "controller/write/replica.h"
#include "controller/write/writer.h"
#include "metastore/coord/election.h"

namespace kafed::controller {

class OfficeHolder {
 public:
  // All outlive it.
  OfficeHolder(metastore::Election* election, uint64_t node_id,
               const Replica* replica, Writer* writer, milliseconds interval);
  ~OfficeHolder();

  bool in_office() const { return in_office_; }

  // Leaves the office, for good: another node takes it at once.
  void Resign();

 private:
  void Loop();
  // Whether this node holds the office, and the log says so.
  bool Campaign();

  metastore::Election& election_;
  const uint64_t node_id_;
  const std::string candidate_;
  const Replica& replica_;
  Writer& writer_;
  const milliseconds interval_;
  WakeSignal signal_;
  std::atomic<bool> in_office_{false};
  std::thread thread_;
};

}  // namespace kafed::controller
