#include "tests/integration/quorum_client.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/log.h"
#include "metastore/log/etcd_chain_register.h"
#include "metastore/log/etcd_loglet.h"
#include "metastore/log/zookeeper_chain_register.h"
#include "metastore/log/zookeeper_loglet.h"

namespace kafed::metastore {
namespace {

template <typename T>
std::unique_ptr<T> Need(absl::StatusOr<std::unique_ptr<T>> session) {
  if (!session.ok()) Fault("no session", {{"why", session.status()}});
  return *std::move(session);
}

class ZooKeeperClient : public QuorumClient {
 public:
  absl::StatusOr<std::unique_ptr<QuorumLoglet>> Open(
      QuorumLogletOptions options, const Clock& clock) override {
    return ZooKeeperLoglet::Open(session_.get(), std::move(options), clock);
  }
  std::unique_ptr<ChainRegister> OpenChain(std::string path) override {
    return std::make_unique<ZooKeeperChainRegister>(session_.get(),
                                                    std::move(path));
  }
  absl::Status Damage(const std::string& path, LogIndex index) override {
    return session_
        ->Set(absl::StrFormat("%s/e/%d/%d", path, index.value() / 1'000,
                              index.value()),
              "rubbish")
        .status();
  }

 private:
  // Patient: at rest, a machine that stalls must not end a connection.
  std::unique_ptr<ZooKeeperSession> session_ = Need(ZooKeeperSession::Open(
      {.servers = Servers(), .session_timeout = milliseconds(30'000)}));
};

class EtcdClient : public QuorumClient {
 public:
  absl::StatusOr<std::unique_ptr<QuorumLoglet>> Open(
      QuorumLogletOptions options, const Clock& clock) override {
    return EtcdLoglet::Open(session_.get(), std::move(options), clock);
  }
  std::unique_ptr<ChainRegister> OpenChain(std::string path) override {
    return std::make_unique<EtcdChainRegister>(session_.get(), std::move(path));
  }
  absl::Status Damage(const std::string& path, LogIndex index) override {
    const EtcdWrite put{EtcdWrite::Kind::kPut,
                        absl::StrFormat("%s/e/%020d", path, index.value()),
                        "rubbish"};
    return session_->Commit({}, {&put, 1}).status();
  }

 private:
  std::unique_ptr<EtcdSession> session_ =
      Need(EtcdSession::Open({.servers = Servers(),
                              .user = FromDriver("KAFED_ETCD_USER"),
                              .password = FromDriver("KAFED_ETCD_PASSWORD")}));
};

bool IsEtcd() { return !FromDriver("KAFED_ETCD").empty(); }

}  // namespace

std::unique_ptr<QuorumLoglet> QuorumClient::OpenLoglet(
    QuorumLogletOptions options, const Clock& clock) {
  auto loglet = Open(std::move(options), clock);
  if (!loglet.ok()) Fault("no loglet", {{"why", loglet.status()}});
  return *std::move(loglet);
}

std::unique_ptr<QuorumClient> NewClient() {
  if (IsEtcd()) return std::make_unique<EtcdClient>();
  return std::make_unique<ZooKeeperClient>();
}

const char* QuorumName() { return IsEtcd() ? "Etcd" : "ZooKeeper"; }

std::string Servers() {
  std::string servers = FromDriver(IsEtcd() ? "KAFED_ETCD" : "KAFED_ZOOKEEPER");
  if (servers.empty()) Fault("neither KAFED_ZOOKEEPER nor KAFED_ETCD is set");
  return servers;
}

std::string FromDriver(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string NewPath() {
  static std::atomic<int> made{0};
  return "/kafed-test/" + std::to_string(getpid()) + "/log-" +
         std::to_string(made++);
}

}  // namespace kafed::metastore
