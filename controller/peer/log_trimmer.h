// LogTrimmer: forgets what of a shared log nobody needs any more.
//
// A quorum keeps the log in memory, so it must stay short. An entry may go once
// a majority of the registered nodes, and two at least where there are several,
// have a snapshot on their disks that holds it; and no node that answers is
// behind it. Nodes keep longer histories of their own.
//
// Works while this node is in office. A thread of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include "controller/peer/office.h"
#include "controller/peer/peer_watch.h"
#include "controller/reconcile/wake_signal.h"
#include "metastore/log/shared_log.h"
#include "metastore/log/snapshot_store.h"

namespace kafed::controller {

// A registered node, as far as it is known.
struct TrimVote {
  uint64_t snapshot = 0;            // index of its newest one; 0: none
  std::optional<uint64_t> applied;  // nullopt: it does not answer
};

// The index before which the log may be trimmed; 0: not at all.
uint64_t TrimBefore(const std::vector<TrimVote>& nodes);

class LogTrimmer {
 public:
  // All outlive it. `log` is the quorum's.
  LogTrimmer(metastore::SharedLog* log, const Replica* replica,
             const metastore::SnapshotStore* snapshots, const PeerWatch* peers,
             const OfficeHolder* office);
  ~LogTrimmer();

 private:
  void Loop();
  void Trim();

  metastore::SharedLog& log_;
  const Replica& replica_;
  const metastore::SnapshotStore& snapshots_;
  const PeerWatch& peers_;
  const OfficeHolder& office_;
  WakeSignal signal_;
  std::thread thread_;
};

}  // namespace kafed::controller
