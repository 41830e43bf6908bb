// An office kept by ZooKeeper: an ephemeral node with the holder's name, which
// goes with the holder's session.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "metastore/coord/election.h"
#include "metastore/coord/zookeeper_session.h"

namespace kafed::metastore {

// Thread-safe.
class ZooKeeperElection : public Election {
 public:
  // `path` is the node's; the folders above it are made. `session` must outlive
  // the election.
  ZooKeeperElection(ZooKeeperSession* session, std::string path);

  absl::StatusOr<std::string> Campaign(std::string_view candidate) override;
  absl::StatusOr<std::string> Holder() override;
  absl::Status Resign() override;

 private:
  ZooKeeperSession& session_;
  const std::string path_;
  std::mutex mutex_;
  std::string candidate_;  // of the last Campaign
};

}  // namespace kafed::metastore
