#include "controller/rpc/follow_hub.h"

#include <optional>
#include <string>

#include "absl/time/clock.h"
#include "controller/rpc/status_conversion.h"
#include "controller/session/follow_session.h"

namespace kafed::controller {
namespace {
constexpr absl::Duration kWakePause = absl::Milliseconds(5);
}  // namespace

// Deletes itself when the stream is done.
class FollowReactor final
    : public grpc::ServerBidiReactor<v1::FollowRequest, v1::FollowResponse> {
 public:
  FollowReactor(FollowHub* hub, const RpcContext& context)
      : hub_(*hub),
        session_(context.replica, context.leases, context.clock,
                 context.fence_window / 4) {
    StartRead(&request_);
  }

  // Sends what is new, unless a write is under way (its end looks again).
  void Wake() {
    absl::MutexLock lock(&mutex_);
    WriteNext();
  }

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
    StartWrite(&response_);
  }

  FollowHub& hub_;
  FollowSession session_;
  v1::FollowRequest request_;
  std::optional<uint64_t> session_id_;  // of the first message
  absl::Mutex mutex_;
  v1::FollowResponse response_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
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
FollowHub::NewReactor() {
  auto* reactor = new FollowReactor(this, context_);
  if (followers_.fetch_add(1) >= kMaxFollowers) {
    reactor->FinishOnce({grpc::StatusCode::RESOURCE_EXHAUSTED,
                         "the node has its maximum of followers; try another"});
  }
  absl::MutexLock lock(&mutex_);
  reactors_.insert(reactor);
  if (stopped_) reactor->FinishOnce(ToGrpc(ShuttingDown()));
  return reactor;
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
  followers_.fetch_sub(1);
  absl::MutexLock lock(&mutex_);
  reactors_.erase(reactor);
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
  while (true) {
    {
      absl::MutexLock lock(&signal_mutex_);
      signal_mutex_.Await(absl::Condition(&ready));
      if (stopping_) return;
      woken_ = false;
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
