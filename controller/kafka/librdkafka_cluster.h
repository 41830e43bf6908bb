// KafkaCluster over librdkafka's C API, for any Kafka that has an admin API.
//
// One handle serves metadata, admin, watermarks and control messages. It is
// made at the first use and made anew after a fatal error. Works with
// librdkafka 2.0 and later.
#pragma once

#include <memory>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "controller/kafka/kafka_cluster.h"
#include "controller/kafka/kafka_handle.h"

namespace kafed::controller {

class LibrdkafkaCluster : public KafkaCluster {
 public:
  static absl::StatusOr<std::unique_ptr<LibrdkafkaCluster>> Connect(
      const KafkaClusterOptions& options);

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
  explicit LibrdkafkaCluster(const KafkaClusterOptions& options)
      : options_(options) {}
  // The handle in use; another one if it died. Callers keep it for their call.
  absl::StatusOr<std::shared_ptr<KafkaHandle>> Handle();

  const KafkaClusterOptions options_;
  absl::Mutex mutex_;
  std::shared_ptr<KafkaHandle> handle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kafed::controller
