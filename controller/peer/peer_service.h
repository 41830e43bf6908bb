// The Peer service: what other nodes ask this one.
#pragma once

#include <atomic>

#include "controller/peer/hash_history.h"
#include "controller/rpc/rpc_context.h"
#include "kafed/v1/peer.grpc.pb.h"
#include "metastore/log/snapshot_store.h"

namespace kafed::controller {

class PeerService final : public v1::Peer::CallbackService {
 public:
  // Saves a snapshot of the newest image.
  using SaveSnapshot = std::function<absl::Status()>;

  // All outlive the service.
  PeerService(const RpcContext* context, const HashHistory* hashes,
              const metastore::SnapshotStore* snapshots, SaveSnapshot save)
      : context_(*context),
        hashes_(*hashes),
        snapshots_(*snapshots),
        save_(std::move(save)) {}

  grpc::ServerUnaryReactor* State(grpc::CallbackServerContext* call,
                                  const v1::PeerStateRequest* request,
                                  v1::PeerStateResponse* response) override;
  grpc::ServerWriteReactor<v1::FetchSnapshotResponse>* FetchSnapshot(
      grpc::CallbackServerContext* call,
      const v1::FetchSnapshotRequest* request) override;

  // Snapshots sent at once; beyond it others are asked to come again.
  static constexpr int kMaxStreams = 2;

 private:
  const RpcContext& context_;
  const HashHistory& hashes_;
  const metastore::SnapshotStore& snapshots_;
  const SaveSnapshot save_;
  std::atomic<int> streams_{0};
};

}  // namespace kafed::controller
