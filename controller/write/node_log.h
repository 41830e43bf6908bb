// NodeLog: the data directory of a node, opened: its event log and snapshots.
//
// What a running node and the offline commands share. It knows which loglets
// there are; docs/internals/log.md. Nothing is written by opening, except into
// a directory that is new.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "metastore/log/chain_register.h"
#include "metastore/log/snapshot_store.h"
#include "metastore/log/virtual_log.h"
#include "metastore/store/store.h"

namespace kafed::controller {

struct NodeLogOptions {
  std::string directory;
  uint64_t free_space_floor_bytes = metastore::kDefaultFreeSpaceFloorBytes;
  uint64_t log_budget_bytes = 0;  // 0: no limit
  bool read_only = false;         // for verification; metastore/store/store.h
};

// In the order they are made; destroyed in reverse.
struct NodeLog {
  std::unique_ptr<metastore::Store> store;
  std::unique_ptr<metastore::StoreChainRegister> chain;
  std::unique_ptr<metastore::VirtualLog> log;
  std::unique_ptr<metastore::SnapshotStore> snapshots;

  // `clock` outlives it. A log that is new begins at `first`.
  static absl::StatusOr<NodeLog> Open(const NodeLogOptions& options,
                                      const Clock& clock,
                                      LogIndex first = LogIndex(1));

  // The first 8 bytes of the store's id: who writes entries.
  uint64_t node_number() const;
};

}  // namespace kafed::controller
