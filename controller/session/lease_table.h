// LeaseTable: who may still be using which routes, and for how long.
//
// Soft state of a node, beside the sessions recorded in the image. Each grant
// says "routes at this position may be used until then"; the end is counted
// from the node's clock when it was given, the client counts from when it
// asked, so the client's end is never later. A fence at position P is complete
// when nobody can use a route older than P: every session acknowledged P, or
// its grants at older positions are over; and the same for unary answers.
//
// After a start, what former processes granted is unknown: every recorded
// session, and the unary callers, count as having been granted a lease at the
// moment of the start.
//
// Where other nodes give leases too (a shared log), nobody knows them all: a
// fence then waits until every lease that may have been given before it is
// over. And a lease is counted from when this node last proved to be at the
// log's tail (write/tail_prover.h), so that none outlasts that wait.
//
// Thread-safe; no gRPC in it.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "common/position.h"
#include "federation/image/image.h"

namespace kafed::controller {

struct LeaseOptions {
  milliseconds session_ttl{15 * 60 * 1000};
  milliseconds multicast_ttl{10'000};
  bool shared_log = false;
};

struct SessionLease {
  uint64_t session_id = 0;
  Position acknowledged;
  milliseconds remaining{0};  // of its longest grant
  bool connected = false;
};

class LeaseTable {
 public:
  LeaseTable(const LeaseOptions& options, const Clock* clock,
             const federation::Image& image);

  const LeaseOptions& options() const { return options_; }

  // This node's image was at the log's tail at `at` (Steady); needed where the
  // log is shared only.
  void Proven(milliseconds at);
  // When the last proof was (Steady); now, where none is needed. To be taken
  // before the image that a lease is for.
  milliseconds ProvenAt() const;
  // What is left of a ttl that began with a proof; 0: nothing, the node can't
  // tell whether it is current.
  milliseconds Left(milliseconds ttl, milliseconds proven_at) const;

  void Connected(uint64_t session_id);
  void Disconnected(uint64_t session_id);
  void Forget(uint64_t session_id);

  // The session's view is at `position` or after, from now on.
  void Acknowledge(uint64_t session_id, Position position);
  // The session is about to be sent a lease for routes at `position`.
  void Grant(uint64_t session_id, Position position);
  // A unary answer is about to be given, usable for `ttl`. Call before reading
  // the image it is made from.
  void GrantUnary(milliseconds ttl);
  // Keeps the counts that a session reported last, for its expiry; those of
  // one that is not known are dropped.
  void KeepCounts(uint64_t session_id, std::vector<v1::SegmentCount> counts);
  std::vector<v1::SegmentCount> LastCounts(uint64_t session_id) const;

  struct Fence {
    // Sessions that may still use older multicast routes.
    std::vector<uint64_t> sessions;
    // Time until it is complete at the latest, if nobody acknowledges.
    milliseconds remaining{0};
    bool complete() const { return sessions.empty() && remaining.count() == 0; }
  };
  // The fence of multicast routes at `position`, planned at `committed_at`
  // (Steady): unary answers given after that show the new routes.
  Fence MulticastFence(Position position, milliseconds committed_at) const;

  // Raised by everything that may complete a fence, and by Poke.
  uint64_t changes() const;
  // Waits until changes() is no longer `seen`, or `timeout` has passed.
  void AwaitChange(uint64_t seen, milliseconds timeout) const;
  void Poke();

  // Counts a session that was opened at another node as heard of now, unless
  // it is known.
  void Watch(uint64_t session_id);
  // Sessions that are not connected and whose leases are all over.
  std::vector<uint64_t> Expired() const;
  // The others.
  std::vector<uint64_t> Unexpired() const;
  std::vector<SessionLease> List() const;

 private:
  struct Held {
    Position position;
    milliseconds session_end;
    milliseconds multicast_end;
  };
  struct Entry {
    Position acknowledged;
    std::deque<Held> grants;  // of positions not yet superseded
    milliseconds last_heard{0};
    int connections = 0;
    std::vector<v1::SegmentCount> counts;
  };
  // When its last lease is over.
  milliseconds EndOf(const Entry& entry) const;
  Fence FenceLocked(Position position, milliseconds committed_at) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const LeaseOptions options_;
  const Clock& clock_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  uint64_t changes_ ABSL_GUARDED_BY(mutex_) = 0;
  milliseconds unary_end_ ABSL_GUARDED_BY(mutex_);
  milliseconds proven_at_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kafed::controller
