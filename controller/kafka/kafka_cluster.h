// KafkaCluster: what the controller asks of one sub-cluster.
//
// One object for each sub-cluster, made from its description; it owns the
// connections and dies with it. Blocking calls with a timeout each: a caller
// brings a thread for each sub-cluster, so that a slow one delays no other.
// Nothing here decides what topics there should be (reconcile/).
//
// Errors: Unavailable (no broker answered), DeadlineExceeded (no answer in
// time; of a change: outcome unknown, look again), PermissionDenied,
// FailedPrecondition (credentials or options that do not work, named), and per
// topic what Kafka said. Messages hold no secrets. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"

namespace kafed::controller {

struct KafkaTopicDescription {
  uint32_t partitions = 0;
  uint32_t replication = 0;       // of the partition that has fewest replicas
  uint32_t without_leader = 0;    // partitions that take no writes now
  uint32_t under_replicated = 0;  // partitions with fewer in-sync replicas
};

struct KafkaClusterDescription {
  std::string cluster_id;
  uint32_t brokers = 0;
  // Only topics that are not internal to Kafka.
  std::map<std::string, KafkaTopicDescription> topics;
};

struct NewKafkaTopic {
  std::string name;
  uint32_t partitions = 0;
  uint32_t replication = 1;
  std::map<std::string, std::string> config;
};

// A control message, written with its kafed header.
struct ControlMessage {
  std::string kafka_topic;
  uint32_t kafka_partition = 0;
  std::string key;     // empty: none
  std::string value;   // serialized marker
  std::string header;  // EncodeKafkaHeader
};

class KafkaCluster {
 public:
  virtual ~KafkaCluster() = default;

  // Brokers, cluster id and all topics.
  virtual absl::StatusOr<KafkaClusterDescription> Describe(
      milliseconds timeout) = 0;

  // One status a topic, in order; AlreadyExists where it is there already.
  // Topics may take a while to show in Describe after an ok.
  virtual absl::StatusOr<std::vector<absl::Status>> CreateTopics(
      std::span<const NewKafkaTopic> topics, milliseconds timeout) = 0;

  // One status a topic, in order; NotFound where it was not there.
  virtual absl::StatusOr<std::vector<absl::Status>> DeleteTopics(
      std::span<const std::string> names, milliseconds timeout) = 0;

  // Settings of topics by name; a topic that can't be read is left out.
  using TopicConfigs =
      std::map<std::string, std::map<std::string, std::string>>;
  virtual absl::StatusOr<TopicConfigs> DescribeConfigs(
      std::span<const std::string> names, milliseconds timeout) = 0;

  // Offset of the next message of a Kafka partition.
  virtual absl::StatusOr<uint64_t> EndOffset(const std::string& kafka_topic,
                                             uint32_t kafka_partition,
                                             milliseconds timeout) = 0;

  // Writes the messages with acks=all and idempotence; one result each, in
  // order: the offset, or why not. Unknown: it may have been persisted.
  virtual std::vector<absl::StatusOr<uint64_t>> Write(
      std::span<const ControlMessage> messages, milliseconds timeout) = 0;
};

// What a sub-cluster's connections are made from.
struct KafkaClusterOptions {
  std::string name;  // for messages and log lines
  std::string bootstrap_servers;
  // librdkafka properties read from the file of the sub-cluster's security_ref
  // (sasl.*, ssl.*, security.protocol); never logged.
  std::map<std::string, std::string> security;
  // "" or "embedded:PATH" (SubClusterSpec.admin).
  std::string admin;
  // Broker-side fence W; message.timeout.ms of control messages is W/2.
  milliseconds fence_window{60'000};
};

// FailedPrecondition where the linked library can't do what is configured.
absl::StatusOr<std::unique_ptr<KafkaCluster>> ConnectKafkaCluster(
    const KafkaClusterOptions& options);

}  // namespace kafed::controller
