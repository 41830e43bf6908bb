// The chain of loglets in one node of ZooKeeper, for all nodes of a cluster.
//
// A change whose connection is lost is Unavailable: it may have been made; read
// the chain. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "metastore/coord/zookeeper_session.h"
#include "metastore/log/chain_register.h"

namespace kafed::metastore {

class ZooKeeperChainRegister : public ChainRegister {
 public:
  // `path` is made by the first change. `session` must outlive the register.
  ZooKeeperChainRegister(ZooKeeperSession* session, std::string path);

  absl::StatusOr<Chain> Read() override;
  absl::StatusOr<Chain> CompareAndSet(uint64_t expected,
                                      std::vector<ChainLink> links) override;

 private:
  struct Stored {
    Chain chain;
    int32_t version = 0;  // of the node
  };
  absl::StatusOr<Stored> ReadStored();

  ZooKeeperSession& session_;
  const std::string path_;
};

}  // namespace kafed::metastore
