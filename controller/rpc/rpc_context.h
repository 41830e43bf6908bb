// RpcContext: what the services of a node work on. Owned by the composition
// root (server/node.h); everything in it outlives the services.
#pragma once

#include <functional>
#include <string>

#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "controller/rpc/worker_pool.h"
#include "controller/session/fence_queue.h"
#include "controller/session/lease_table.h"
#include "controller/write/replica.h"
#include "controller/write/writer.h"
#include "federation/plan/planners.h"

namespace kafed::controller {

// Load reports of southbound instances: soft state of the node.
class LoadReportTable {
 public:
  federation::LoadReports Copy() const {
    absl::MutexLock lock(&mutex_);
    return reports_;
  }
  void Set(const std::string& instance, std::vector<v1::Quota> load) {
    absl::MutexLock lock(&mutex_);
    reports_[instance] = std::move(load);
  }

 private:
  mutable absl::Mutex mutex_;
  federation::LoadReports reports_ ABSL_GUARDED_BY(mutex_);
};

// Offset of the next message of a physical partition, or why it can't be read.
using EndOffsetReader = std::function<absl::StatusOr<uint64_t>(
    federation::SubClusterId, const std::string& kafka_topic,
    uint32_t kafka_partition)>;

// NodeStatus.error of a node that nothing is known of yet.
inline constexpr char kNotAskedYet[] = "was not asked yet";

struct RpcContext {
  Replica* replica = nullptr;
  Writer* writer = nullptr;
  metastore::SharedLog* log = nullptr;
  LeaseTable* leases = nullptr;
  FenceQueue* fences = nullptr;
  LoadReportTable* loads = nullptr;
  WorkerPool* workers = nullptr;
  const Clock* clock = nullptr;
  EndOffsetReader end_offset;
  // Broker-side fence W.
  milliseconds fence_window{60'000};
  uint64_t node_id = 0;
  milliseconds started_at{0};  // Steady
  std::function<std::string()> health;
  std::function<uint32_t()> followers;
  // The nodes of the cluster, each as it answers now.
  std::function<void(v1::ListNodesResponse*)> list_nodes;
  // What keeps the log: "local", "zookeeper" or "etcd".
  std::string log_backend = "local";
  // All of the answer but position and lag; blocks.
  std::function<void(v1::DescribeLogResponse*)> describe_log;
};

// Milliseconds since the node last proved to be at the log's tail; 0 where the
// log is its own.
inline uint64_t LagMs(const RpcContext& context) {
  const milliseconds now = context.clock->Steady();
  const milliseconds proven_at = context.leases->ProvenAt();
  return proven_at < now ? static_cast<uint64_t>((now - proven_at).count()) : 0;
}

// What calls get that the end of the node cuts short; clients try another.
inline absl::Status ShuttingDown() {
  return absl::UnavailableError("the node is shutting down");
}

// How long a read waits for a min_position at most.
inline constexpr milliseconds kReadWait{5'000};

// A stream whose client takes nothing of what was written for as long is ended:
// it would hold a state of the image, or a worker, for as long as it likes.
inline constexpr milliseconds kStalled{30'000};

}  // namespace kafed::controller
