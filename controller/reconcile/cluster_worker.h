// ClusterWorker: looks after one sub-cluster, on a thread of its own.
//
// Each round: look at Kafka, record a change of health, then create, watch and
// delete Kafka topics and write pending markers. A sub-cluster that fails is
// looked at less and less often; one that is another Kafka than expected is
// looked at and otherwise left alone. Nothing here waits for another
// sub-cluster.
//
// Rounds happen when time has come, and at once when the image wants something
// new of this sub-cluster (Wake). Thread-safe; made by the Coordinator.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "controller/kafka/kafka_cluster.h"
#include "controller/reconcile/marker_writer.h"
#include "controller/reconcile/options.h"
#include "controller/reconcile/topic_reconciler.h"
#include "controller/reconcile/wake_signal.h"
#include "controller/write/replica.h"
#include "controller/write/writer.h"

namespace kafed::controller {

// What all workers share; all of it outlives them.
struct WorkerContext {
  const CoordinatorOptions* options = nullptr;
  const Clock* clock = nullptr;
  const Replica* replica = nullptr;
  Writer* writer = nullptr;
  MarkerSource* source = nullptr;
  ReconcileStats* stats = nullptr;
};

class ClusterWorker {
 public:
  ClusterWorker(federation::SubClusterId id, const WorkerContext& context);
  // Waits for the Kafka call that is going on.
  ~ClusterWorker();

  // The image may want something new.
  void Wake() { signal_.Wake(); }
  // Ends after the current call; the destructor then does not wait long.
  void RequestStop() { signal_.Stop(); }
  bool finished() const { return finished_; }

  // The connection, once the Kafka cluster id was checked and while the
  // sub-cluster is not unreachable; else null.
  std::shared_ptr<KafkaCluster> kafka() const;

 private:
  void Loop();
  void Round();
  void Look(const federation::SubCluster& row);
  bool InOffice() const;
  // As recorded by the node that is in office.
  absl::StatusOr<bool> IsHealthy(const KafkaClusterDescription& seen) const;
  // Records a change of health; whether the sub-cluster may be worked on.
  absl::StatusOr<bool> RecordHealth(const KafkaClusterDescription& seen);
  void Failed(const absl::Status& why);
  void WriteMarkers();
  // Takes over the rows of this sub-cluster; whether there is new work.
  bool Refresh(const federation::Image& image);
  void Publish(std::shared_ptr<KafkaCluster> kafka);
  milliseconds Backoff(uint32_t failures) const;

  const federation::SubClusterId id_;
  const WorkerContext context_;
  const CoordinatorOptions& options_;
  TopicReconciler topics_;
  MarkerWriter markers_;
  WakeSignal signal_;
  std::atomic<bool> finished_{false};

  // Of the thread.
  std::string contact_;  // what the connection was made from
  std::shared_ptr<KafkaCluster> connection_;
  bool workable_ = false;
  uint32_t failures_ = 0;
  uint32_t marker_failures_ = 0;
  uint32_t busy_looks_ = 0;
  milliseconds next_look_{0};
  milliseconds next_markers_{0};
  TableDigest topics_digest_;
  std::vector<WantedTopic> wanted_;
  std::vector<federation::KafkaTopicId> open_work_;

  mutable absl::Mutex mutex_;
  std::shared_ptr<KafkaCluster> published_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace kafed::controller
