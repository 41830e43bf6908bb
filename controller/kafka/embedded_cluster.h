// KafkaCluster for an embedded Kafka: a mock, whose topics are made through a
// control pipe because it has no admin API. For the demo and tests.
//
// The mock makes any topic that a client asks for, with a partition count of
// its own: so no topic is looked at here before the pipe lists it. It has no
// settings (DescribeConfigs gives empty ones) and can't delete: a deleted topic
// is left out of Describe by this object from then on.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "controller/kafka/control_socket.h"
#include "controller/kafka/kafka_cluster.h"

namespace kafed::controller {

class EmbeddedCluster : public KafkaCluster {
 public:
  // `data` does what needs no admin API.
  EmbeddedCluster(std::string control_path, std::unique_ptr<KafkaCluster> data)
      : control_(std::move(control_path)), data_(std::move(data)) {}

  absl::StatusOr<KafkaClusterDescription> Describe(
      milliseconds timeout) override;
  absl::StatusOr<std::vector<absl::Status>> CreateTopics(
      std::span<const NewKafkaTopic> topics, milliseconds timeout) override;
  absl::StatusOr<std::vector<absl::Status>> DeleteTopics(
      std::span<const std::string> names, milliseconds timeout) override;
  absl::StatusOr<TopicConfigs> DescribeConfigs(
      std::span<const std::string> names, milliseconds timeout) override;
  absl::StatusOr<uint64_t> EndOffset(const std::string& kafka_topic,
                                     uint32_t kafka_partition,
                                     milliseconds timeout) override;
  std::vector<absl::StatusOr<uint64_t>> Write(
      std::span<const ControlMessage> messages, milliseconds timeout) override;

 private:
  using Topics = std::map<std::string, uint32_t>;  // partitions by name
  // What the pipe lists, without what was deleted.
  absl::StatusOr<Topics> List(milliseconds timeout);
  // NotFound unless the topic has the partition.
  absl::Status CheckPartition(const std::string& kafka_topic,
                              uint32_t kafka_partition, milliseconds timeout);

  const ControlSocket control_;
  const std::unique_ptr<KafkaCluster> data_;
  absl::Mutex mutex_;
  std::set<std::string> deleted_ ABSL_GUARDED_BY(mutex_);
  Topics known_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kafed::controller
