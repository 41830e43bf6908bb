// TopicReconciler: makes the Kafka topics of one sub-cluster what the image
// wants, one pass at a time.
//
//   planned, not there ----> create (in batches) ---> seen complete -> Created
//   planned, there --------> complete? -------------------------------> Created
//   ready, differs --------> seen twice in a row ------------------> DriftFound
//   doomed ----------------> delete ------> gone ---------------------> Deleted
//
// A topic of the right name and partition count is taken for the planned one:
// it is ours, from before a crash between its creation and the record. Drift is
// reported when it changes and never overridden. Driven by a ClusterWorker, on
// its thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/kafka/kafka_cluster.h"
#include "controller/reconcile/kafka_settings.h"
#include "controller/reconcile/options.h"
#include "controller/write/writer.h"

namespace kafed::controller {

struct WantedTopic {
  federation::KafkaTopicId id;
  federation::KafkaTopic row;
  federation::Topic logical;
};

class TopicReconciler {
 public:
  // All outlive it.
  TopicReconciler(const CoordinatorOptions* options, const Clock* clock,
                  Writer* writer, ReconcileStats* stats);

  // Compares, acts and records. True if there is more to see soon. An error is
  // Kafka's or the writer's; what was done before it stands, the next pass goes
  // on from there.
  absl::StatusOr<bool> Pass(const federation::SubCluster& sub_cluster,
                            const std::vector<WantedTopic>& wanted,
                            const KafkaClusterDescription& seen,
                            KafkaCluster* kafka);

  // Kafka topics of one request.
  static constexpr size_t kBatch = 20;

 private:
  absl::Status Create(const federation::SubCluster& sub_cluster,
                      const std::vector<WantedTopic>& wanted,
                      const KafkaClusterDescription& seen, KafkaCluster* kafka);
  NewKafkaTopic MakeTopic(const federation::SubCluster& sub_cluster,
                          const WantedTopic& topic,
                          const KafkaClusterDescription& seen) const;
  absl::Status Delete(const std::vector<WantedTopic>& wanted,
                      KafkaCluster* kafka);
  // Reads settings when it is time; keeps what was read.
  absl::Status LookAtSettings(const std::vector<WantedTopic>& wanted,
                              KafkaCluster* kafka);
  void FindCompleted(const std::vector<WantedTopic>& wanted,
                     const KafkaClusterDescription& seen);
  void FindDrift(const std::vector<WantedTopic>& wanted,
                 const KafkaClusterDescription& seen);
  std::string DriftOf(const WantedTopic& topic,
                      const KafkaClusterDescription& seen) const;

  const CoordinatorOptions& options_;
  const Clock& clock_;
  Writer& writer_;
  ReconcileStats& stats_;

  FenceSpelling spelling_ = FenceSpelling::kBeforeAndAfter;
  milliseconds next_settings_{0};
  // By Kafka topic: what Kafka said to creating or deleting it, how its fence
  // differs, and the drift seen by the last pass.
  std::map<federation::KafkaTopicId, std::string> refusals_;
  std::map<federation::KafkaTopicId, std::string> fence_drift_;
  std::map<federation::KafkaTopicId, std::string> suspected_;
  // Of the pass that runs.
  std::vector<v1::Record> facts_;
  bool more_ = false;
};

}  // namespace kafed::controller
