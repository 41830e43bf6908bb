#include "controller/write/node_log.h"

#include "common/status_macros.h"
#include "metastore/log/local_loglet.h"

namespace kafed::controller {
namespace {
constexpr char kLocalLoglet[] = "local";
}  // namespace

absl::StatusOr<NodeLog> NodeLog::Open(const NodeLogOptions& options,
                                      const Clock& clock, LogIndex first) {
  NodeLog node;
  ASSIGN_OR_RETURN(
      node.store,
      metastore::Store::Open({options.directory, options.free_space_floor_bytes,
                              nullptr, options.read_only}));
  if (first.value() > 1) RETURN_IF_ERROR(node.store->log().BeginAt(first));
  node.chain =
      std::make_unique<metastore::StoreChainRegister>(node.store.get());
  const auto factory = [store = node.store.get(),
                        budget_bytes = options.log_budget_bytes](
                           const metastore::ChainLink& link)
      -> absl::StatusOr<std::shared_ptr<metastore::Loglet>> {
    if (link.loglet != kLocalLoglet) {
      return absl::FailedPreconditionError(
          "the log is kept in '" + link.loglet +
          "', which this version does not know");
    }
    metastore::LocalLogletOptions local;
    local.name = link.loglet;
    local.first = link.first;
    local.budget_bytes = budget_bytes;
    ASSIGN_OR_RETURN(auto loglet, metastore::LocalLoglet::Open(store, local));
    return std::shared_ptr<metastore::Loglet>(std::move(loglet));
  };
  ASSIGN_OR_RETURN(node.log,
                   metastore::VirtualLog::Open(node.chain.get(), factory,
                                               {kLocalLoglet, first}, clock));
  ASSIGN_OR_RETURN(node.snapshots,
                   metastore::SnapshotStore::Open(node.store.get(), {}, clock));
  return node;
}

uint64_t NodeLog::node_number() const {
  return std::stoull(store->node_id().substr(0, 16), nullptr, 16);
}

}  // namespace kafed::controller
