// What the coordinator and its workers are told, and what they count.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "controller/kafka/kafka_cluster.h"
#include "federation/image/rows.h"

namespace kafed::controller {

// Connects to a sub-cluster as its row describes it.
using Connector = std::function<absl::StatusOr<std::unique_ptr<KafkaCluster>>(
    const federation::SubCluster& row)>;

struct CoordinatorOptions {
  // Between looks at a sub-cluster where nothing is to be done.
  milliseconds interval{5'000};
  // While topics are being created or deleted, and between looks at sessions.
  milliseconds busy_interval{500};
  // After failures: doubled each time, with jitter, up to the maximum.
  milliseconds first_backoff{500};
  milliseconds max_backoff{30'000};
  // Of each Kafka call.
  milliseconds call_timeout{5'000};
  // Between looks at the settings of Kafka topics.
  milliseconds settings_interval{60'000};
  // W: broker-side fence on timestamps.
  milliseconds fence_window{60'000};
  // Folder of the files that security_ref names; empty: none.
  std::string secrets_dir;
  // Null: ConnectKafkaCluster with the credentials of secrets_dir.
  Connector connect;
  // Whether this node is to do the work now; the others only look, so that
  // they have a connection. Null: always.
  std::function<bool()> in_office;
  // Sessions that other nodes may have given a lease; an error where that is
  // not known, and then none expires. Null: there are no other nodes.
  std::function<absl::StatusOr<std::set<uint64_t>>()> held_elsewhere;
};

// Since the start of the process; for metrics.
struct ReconcileStats {
  std::atomic<uint64_t> rounds{0};          // looks at sub-clusters
  std::atomic<uint64_t> failures{0};        // looks that failed
  std::atomic<uint64_t> topics_created{0};  // Kafka topics seen complete
  std::atomic<uint64_t> topics_deleted{0};
  std::atomic<uint64_t> markers_written{0};
  std::atomic<uint64_t> drift_found{0};  // drift reports, also repeated ones
  std::atomic<uint64_t> sessions_expired{0};
};

}  // namespace kafed::controller
