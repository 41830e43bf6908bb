#include "metastore/log/quorum.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "metastore/coord/etcd_election.h"
#include "metastore/coord/etcd_session.h"
#include "metastore/coord/zookeeper_election.h"
#include "metastore/coord/zookeeper_session.h"
#include "metastore/log/etcd_chain_register.h"
#include "metastore/log/etcd_loglet.h"
#include "metastore/log/zookeeper_chain_register.h"
#include "metastore/log/zookeeper_loglet.h"

namespace kafed::metastore {
namespace {

using LogletOr = absl::StatusOr<std::shared_ptr<Loglet>>;

absl::StatusOr<QuorumLogletOptions> LogletOptions(const Quorum& quorum,
                                                  const std::string& path,
                                                  const ChainLink& link,
                                                  uint64_t budget_bytes) {
  const std::string prefix = quorum.prefix();
  if (!absl::StartsWith(link.loglet, prefix)) return UnknownLoglet(link);
  QuorumLogletOptions options;
  options.path = absl::StrCat(path, "/", link.loglet.substr(prefix.size()));
  options.first = link.first;
  options.budget_bytes = budget_bytes;
  return options;
}

class ZooKeeperQuorum final : public Quorum {
 public:
  ZooKeeperQuorum(std::unique_ptr<ZooKeeperSession> session, std::string path)
      : session_(std::move(session)), path_(std::move(path)) {}

  std::string prefix() const override { return "zookeeper:"; }
  std::unique_ptr<ChainRegister> NewChainRegister() override {
    return std::make_unique<ZooKeeperChainRegister>(session_.get(),
                                                    path_ + "/chain");
  }
  std::unique_ptr<Election> NewElection() override {
    return std::make_unique<ZooKeeperElection>(session_.get(),
                                               path_ + "/coordinator");
  }
  LogletOr OpenLoglet(const ChainLink& link, uint64_t budget_bytes,
                      const Clock& clock) override {
    ASSIGN_OR_RETURN(auto options,
                     LogletOptions(*this, path_, link, budget_bytes));
    ASSIGN_OR_RETURN(
        auto loglet,
        ZooKeeperLoglet::Open(session_.get(), std::move(options), clock));
    return std::shared_ptr<Loglet>(std::move(loglet));
  }

 private:
  const std::unique_ptr<ZooKeeperSession> session_;
  const std::string path_;
};

class EtcdQuorum final : public Quorum {
 public:
  EtcdQuorum(std::unique_ptr<EtcdSession> session, std::string path)
      : session_(std::move(session)), path_(std::move(path)) {}

  std::string prefix() const override { return "etcd:"; }
  std::unique_ptr<ChainRegister> NewChainRegister() override {
    return std::make_unique<EtcdChainRegister>(session_.get(),
                                               path_ + "/chain");
  }
  std::unique_ptr<Election> NewElection() override {
    return std::make_unique<EtcdElection>(session_.get(),
                                          path_ + "/coordinator");
  }
  LogletOr OpenLoglet(const ChainLink& link, uint64_t budget_bytes,
                      const Clock& clock) override {
    ASSIGN_OR_RETURN(auto options,
                     LogletOptions(*this, path_, link, budget_bytes));
    ASSIGN_OR_RETURN(auto loglet, EtcdLoglet::Open(session_.get(),
                                                   std::move(options), clock));
    return std::shared_ptr<Loglet>(std::move(loglet));
  }

 private:
  const std::unique_ptr<EtcdSession> session_;
  const std::string path_;
};

absl::StatusOr<std::unique_ptr<Quorum>> OpenZooKeeper(
    const QuorumOptions& options) {
  if (!options.ca_file.empty() || !options.certificate_file.empty()) {
    return absl::FailedPreconditionError(
        "log_ca_file: the ZooKeeper client has no TLS; use a private network, "
        "a TLS tunnel on this machine, or log_backend etcd");
  }
  ASSIGN_OR_RETURN(auto session, ZooKeeperSession::Open(
                                     {options.servers, options.session_timeout,
                                      options.credentials}));
  RETURN_IF_ERROR(session->CreateFolders(options.path + "/chain"));
  return std::unique_ptr<Quorum>(
      std::make_unique<ZooKeeperQuorum>(std::move(session), options.path));
}

absl::StatusOr<std::unique_ptr<Quorum>> OpenEtcd(const QuorumOptions& options) {
  EtcdOptions etcd;
  etcd.servers = options.servers;
  etcd.timeout = options.session_timeout;
  etcd.lease_ttl = options.session_timeout;
  const size_t colon = options.credentials.find(':');
  etcd.user = options.credentials.substr(0, colon);
  if (colon != std::string::npos) {
    etcd.password = options.credentials.substr(colon + 1);
  }
  etcd.ca_file = options.ca_file;
  etcd.certificate_file = options.certificate_file;
  etcd.key_file = options.key_file;
  ASSIGN_OR_RETURN(auto session, EtcdSession::Open(std::move(etcd)));
  return std::unique_ptr<Quorum>(
      std::make_unique<EtcdQuorum>(std::move(session), options.path));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Quorum>> OpenQuorum(
    const std::string& backend, const QuorumOptions& options) {
  auto quorum = backend == "etcd" ? OpenEtcd(options) : OpenZooKeeper(options);
  if (quorum.ok()) return quorum;
  return Annotate(quorum.status(), "log_servers");
}

absl::Status UnknownLoglet(const ChainLink& link) {
  return absl::FailedPreconditionError(
      "the log is kept in '" + link.loglet +
      "', which this version does not know, or not with this log_backend");
}

}  // namespace kafed::metastore
