// Quorum: the servers that keep a shared log, and what a cluster has on them.
//
//   PATH/chain         the chain of loglets
//   PATH/log-1, ...    the loglets
//   PATH/coordinator   who does the background work
//
// One session serves all of it. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "metastore/coord/election.h"
#include "metastore/log/chain_register.h"
#include "metastore/log/loglet.h"

namespace kafed::metastore {

struct QuorumOptions {
  std::string servers;      // HOST:PORT[,HOST:PORT...]
  std::string path;         // of the cluster, such as "/kafed"
  std::string credentials;  // "user:password"; empty: none
  // How long the servers wait for a node before they take it for dead.
  milliseconds session_timeout{6'000};
  // Files, PEM, of etcd only: who vouches for the servers (and that TLS is
  // used); what this client shows them.
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
};

class Quorum {
 public:
  virtual ~Quorum() = default;

  // What loglets of it are called in the chain, before their names.
  virtual std::string prefix() const = 0;
  virtual std::unique_ptr<ChainRegister> NewChainRegister() = 0;
  virtual std::unique_ptr<Election> NewElection() = 0;
  // The loglet of a link, opened or made. FailedPrecondition for one that is
  // not of this quorum.
  virtual absl::StatusOr<std::shared_ptr<Loglet>> OpenLoglet(
      const ChainLink& link, uint64_t budget_bytes, const Clock& clock) = 0;
};

// `backend` is "zookeeper" or "etcd". Errors name the property of a node's
// configuration (log_servers, ...). Unavailable where no server answers.
absl::StatusOr<std::unique_ptr<Quorum>> OpenQuorum(
    const std::string& backend, const QuorumOptions& options);

// FailedPrecondition, naming it.
absl::Status UnknownLoglet(const ChainLink& link);

}  // namespace kafed::metastore
