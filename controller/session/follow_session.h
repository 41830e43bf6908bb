// FollowSession: one follower of the route view, without gRPC.
//
// A cursor, not a queue: it knows the position the client has been sent, and
// when asked for the next message it sends what is newer, however much was
// missed. A lease that was asked for is answered only behind the rows up to the
// tail, so that a leased view is never older than the lease.
//
// Driven by a reactor (rpc/follow_reactor.h) or a test. Thread-safe.
#pragma once

#include <memory>
#include <optional>

#include "absl/synchronization/mutex.h"
#include "controller/session/lease_table.h"
#include "controller/write/replica.h"
#include "federation/view/view_feed.h"
#include "kafed/v1/routing.pb.h"

namespace kafed::controller {

class FollowSession {
 public:
  // A clock that is off by more than this is refused (a quarter of W).
  FollowSession(Replica* replica, LeaseTable* leases, const Clock* clock,
                milliseconds max_clock_skew);
  ~FollowSession();

  // A message from the client: the first says what is wanted, later ones
  // acknowledge what they were sent. InvalidArgument or FailedPrecondition end
  // the stream.
  absl::Status Receive(const v1::FollowRequest& request);

  // The next message to send; false if there is nothing now.
  bool Next(v1::FollowResponse* response);

  // Rows of one message at most.
  static constexpr size_t kMaxRows = 4'000;

 private:
  absl::Status Start(const v1::FollowRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Acknowledge(const v1::FollowRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A lease is asked for, and this node can give one.
  bool CanLease() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Replica& replica_;
  LeaseTable& leases_;
  const Clock& clock_;
  const milliseconds max_clock_skew_;
  absl::Mutex mutex_;
  std::optional<federation::ViewFeed> feed_ ABSL_GUARDED_BY(mutex_);
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  bool first_of_run_ ABSL_GUARDED_BY(mutex_) = false;
  Position sent_ ABSL_GUARDED_BY(mutex_);
  uint64_t sent_nonce_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t session_id_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t lease_request_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace kafed::controller
