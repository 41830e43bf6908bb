#include "controller/rpc/follow_hub.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "controller/rpc/status_conversion.h"
#include "controller/session/follow_session.h"

namespace kafed::controller {
namespace {
constexpr absl::Duration kWakePause = absl::Milliseconds(5);
constexpr milliseconds kStallLook{1'000};
}  // namespace

// Deletes itself when the stream is done.
class FollowReactor final
    : public grpc::ServerBidiReactor<v1::FollowRequest, v1::FollowResponse> {
 public:
  FollowReactor(FollowHub* hub, grpc::CallbackServerContext* call,
                const RpcContext& context)
      : hub_(*hub),
        call_(call),
        peer_(call->peer()),
        clock_(*context.clock),
        session_(context.replica, context.leases, context.clock,
                 context.fence_window / 4) {
    StartRead(&request_);
  }

  // The connection that it came by.
  const std::string& peer() const { return peer_; }

  // Sends what is new, unless a write is under way (its end looks again).
  void Wake() {
    absl::MutexLock lock(&mutex_);
    WriteNext();
  }

  // Its client takes nothing: the run of rows that it is in holds a state of
  // the image.
  bool stalled() {
    absl::MutexLock lock(&mutex_);
    return writing_ && clock_.Steady() >= written_at_ + kStalled;
  }
  // Calls back at once, maybe up to OnDone.
  void Cancel() { call_->TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) {
      // The client is done sending; without its acknowledgements it is gone.
      FinishOnce(grpc::Status::OK);
      return;
    }
    const absl::Status received = Receive();
    if (!received.ok()) {
      FinishOnce(ToGrpc(received));
      return;
    }
    Wake();
    StartRead(&request_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) {
      FinishOnce(grpc::Status::CANCELLED);
      return;
    }
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    WriteNext();
  }

  void OnCancel() override { FinishOnce(grpc::Status::CANCELLED); }

  void OnDone() override {
    hub_.Remove(this);
    delete this;
  }

  void FinishOnce(const grpc::Status& status) {
    {
      absl::MutexLock lock(&mutex_);
      if (finished_) return;
      finished_ = true;
    }
    // Outside the lock: the stream may be done, and deleted, at once.
    Finish(status);
  }

 private:
  absl::Status Receive() {
    const uint64_t session = request_.session_id();
    if (!session_id_) session_id_ = session;
    if (session != 0 && session != *session_id_) {
      return absl::InvalidArgumentError(
          "session_id: is " + std::to_string(session) +
          ", the stream began with " + std::to_string(*session_id_) +
          "; open another stream for another session");
    }
    return session_.Receive(request_);
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) return;
    response_.Clear();
    if (!session_.Next(&response_)) return;
    writing_ = true;
    written_at_ = clock_.Steady();
    StartWrite(&response_);
  }

