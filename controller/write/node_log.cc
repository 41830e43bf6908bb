#include "controller/write/node_log.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "metastore/coord/zookeeper_election.h"
#include "metastore/coord/zookeeper_session.h"
#include "metastore/log/local_loglet.h"
#include "metastore/log/zookeeper_chain_register.h"
#include "metastore/log/zookeeper_loglet.h"

namespace kafed::controller {
namespace {

using metastore::ChainLink;
using metastore::Loglet;
using LogletOr = absl::StatusOr<std::shared_ptr<Loglet>>;

constexpr char kLocalLoglet[] = "local";
// Loglets in ZooKeeper are called this and a name below the cluster's path.
constexpr char kZooKeeperPrefix[] = "zookeeper:";
// In the data directory: whose log it holds.
constexpr char kLogKey[] = "node.log";

absl::Status UnknownLoglet(const ChainLink& link) {
  return absl::FailedPreconditionError(
      "the log is kept in '" + link.loglet +
      "', which this version does not know");
}

// A copy of a quorum's log must never be taken for a log of its own.
absl::Status CheckDirectory(const NodeLogOptions& options,
                            metastore::Store* store) {
  const std::string wanted =
      options.backend == "local"
          ? options.backend
          : absl::StrCat(options.backend, ":", options.quorum.path);
  ASSIGN_OR_RETURN(const auto found, store->GetMeta(kLogKey));
  ASSIGN_OR_RETURN(const auto bounds, store->log().ReadBounds());
  const bool unused = !bounds.last.valid();
  const std::string is = found ? *found : unused ? wanted : kLocalLoglet;
  if (is == wanted) {
    if (found || wanted == kLocalLoglet) return absl::OkStatus();
    return store->PutMeta(kLogKey, wanted);
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "data_dir: ", options.directory, " belongs to the log '", is,
      "', but log_backend and log_path say '", wanted,
      "'; give the former settings, or an empty directory to join another "
      "cluster (a backup of one log begins another: `kafed restore`)"));
}

absl::Status OpenLocal(const NodeLogOptions& options, const Clock& clock,
                       LogIndex first, NodeLog* node) {
  if (options.read_only) {
    // The links that the last start saw are not needed to read a copy.
    ASSIGN_OR_RETURN(const auto whose, node->store->GetMeta(kLogKey));
    if (whose && *whose != kLocalLoglet) {
      node->chain = std::make_unique<metastore::MemoryChainRegister>();
    }
  }
  if (node->chain == nullptr) {
    node->chain =
        std::make_unique<metastore::StoreChainRegister>(node->store.get());
  }
  const auto factory = [store = node->store.get(),
                        budget_bytes = options.log_budget_bytes](
                           const ChainLink& link) -> LogletOr {
    if (link.loglet != kLocalLoglet) return UnknownLoglet(link);
    metastore::LocalLogletOptions local;
    local.name = link.loglet;
    local.first = link.first;
    local.budget_bytes = budget_bytes;
    ASSIGN_OR_RETURN(auto loglet, metastore::LocalLoglet::Open(store, local));
    return std::shared_ptr<Loglet>(std::move(loglet));
  };
  ASSIGN_OR_RETURN(node->virtual_log,
                   metastore::VirtualLog::Open(node->chain.get(), factory,
                                               {kLocalLoglet, first}, clock));
  return absl::OkStatus();
}

absl::Status OpenZooKeeper(const NodeLogOptions& options, const Clock& clock,
                           LogIndex first, NodeLog* node) {
  const QuorumOptions& quorum = options.quorum;
  auto opened = metastore::ZooKeeperSession::Open(
      {quorum.servers, quorum.session_timeout, quorum.digest});
  RETURN_IF_ERROR(Annotate(opened.status(), "log_servers"));
  node->session = *std::move(opened);
  metastore::ZooKeeperSession* const session = node->session.get();
  const std::string base = quorum.path;
  const std::string chain = base + "/chain";
  RETURN_IF_ERROR(session->CreateFolders(chain));
  node->chain =
      std::make_unique<metastore::ZooKeeperChainRegister>(session, chain);
  const auto factory = [session, base, &clock,
                        budget_bytes = options.log_budget_bytes](
                           const ChainLink& link) -> LogletOr {
    if (!absl::StartsWith(link.loglet, kZooKeeperPrefix)) {
      return UnknownLoglet(link);
    }
    metastore::ZooKeeperLogletOptions loglet;
    loglet.path = base + "/" + link.loglet.substr(sizeof kZooKeeperPrefix - 1);
    loglet.first = link.first;
    loglet.budget_bytes = budget_bytes;
    ASSIGN_OR_RETURN(auto made, metastore::ZooKeeperLoglet::Open(
                                    session, std::move(loglet), clock));
    return std::shared_ptr<Loglet>(std::move(made));
  };
  if (first.value() > 1) {
    ASSIGN_OR_RETURN(const metastore::Chain present, node->chain->Read());
    if (present.version != 0) {
      return absl::FailedPreconditionError(
          "log_path: there is a log at " + base +
          " already; what goes on from a backup needs a path of its own");
    }
  }
  const ChainLink initial{absl::StrCat(kZooKeeperPrefix, "log-1"), first};
  ASSIGN_OR_RETURN(
      node->virtual_log,
      metastore::VirtualLog::Open(node->chain.get(), factory, initial, clock));
  ASSIGN_OR_RETURN(node->journal,
                   metastore::JournaledLog::Open(node->virtual_log.get(),
                                                 node->store.get()));
  node->election = std::make_unique<metastore::ZooKeeperElection>(
      session, base + "/coordinator");
  return absl::OkStatus();
}

}  // namespace

NodeLog::NodeLog() = default;
NodeLog::~NodeLog() = default;
NodeLog::NodeLog(NodeLog&&) noexcept = default;
NodeLog& NodeLog::operator=(NodeLog&&) noexcept = default;

absl::StatusOr<NodeLog> NodeLog::Open(const NodeLogOptions& options,
                                      const Clock& clock, LogIndex first) {
  NodeLog node;
  ASSIGN_OR_RETURN(
      node.store,
      metastore::Store::Open({options.directory, options.free_space_floor_bytes,
                              nullptr, options.read_only}));
  if (!options.read_only) {
    RETURN_IF_ERROR(CheckDirectory(options, node.store.get()));
  }
  if (first.value() > 1) RETURN_IF_ERROR(node.store->log().BeginAt(first));
  if (options.backend == "local" || options.read_only) {
    RETURN_IF_ERROR(OpenLocal(options, clock, first, &node));
  } else {
    RETURN_IF_ERROR(OpenZooKeeper(options, clock, first, &node));
  }
  ASSIGN_OR_RETURN(node.snapshots,
                   metastore::SnapshotStore::Open(node.store.get(), {}, clock));
  return node;
}

metastore::SharedLog& NodeLog::log() const {
  if (journal != nullptr) return *journal;
  return *virtual_log;
}

uint64_t NodeLog::node_number() const {
  return std::stoull(store->node_id().substr(0, 16), nullptr, 16);
}

}  // namespace kafed::controller
