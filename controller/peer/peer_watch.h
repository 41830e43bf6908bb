// PeerWatch: what this node knows of the others.
//
// Asks every registered node how it is, again and again, each on a thread of
// its own, so that one that hangs delays no other. Soft state: for `node list`,
// the trimming of the log, the end of sessions, and the comparison of images.
//
// A node whose image differs from what most nodes have at the same position
// must not go on: it is told by `differs`. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "controller/peer/hash_history.h"
#include "controller/peer/peer_client.h"
#include "controller/write/replica.h"

namespace kafed::controller {

struct PeerInfo {
  uint64_t node_id = 0;
  federation::NodeRow row;
  absl::Status error;           // of the last call
  v1::PeerStateResponse state;  // the last one that came
  milliseconds heard_at{0};     // Steady; 0: never
};

struct PeerWatchOptions {
  uint64_t self = 0;  // this node's id
  milliseconds interval{500};
  milliseconds timeout{1'000};
  // An answer that is older says nothing.
  milliseconds fresh{3'000};
};

class PeerWatch {
 public:
  // Told of each comparison that finds a difference, from a thread of its own.
  using Differs = std::function<void(const HashVerdict&)>;

  // All outlive it.
  PeerWatch(PeerWatchOptions options, const Replica* replica,
            const HashHistory* hashes, const Clock* clock, Differs differs);
  ~PeerWatch();

  uint64_t self() const { return options_.self; }
  // By node id; this node is not among them.
  std::vector<PeerInfo> List() const;
  // Whether the peer has answered just now.
  bool Fresh(const PeerInfo& peer) const;

  // Sessions that other nodes may have given a lease; Unavailable, naming it,
  // where a registered one has not answered.
  absl::StatusOr<std::set<uint64_t>> HeldSessions() const;

 private:
  struct Watched;
  void Loop();
  void SyncPeers();
  void Ask(Watched* peer);
  void Compare();
  bool Sleep(milliseconds time) const;

  const PeerWatchOptions options_;
  const Replica& replica_;
  const HashHistory& hashes_;
  const Clock& clock_;
  const Differs differs_;
  mutable absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<uint64_t, std::unique_ptr<Watched>> peers_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace kafed::controller