  FollowHub& hub_;
  grpc::CallbackServerContext* const call_;
  const std::string peer_;
  const Clock& clock_;
  FollowSession session_;
  v1::FollowRequest request_;
  std::optional<uint64_t> session_id_;  // of the first message
  absl::Mutex mutex_;
  v1::FollowResponse response_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  milliseconds written_at_ ABSL_GUARDED_BY(mutex_){0};
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

// A stream that ends as it begins.
class RefusedReactor final
    : public grpc::ServerBidiReactor<v1::FollowRequest, v1::FollowResponse> {
 public:
  explicit RefusedReactor(const absl::Status& status) {
    Finish(ToGrpc(status));
  }
  void OnDone() override { delete this; }
};

FollowHub::FollowHub(const RpcContext* context) : context_(*context) {
  context_.replica->AddListener([this] {
    absl::MutexLock lock(&signal_mutex_);
    woken_ = true;
  });
  thread_ = std::thread([this] { Loop(); });
}

FollowHub::~FollowHub() {
  {
    absl::MutexLock lock(&signal_mutex_);
    stopping_ = true;
  }
  thread_.join();
}

grpc::ServerBidiReactor<v1::FollowRequest, v1::FollowResponse>*
FollowHub::NewReactor(grpc::CallbackServerContext* call) {
  auto* reactor = new FollowReactor(this, call, context_);
  absl::Status added = Add(reactor);
  if (added.ok()) return reactor;
  delete reactor;
  return new RefusedReactor(added);
}

absl::Status FollowHub::Add(FollowReactor* reactor) {
  absl::MutexLock lock(&mutex_);
  if (stopped_) return ShuttingDown();
  if (reactors_.size() >= kMaxFollowers) {
    return absl::ResourceExhaustedError(
        "the node has its maximum of followers; try another");
  }
  // One client that opens streams and drops them, faster than their ends are
  // worked off, must leave room for the others.
  uint32_t& of_connection = of_connection_[reactor->peer()];
  if (of_connection >= kMaxFollowersOfConnection) {
    return absl::ResourceExhaustedError(
        "the connection has its maximum of followers; end some of them");
  }
  ++of_connection;
  reactors_.insert(reactor);
  followers_ = reactors_.size();
  return absl::OkStatus();
}

void FollowHub::Stop() {
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
  // A stream that is done waits for the lock in Remove.
  for (FollowReactor* reactor : reactors_) {
    reactor->FinishOnce(ToGrpc(ShuttingDown()));
  }
}

void FollowHub::Remove(FollowReactor* reactor) {
  absl::MutexLock lock(&mutex_);
  reactors_.erase(reactor);
  followers_ = reactors_.size();
  const auto connection = of_connection_.find(reactor->peer());
  if (--connection->second == 0) of_connection_.erase(connection);
  if (std::this_thread::get_id() == thread_.get_id()) return;
  const auto unused = [&] {
    mutex_.AssertReaderHeld();
    return cancelling_ != reactor;
  };
  mutex_.Await(absl::Condition(&unused));
}

void FollowHub::EndStalled() {
  std::vector<FollowReactor*> stalled;
  {
    absl::MutexLock lock(&mutex_);
    for (FollowReactor* reactor : reactors_) {
      if (reactor->stalled()) stalled.push_back(reactor);
    }
  }
  for (FollowReactor* reactor : stalled) {
    {
      absl::MutexLock lock(&mutex_);
      if (!reactors_.contains(reactor)) continue;
      cancelling_ = reactor;
    }
    reactor->Cancel();
    absl::MutexLock lock(&mutex_);
    cancelling_ = nullptr;
  }
}

bool FollowHub::CanGiveLeases() const {
  const LeaseTable& leases = *context_.leases;
  return leases.Left(leases.options().multicast_ttl, leases.ProvenAt())
             .count() > 0;
}

void FollowHub::Loop() {
  const auto ready = [this] {
    signal_mutex_.AssertReaderHeld();
    return stopping_ || woken_;
  };
  const auto stopping = [this] {
    signal_mutex_.AssertReaderHeld();
    return stopping_;
  };
  milliseconds next_look{0};
  bool leases_given = true;
  while (true) {
    {
      absl::MutexLock lock(&signal_mutex_);
      signal_mutex_.AwaitWithTimeout(absl::Condition(&ready),
                                     absl::FromChrono(kStallLook));
      if (stopping_) return;
    }
    if (context_.clock->Steady() >= next_look) {
      next_look = context_.clock->Steady() + kStallLook;
      EndStalled();
    }
    // A lease that could not be given may be waited for.
    const bool could_give = std::exchange(leases_given, CanGiveLeases());
    const bool again = leases_given && !could_give;
    {
      absl::MutexLock lock(&signal_mutex_);
      if (!std::exchange(woken_, false) && !again) continue;
    }
    {
      absl::MutexLock lock(&mutex_);
      for (FollowReactor* reactor : reactors_) reactor->Wake();
    }
    absl::MutexLock lock(&signal_mutex_);
    if (signal_mutex_.AwaitWithTimeout(absl::Condition(&stopping),
                                       kWakePause)) {
      return;
    }
  }
}

}  // namespace kafed::controller
