// ChunkReactor: a stream of bytes to one client, made by a worker.
//
// The producer runs on a worker that may wait; at most one chunk is on its way.
// A client that reads nothing is let go. Deletes itself.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string_view>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "controller/rpc/rpc_context.h"
#include "controller/rpc/status_conversion.h"

namespace kafed::controller {

template <typename Chunk>
class ChunkReactor : public grpc::ServerWriteReactor<Chunk> {
 public:
  ChunkReactor(const RpcContext& context, grpc::CallbackServerContext* call)
      : context_(context), call_(call) {}

  void Start() {
    if (!context_.workers->RunBulk([this] { Run(); })) {
      this->Finish(ToGrpc(absl::ResourceExhaustedError(
          "the node has too many calls waiting; try again later")));
    }
  }
  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    failed_ = failed_ || !ok;
  }
  void OnCancel() override {
    absl::MutexLock lock(&mutex_);
    failed_ = true;
  }
  void OnDone() override { delete this; }

 protected:
  // Sends everything; on a worker.
  virtual absl::Status Produce() = 0;

  absl::Status Send(Chunk chunk) {
    absl::Status idle = AwaitIdle();
    if (!idle.ok()) return idle;
    absl::MutexLock lock(&mutex_);
    chunk_ = std::move(chunk);
    writing_ = true;
    this->StartWrite(&chunk_);
    return absl::OkStatus();
  }

  const RpcContext& context() const { return context_; }

 private:
  void Run() {
    absl::Status status = Produce();
    if (status.ok()) status = AwaitIdle();
    this->Finish(ToGrpc(status));
  }

  absl::Status AwaitIdle() {
    const auto idle = [this] {
      mutex_.AssertReaderHeld();
      return !writing_;
    };
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&idle),
                                  absl::FromChrono(kStalled))) {
        if (failed_) return absl::CancelledError("the client went away");
        return absl::OkStatus();
      }
    }
    call_->TryCancel();  // outside the lock: it calls back
    return absl::DeadlineExceededError("the client reads nothing");
  }

  const RpcContext& context_;
  grpc::CallbackServerContext* const call_;
  absl::Mutex mutex_;
  Chunk chunk_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace kafed::controller
