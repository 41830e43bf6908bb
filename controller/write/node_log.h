// NodeLog: the event log and the snapshots that a node works on, opened.
//
//   local       the log is the data directory's own
//   zookeeper,  a quorum keeps the log, all nodes of a cluster share it; the
//   etcd        data directory holds a copy of it (metastore/log/journaled_log)
//
// What a running node and the offline commands share. It knows which loglets
// there are; docs/internals/log.md. Nothing is written by opening, except into
// a directory or a quorum that is new.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "metastore/log/chain_register.h"
#include "metastore/log/journaled_log.h"
#include "metastore/log/quorum.h"
#include "metastore/log/snapshot_store.h"
#include "metastore/log/virtual_log.h"
#include "metastore/store/store.h"

namespace kafed::controller {

struct NodeLogOptions {
  std::string directory;
  uint64_t free_space_floor_bytes = metastore::kDefaultFreeSpaceFloorBytes;
  uint64_t log_budget_bytes = 0;    // 0: no limit
  bool read_only = false;           // for verification; metastore/store/store.h
  std::string backend = "local";    // or "zookeeper", "etcd"
  metastore::QuorumOptions quorum;  // not of "local"
};

// In the order they are made; destroyed in reverse.
struct NodeLog {
  std::unique_ptr<metastore::Store> store;
  std::unique_ptr<metastore::Quorum> quorum;  // or null
  std::unique_ptr<metastore::ChainRegister> chain;
  std::unique_ptr<metastore::VirtualLog> virtual_log;
  std::unique_ptr<metastore::JournaledLog> journal;  // of a shared log
  std::unique_ptr<metastore::Election> election;     // likewise
  std::unique_ptr<metastore::SnapshotStore> snapshots;

  // `clock` outlives it. A log that is new begins at `first`; one that is not
  // 1 wants a new log.
  // FailedPrecondition where the data directory is of another log.
  static absl::StatusOr<NodeLog> Open(const NodeLogOptions& options,
                                      const Clock& clock,
                                      LogIndex first = LogIndex(1));

  // What the node reads and appends.
  metastore::SharedLog& log() const;
  // Other nodes append to it too.
  bool shared() const { return journal != nullptr; }

  // The first 8 bytes of the store's id: who writes entries.
  uint64_t node_number() const;
};

}  // namespace kafed::controller
