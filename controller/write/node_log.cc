#include "controller/write/node_log.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "metastore/log/local_loglet.h"

namespace kafed::controller {
namespace {

using metastore::ChainLink;
using metastore::Loglet;
using LogletOr = absl::StatusOr<std::shared_ptr<Loglet>>;

constexpr char kLocalLoglet[] = "local";
// In the data directory: whose log it holds.
constexpr char kLogKey[] = "node.log";

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
    if (link.loglet != kLocalLoglet) return metastore::UnknownLoglet(link);
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

absl::Status OpenShared(const NodeLogOptions& options, const Clock& clock,
                        LogIndex first, NodeLog* node) {
  ASSIGN_OR_RETURN(node->quorum,
                   metastore::OpenQuorum(options.backend, options.quorum));
  node->chain = node->quorum->NewChainRegister();
  if (first.value() > 1) {
    ASSIGN_OR_RETURN(const metastore::Chain present, node->chain->Read());
    if (present.version != 0) {
      return absl::FailedPreconditionError(
          "log_path: there is a log at " + options.quorum.path +
          " already; what goes on from a backup needs a path of its own");
    }
  }
  const auto factory = [quorum = node->quorum.get(), &clock,
                        budget_bytes =
                            options.log_budget_bytes](const ChainLink& link) {
    return quorum->OpenLoglet(link, budget_bytes, clock);
  };
  const ChainLink initial{node->quorum->prefix() + "log-1", first};
  ASSIGN_OR_RETURN(
      node->virtual_log,
      metastore::VirtualLog::Open(node->chain.get(), factory, initial, clock));
  ASSIGN_OR_RETURN(node->journal,
                   metastore::JournaledLog::Open(node->virtual_log.get(),
                                                 node->store.get()));
  node->election = node->quorum->NewElection();
  return absl::OkStatus();
}

}  // namespace

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
    RETURN_IF_ERROR(OpenShared(options, clock, first, &node));
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
