// The chain of loglets in one key of etcd, for all nodes of a cluster.
//
// A change whose reply is lost is Unavailable: it may have been made; read the
// chain. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "metastore/coord/etcd_session.h"
#include "metastore/log/chain_register.h"

namespace kafed::metastore {

class EtcdChainRegister : public ChainRegister {
 public:
  // `key` is made by the first change. `session` must outlive the register.
  EtcdChainRegister(EtcdSession* session, std::string key);

  absl::StatusOr<Chain> Read() override;
  absl::StatusOr<Chain> CompareAndSet(uint64_t expected,
                                      std::vector<ChainLink> links) override;

 private:
  struct Stored {
    Chain chain;
    int64_t revision = 0;  // of the key; 0: there is none
  };
  absl::StatusOr<Stored> ReadStored();

  EtcdSession& session_;
  const std::string key_;
};

}  // namespace kafed::metastore
