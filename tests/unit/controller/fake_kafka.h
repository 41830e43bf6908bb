// FakeKafka: a Kafka cluster in memory, with failures to order.
//
// Connect() gives KafkaClusters that all show the same cluster, as connections
// do. Thread-safe.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controller/kafka/kafka_cluster.h"

namespace kafed::controller {

struct FakeTopic {
  uint32_t partitions = 0;
  uint32_t replication = 0;
  std::map<std::string, std::string> config;
  std::map<uint32_t, std::vector<ControlMessage>> messages;
};

// Guarded by `mutex`; change it through With().
struct FakeKafkaState {
  std::string id = "fake-cluster-id";
  uint32_t brokers = 3;
  std::map<std::string, FakeTopic> topics;
  absl::Status down;           // of every call
  absl::Status refuse_create;  // of every topic
  absl::Status refuse_write;   // of every message
  std::string bad_topic;       // messages to it are refused
  std::set<std::string> unknown_settings;
  bool hang = false;  // Describe waits until it is false
  int connections = 0;
  int describes = 0;
  int creates = 0;
  int refused_writes = 0;
  size_t largest_batch = 0;
};

class FakeKafka : public std::enable_shared_from_this<FakeKafka> {
 public:
  template <typename Change>
  auto With(Change change) {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
    return change(state_);
  }
  std::unique_ptr<KafkaCluster> Connect();

 private:
  friend class FakeConnection;
  std::mutex mutex_;
  std::condition_variable changed_;
  FakeKafkaState state_;
};

class FakeConnection : public KafkaCluster {
 public:
  explicit FakeConnection(std::shared_ptr<FakeKafka> kafka)
      : kafka_(std::move(kafka)) {}

  absl::StatusOr<KafkaClusterDescription> Describe(
      milliseconds /*timeout*/) override {
    std::unique_lock lock(kafka_->mutex_);
    FakeKafkaState& state = kafka_->state_;
    ++state.describes;
    kafka_->changed_.wait(lock, [&] { return !state.hang; });
    if (!state.down.ok()) return state.down;
    KafkaClusterDescription description{state.id, state.brokers, {}};
    for (const auto& [name, topic] : state.topics) {
      description.topics[name] = {topic.partitions, topic.replication, 0, 0};
    }
    return description;
  }

  absl::StatusOr<std::vector<absl::Status>> CreateTopics(
      std::span<const NewKafkaTopic> topics, milliseconds) override {
    const std::lock_guard lock(kafka_->mutex_);
    FakeKafkaState& state = kafka_->state_;
    if (!state.down.ok()) return state.down;
    ++state.creates;
    state.largest_batch = std::max(state.largest_batch, topics.size());
    std::vector<absl::Status> statuses;
    for (const NewKafkaTopic& topic : topics) {
      statuses.push_back(CreateOne(topic, &state));
    }
    return statuses;
  }

  absl::StatusOr<std::vector<absl::Status>> DeleteTopics(
      std::span<const std::string> names, milliseconds) override {
    const std::lock_guard lock(kafka_->mutex_);
    FakeKafkaState& state = kafka_->state_;
    if (!state.down.ok()) return state.down;
    std::vector<absl::Status> statuses;
    for (const std::string& name : names) {
      statuses.push_back(state.topics.erase(name) == 1
                             ? absl::OkStatus()
                             : absl::NotFoundError("no topic"));
    }
    return statuses;
  }

  absl::StatusOr<TopicConfigs> DescribeConfigs(
      std::span<const std::string> names, milliseconds) override {
    const std::lock_guard lock(kafka_->mutex_);
    FakeKafkaState& state = kafka_->state_;
    if (!state.down.ok()) return state.down;
    TopicConfigs configs;
    for (const std::string& name : names) {
      const auto at = state.topics.find(name);
      if (at != state.topics.end()) configs[name] = at->second.config;
    }
    return configs;
  }

  absl::StatusOr<uint64_t> EndOffset(const std::string& kafka_topic,
                                     uint32_t kafka_partition,
                                     milliseconds) override {
    const std::lock_guard lock(kafka_->mutex_);
    auto& topics = kafka_->state_.topics;
    if (!topics.contains(kafka_topic)) return absl::NotFoundError("no topic");
    return topics[kafka_topic].messages[kafka_partition].size();
  }

  std::vector<absl::StatusOr<uint64_t>> Write(
      std::span<const ControlMessage> messages, milliseconds) override {
    const std::lock_guard lock(kafka_->mutex_);
    FakeKafkaState& state = kafka_->state_;
    std::vector<absl::StatusOr<uint64_t>> results;
    for (const ControlMessage& message : messages) {
      if (!state.refuse_write.ok()) {
        ++state.refused_writes;
        results.emplace_back(state.refuse_write);
      } else if (message.kafka_topic == state.bad_topic ||
                 !state.topics.contains(message.kafka_topic)) {
        results.emplace_back(absl::UnavailableError("no leader"));
      } else {
        auto& partition =
            state.topics[message.kafka_topic].messages[message.kafka_partition];
        partition.push_back(message);
        results.emplace_back(partition.size() - 1);
      }
    }
    return results;
  }

 private:
  static absl::Status CreateOne(const NewKafkaTopic& topic,
                                FakeKafkaState* state) {
    if (!state->refuse_create.ok()) return state->refuse_create;
    for (const auto& [name, value] : topic.config) {
      if (state->unknown_settings.contains(name)) {
        return absl::InvalidArgumentError("Unknown topic config name: " + name);
      }
    }
    const bool added =
        state->topics
            .emplace(topic.name,
                     FakeTopic{
                         topic.partitions, topic.replication, topic.config, {}})
            .second;
    return added ? absl::OkStatus() : absl::AlreadyExistsError("exists");
  }

  const std::shared_ptr<FakeKafka> kafka_;
};

inline std::unique_ptr<KafkaCluster> FakeKafka::Connect() {
  With([](FakeKafkaState& state) { ++state.connections; });
  return std::make_unique<FakeConnection>(shared_from_this());
}

}  // namespace kafed::controller
