// Coordinator: the background work of the metadata cluster.
//
//   Replica --wake--> Coordinator --wake--> ClusterWorker (one a sub-cluster)
//                        |                       |  looks, creates, writes
//                        +-------- Writer <------+  facts
//
// Level-triggered: it compares what the image wants with what is, acts, and
// repeats; a missed wake only delays. Itself it plans Kafka topics ahead of
// need, ends sessions whose leases are over, and settles markers for hosts that
// are gone. Correctness never depends on there being only one.
//
// Thread-safe. One thread, and one for each sub-cluster.
#pragma once

#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "controller/reconcile/cluster_worker.h"
#include "controller/reconcile/options.h"
#include "controller/session/lease_table.h"

namespace kafed::controller {

class Coordinator {
 public:
  // All outlive it, except that the replica's listener may be called after it.
  Coordinator(CoordinatorOptions options, Replica* replica, Writer* writer,
              LeaseTable* leases, const Clock* clock);
  // Waits for the Kafka calls that are going on.
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  // The connection to a sub-cluster that is known to be the right Kafka; null
  // where there is none now.
  std::shared_ptr<KafkaCluster> Find(federation::SubClusterId id) const;

  const ReconcileStats& stats() const { return stats_; }

 private:
  using Digests = std::vector<TableDigest>;

  void Loop();
  void Round();
  // A worker for each sub-cluster of the image, and no other.
  void SyncWorkers(const federation::Image& image);
  void WakeWorkers(const federation::Image& image);
  void PlanAheadIfNeeded();
  void SettleOrphanedMarkers(const federation::Image& image);
  void ExpireSessions();
  // What other nodes did.
  void ForgetClosedSessions();

  CoordinatorOptions options_;
  Replica& replica_;
  Writer& writer_;
  LeaseTable& leases_;
  MarkerSource source_;
  ReconcileStats stats_;
  WorkerContext context_;
  // Shared with the listener, which the replica keeps.
  const std::shared_ptr<WakeSignal> signal_ = std::make_shared<WakeSignal>();

  // Of the thread: what the last round saw.
  Digests woken_for_;
  Digests planned_for_;
  Digests settled_for_;
  std::vector<std::unique_ptr<ClusterWorker>> leaving_;

  mutable absl::Mutex mutex_;
  std::map<federation::SubClusterId, std::unique_ptr<ClusterWorker>> workers_
      ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace kafed::controller
