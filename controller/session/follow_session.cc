#include "controller/session/follow_session.h"

#include <utility>

#include "common/status_macros.h"
#include "controller/session/client_clock.h"

namespace kafed::controller {
namespace {

Position FromProto(const v1::Position& position) {
  return {position.incarnation(), LogIndex(position.index())};
}

}  // namespace

FollowSession::FollowSession(Replica* replica, LeaseTable* leases,
                             const Clock* clock, milliseconds max_clock_skew)
    : replica_(*replica),
      leases_(*leases),
      clock_(*clock),
      max_clock_skew_(max_clock_skew) {}

FollowSession::~FollowSession() {
  absl::MutexLock lock(&mutex_);
  if (session_id_ != 0) leases_.Disconnected(session_id_);
}

absl::Status FollowSession::Receive(const v1::FollowRequest& request) {
  absl::MutexLock lock(&mutex_);
  if (!feed_) RETURN_IF_ERROR(Start(request));
  return Acknowledge(request);
}

absl::Status FollowSession::Start(const v1::FollowRequest& request) {
  const auto image = replica_.image();
  if (request.session_id() != 0) {
    if (!image->Get<federation::Session>(
            federation::Table::kSessions,
            federation::KeyOf(federation::SessionId(request.session_id())))) {
      return absl::NotFoundError("session_id: there is no session " +
                                 std::to_string(request.session_id()) +
                                 "; open a new one");
    }
    RETURN_IF_ERROR(CheckClientClock(request.client_time_ms(), clock_.Wall(),
                                     max_clock_skew_));
    session_id_ = request.session_id();
    leases_.Connected(session_id_);
  }
  sent_ = FromProto(request.position());
  sent_nonce_ = request.position().nonce();
  if (sent_ > image->position()) {
    return absl::UnavailableError(
        "position: this node is behind the client's view (" +
        ToString(image->position()) + " < " + ToString(sent_) +
        "); try another node or later");
  }
  feed_.emplace(request.filter(), &replica_.changes());
  first_of_run_ = true;
  return absl::OkStatus();
}

absl::Status FollowSession::Acknowledge(const v1::FollowRequest& request) {
  if (session_id_ == 0) return absl::OkStatus();  // nobody waits for a reader
  // A fence rests on this: a view that is not there must not be taken for one.
  const Position position = FromProto(request.position());
  if (position > sent_) {
    return absl::InvalidArgumentError(
        "position: " + ToString(position) +
        " was not sent on this stream, which is at " + ToString(sent_));
  }
  if (request.lease_request() != 0) lease_request_ = request.lease_request();
  const v1::Position present = PositionOf(*replica_.image());
  const uint64_t nonce = request.position().nonce();
  if (position.index.valid() && position.incarnation == present.incarnation() &&
      (nonce == 0 || nonce == present.nonce())) {
    leases_.Acknowledge(session_id_, position);
  }
  if (!request.counts().empty()) {
    leases_.KeepCounts(session_id_,
                       {request.counts().begin(), request.counts().end()});
  }
  return absl::OkStatus();
}

bool FollowSession::CanLease() const {
  return lease_request_ != 0 &&
         leases_.Left(leases_.options().multicast_ttl, leases_.ProvenAt())
                 .count() > 0;
}

bool FollowSession::Next(v1::FollowResponse* response) {
  absl::MutexLock lock(&mutex_);
  if (!feed_) return false;
  if (!running_) {
    const auto image = replica_.image();
    const bool newer =
        sent_ != image->position() ||
        (sent_nonce_ != 0 && sent_nonce_ != image->head().incarnation.nonce);
    if (!newer && !first_of_run_ && !CanLease()) return false;
    feed_->Begin(image, sent_, sent_nonce_);
    running_ = true;
    response->set_full(feed_->full());
  }
  first_of_run_ = false;
  if (feed_->Next(kMaxRows, response->mutable_rows())) return true;
  // The run is complete: the position it completes, and the lease behind it.
  const v1::Position position = PositionOf(feed_->image());
  *response->mutable_position() = position;
  sent_ = FromProto(position);
  sent_nonce_ = position.nonce();
  if (lease_request_ != 0) {
    // Granted first, then proven to be at the tail: a fence that is looked at
    // in between counts it.
    leases_.Grant(session_id_, sent_);
    const milliseconds proven_at = leases_.ProvenAt();
    const milliseconds session =
        leases_.Left(leases_.options().session_ttl, proven_at);
    const milliseconds multicast =
        leases_.Left(leases_.options().multicast_ttl, proven_at);
    if (replica_.position() == sent_ && multicast.count() > 0) {
      response->set_lease_request(lease_request_);
      response->set_lease_ms(static_cast<uint32_t>(session.count()));
      response->set_multicast_lease_ms(
          static_cast<uint32_t>(multicast.count()));
      lease_request_ = 0;
    }
  }
  feed_->End();
  running_ = false;
  return true;
}

}  // namespace kafed::controller
