#include "controller/kafka/librdkafka_cluster.h"

#include <algorithm>

#include "common/log.h"
#include "common/status_macros.h"
#include "controller/kafka/control_writer.h"
#include "controller/kafka/topic_admin.h"

namespace kafed::controller {
namespace {

constexpr char kInternalPrefix[] = "__";

KafkaTopicDescription DescriptionOf(const rd_kafka_metadata_topic_t& topic) {
  KafkaTopicDescription description;
  description.partitions = static_cast<uint32_t>(topic.partition_cnt);
  for (int i = 0; i < topic.partition_cnt; ++i) {
    const rd_kafka_metadata_partition_t& partition = topic.partitions[i];
    const auto replicas = static_cast<uint32_t>(partition.replica_cnt);
    description.replication =
        i == 0 ? replicas : std::min(description.replication, replicas);
    if (partition.leader < 0) ++description.without_leader;
    if (partition.isr_cnt < partition.replica_cnt) {
      ++description.under_replicated;
    }
  }
  return description;
}

int Milliseconds(milliseconds timeout) {
  return static_cast<int>(std::clamp<int64_t>(timeout.count(), 1, 600'000));
}

}  // namespace

absl::StatusOr<std::unique_ptr<LibrdkafkaCluster>> LibrdkafkaCluster::Connect(
    const KafkaClusterOptions& options) {
  std::unique_ptr<LibrdkafkaCluster> cluster(new LibrdkafkaCluster(options));
  RETURN_IF_ERROR(cluster->Handle().status());
  return cluster;
}

absl::StatusOr<std::shared_ptr<KafkaHandle>> LibrdkafkaCluster::Handle() {
  std::shared_ptr<KafkaHandle> former;  // ends outside the lock
  absl::MutexLock lock(&mutex_);
  if (handle_ != nullptr && handle_->dead()) {
    LogWarning("the Kafka handle died and is made anew",
               {{"sub_cluster", options_.name}});
    former = std::move(handle_);
    handle_ = nullptr;
  }
  if (handle_ == nullptr) {
    ASSIGN_OR_RETURN(handle_, KafkaHandle::Make(options_));
  }
  return handle_;
}

absl::StatusOr<KafkaClusterDescription> LibrdkafkaCluster::Describe(
    milliseconds timeout) {
  ASSIGN_OR_RETURN(const auto handle, Handle());
  const rd_kafka_metadata_t* raw = nullptr;
  const rd_kafka_resp_err_t error =
      rd_kafka_metadata(handle->get(), 1, nullptr, &raw, Milliseconds(timeout));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return handle->StatusOf(error);
  const std::unique_ptr<const rd_kafka_metadata_t,
                        decltype(&rd_kafka_metadata_destroy)>
      metadata(raw, &rd_kafka_metadata_destroy);
  KafkaClusterDescription description;
  description.brokers = static_cast<uint32_t>(metadata->broker_cnt);
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    const rd_kafka_metadata_topic_t& topic = metadata->topics[i];
    if (topic.partition_cnt == 0 ||
        std::string_view(topic.topic).starts_with(kInternalPrefix)) {
      continue;
    }
    description.topics[topic.topic] = DescriptionOf(topic);
  }
  // Came with the metadata: it does not wait.
  char* id = rd_kafka_clusterid(handle->get(), Milliseconds(timeout));
  if (id == nullptr) {
    return absl::UnavailableError("Kafka does not tell its cluster id");
  }
  description.cluster_id = id;
  rd_kafka_mem_free(handle->get(), id);
  handle->Worked();
  return description;
}

absl::StatusOr<std::vector<absl::Status>> LibrdkafkaCluster::CreateTopics(
    std::span<const NewKafkaTopic> topics, milliseconds timeout) {
  ASSIGN_OR_RETURN(const auto handle, Handle());
  return AdminCreateTopics(handle.get(), topics, timeout);
}

absl::StatusOr<std::vector<absl::Status>> LibrdkafkaCluster::DeleteTopics(
    std::span<const std::string> names, milliseconds timeout) {
  ASSIGN_OR_RETURN(const auto handle, Handle());
  return AdminDeleteTopics(handle.get(), names, timeout);
}

absl::StatusOr<KafkaCluster::TopicConfigs> LibrdkafkaCluster::DescribeConfigs(
    std::span<const std::string> names, milliseconds timeout) {
  ASSIGN_OR_RETURN(const auto handle, Handle());
  return AdminDescribeConfigs(handle.get(), names, timeout);
}

absl::StatusOr<uint64_t> LibrdkafkaCluster::EndOffset(
    const std::string& kafka_topic, uint32_t kafka_partition,
    milliseconds timeout) {
  ASSIGN_OR_RETURN(const auto handle, Handle());
  int64_t low = 0;
  int64_t high = 0;
  const rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(
      handle->get(), kafka_topic.c_str(), static_cast<int32_t>(kafka_partition),
      &low, &high, Milliseconds(timeout));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Annotate(handle->StatusOf(error),
                    kafka_topic + "/" + std::to_string(kafka_partition));
  }
  return static_cast<uint64_t>(high);
}

std::vector<absl::StatusOr<uint64_t>> LibrdkafkaCluster::Write(
    std::span<const ControlMessage> messages, milliseconds timeout) {
  const auto handle = Handle();
  if (!handle.ok()) return {messages.size(), handle.status()};
  return WriteControlMessages(handle->get(), messages, timeout);
}

}  // namespace kafed::controller
