// PeerClient: asks another node of the metadata cluster.
//
// Calls block, a few seconds at most, except for a snapshot, which takes as
// long as bytes come. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "kafed/v1/peer.pb.h"
#include "metastore/log/snapshot_store.h"

namespace kafed::controller {

class PeerClient {
 public:
  // Connects when it is first used. `address` is HOST:PORT.
  explicit PeerClient(const std::string& address);
  ~PeerClient();

  // Unavailable or DeadlineExceeded where it does not answer.
  absl::StatusOr<v1::PeerStateResponse> State(milliseconds timeout) const;

  // Takes over the peer's newest snapshot, which is at `min_index` or after. A
  // connection that breaks is made again, and the rest fetched.
  absl::StatusOr<metastore::StoredSnapshot> FetchSnapshot(
      uint64_t min_index, metastore::SnapshotStore* snapshots) const;

 private:
  struct Connection;
  const std::string address_;
  const std::unique_ptr<Connection> connection_;
};

}  // namespace kafed::controller
