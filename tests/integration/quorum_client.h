// One node's way to the quorum under test, whichever servers it is of: those
// that KAFED_ZOOKEEPER or KAFED_ETCD name, set by quorum_log_test.py.
#pragma once

#include <memory>
#include <string>

#include "metastore/log/chain_register.h"
#include "metastore/log/quorum_loglet.h"

namespace kafed::metastore {

class QuorumClient {
 public:
  virtual ~QuorumClient() = default;

  virtual absl::StatusOr<std::unique_ptr<QuorumLoglet>> Open(
      QuorumLogletOptions options, const Clock& clock) = 0;
  virtual std::unique_ptr<ChainRegister> OpenChain(std::string path) = 0;
  // Puts rubbish in the place of an entry.
  virtual absl::Status Damage(const std::string& path, LogIndex index) = 0;

  // As Open; a Fault if it fails.
  std::unique_ptr<QuorumLoglet> OpenLoglet(QuorumLogletOptions options,
                                           const Clock& clock = RealClock());
};

// With a session of its own.
std::unique_ptr<QuorumClient> NewClient();

// "ZooKeeper" or "Etcd".
const char* QuorumName();
// The servers of the quorum.
std::string Servers();
// A variable of the environment; empty: not set.
std::string FromDriver(const char* name);
// Nothing is there yet.
std::string NewPath();

}  // namespace kafed::metastore
