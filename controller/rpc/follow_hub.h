// FollowHub: the Follow streams of a node and what wakes them.
//
// A publish wakes the hub, which wakes the streams at most every few
// milliseconds: a follower then gets everything since its cursor in one write
// (waking 1,000 followers costs some 35 ms of CPU, however much is new).
//
// Each stream is a reactor with at most one write under way around a
// FollowSession, which holds all state worth testing. Thread-safe.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "controller/rpc/rpc_context.h"
#include "kafed/v1/routing.grpc.pb.h"

namespace kafed::controller {

class FollowReactor;

class FollowHub {
 public:
  // `context` outlives the hub. Listens to the replica.
  explicit FollowHub(const RpcContext* context);
  // REQUIRES: the gRPC server is shut down, so that no stream is left.
  ~FollowHub();

  grpc::ServerBidiReactor<v1::FollowRequest, v1::FollowResponse>* NewReactor(
      grpc::CallbackServerContext* call);

  // Ends all streams, and those to come, with Unavailable.
  void Stop();

  uint32_t followers() const { return followers_; }

  // Streams at most; beyond it new ones are refused.
  static constexpr uint32_t kMaxFollowers = 20'000;
  static constexpr uint32_t kMaxFollowersOfConnection = 2'000;

 private:
  friend class FollowReactor;
  absl::Status Add(FollowReactor* reactor);
  void Remove(FollowReactor* reactor);
  void EndStalled();
  bool CanGiveLeases() const;
  void Loop();

  const RpcContext& context_;
  std::atomic<uint32_t> followers_{0};  // as many as reactors_
  absl::Mutex mutex_;                   // held while streams are woken
  absl::flat_hash_set<FollowReactor*> reactors_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, uint32_t> of_connection_
      ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  // Must not be deleted meanwhile.
  FollowReactor* cancelling_ ABSL_GUARDED_BY(mutex_) = nullptr;
  // Apart from mutex_, so that a publish never waits for the streams.
  absl::Mutex signal_mutex_;
  bool woken_ ABSL_GUARDED_BY(signal_mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(signal_mutex_) = false;
  std::thread thread_;
};

}  // namespace kafed::controller
