#include "controller/kafka/embedded_cluster.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"

namespace kafed::controller {
namespace {

constexpr uint32_t kMostReplicas = 3;

absl::Status ParseAnswer(const std::string& topic, const std::string& answer) {
  if (answer == "OK") return absl::OkStatus();
  if (answer == "EXISTS") {
    return absl::AlreadyExistsError("topic " + topic + " exists already");
  }
  return absl::InvalidArgumentError(topic + ": " + answer);
}

}  // namespace

absl::StatusOr<EmbeddedCluster::Topics> EmbeddedCluster::List(
    milliseconds timeout) {
  ASSIGN_OR_RETURN(const auto lines, control_.AskList("LIST", timeout));
  Topics topics;
  for (const std::string& line : lines) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    uint32_t partitions = 0;
    if (words.size() != 3 || words[0] != "TOPIC" ||
        !absl::SimpleAtoi(words[2], &partitions)) {
      return absl::InternalError("the control pipe answered '" + line + "'");
    }
    topics[words[1]] = partitions;
  }
  absl::MutexLock lock(&mutex_);
  for (const std::string& name : deleted_) topics.erase(name);
  known_ = topics;
  return topics;
}

absl::StatusOr<KafkaClusterDescription> EmbeddedCluster::Describe(
    milliseconds timeout) {
  ASSIGN_OR_RETURN(const auto id, control_.Ask({"ID"}, timeout));
  ASSIGN_OR_RETURN(const Topics topics, List(timeout));
  ASSIGN_OR_RETURN(KafkaClusterDescription seen, data_->Describe(timeout));
  KafkaClusterDescription description;
  if (!id.front().starts_with("OK ")) {
    return absl::InternalError("the control pipe answered '" + id.front() +
                               "'");
  }
  description.cluster_id = id.front().substr(3);
  description.brokers = seen.brokers;
  for (const auto& [name, partitions] : topics) {
    KafkaTopicDescription& topic = description.topics[name];
    const auto at = seen.topics.find(name);
    if (at != seen.topics.end()) topic = at->second;
    topic.partitions = partitions;
    // The mock ignores the replication it is asked for.
    topic.replication = std::min(kMostReplicas, seen.brokers);
  }
  return description;
}

absl::StatusOr<std::vector<absl::Status>> EmbeddedCluster::CreateTopics(
    std::span<const NewKafkaTopic> topics, milliseconds timeout) {
  std::vector<std::string> lines;
  for (const NewKafkaTopic& topic : topics) {
    if (topic.name.find_first_of(" \n") != std::string::npos) {
      return absl::InvalidArgumentError("topic: '" + topic.name +
                                        "' has a space or newline in it");
    }
    lines.push_back("CREATE " + topic.name + " " +
                    std::to_string(topic.partitions));
  }
  ASSIGN_OR_RETURN(const auto answers, control_.Ask(lines, timeout));
  std::vector<absl::Status> statuses;
  for (size_t i = 0; i < answers.size(); ++i) {
    statuses.push_back(ParseAnswer(topics[i].name, answers[i]));
  }
  return statuses;
}

absl::StatusOr<std::vector<absl::Status>> EmbeddedCluster::DeleteTopics(
    std::span<const std::string> names, milliseconds timeout) {
  ASSIGN_OR_RETURN(const Topics topics, List(timeout));
  std::vector<absl::Status> statuses;
  absl::MutexLock lock(&mutex_);
  for (const std::string& name : names) {
    statuses.push_back(topics.contains(name)
                           ? absl::OkStatus()
                           : absl::NotFoundError("no topic " + name));
    if (topics.contains(name)) deleted_.insert(name);
    known_.erase(name);
  }
  return statuses;
}

absl::StatusOr<KafkaCluster::TopicConfigs> EmbeddedCluster::DescribeConfigs(
    std::span<const std::string> names, milliseconds timeout) {
  ASSIGN_OR_RETURN(const Topics topics, List(timeout));
  TopicConfigs configs;
  for (const std::string& name : names) {
    if (topics.contains(name)) configs[name];
  }
  return configs;
}

absl::Status EmbeddedCluster::CheckPartition(const std::string& kafka_topic,
                                             uint32_t kafka_partition,
                                             milliseconds timeout) {
  const auto has = [&](const Topics& topics) {
    const auto at = topics.find(kafka_topic);
    return at != topics.end() && kafka_partition < at->second;
  };
  {
    absl::MutexLock lock(&mutex_);
    if (has(known_)) return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const Topics topics, List(timeout));
  if (has(topics)) return absl::OkStatus();
  return absl::NotFoundError("no Kafka partition " + kafka_topic + "/" +
                             std::to_string(kafka_partition));
}

absl::StatusOr<uint64_t> EmbeddedCluster::EndOffset(
    const std::string& kafka_topic, uint32_t kafka_partition,
    milliseconds timeout) {
  RETURN_IF_ERROR(CheckPartition(kafka_topic, kafka_partition, timeout));
  return data_->EndOffset(kafka_topic, kafka_partition, timeout);
}

std::vector<absl::StatusOr<uint64_t>> EmbeddedCluster::Write(
    std::span<const ControlMessage> messages, milliseconds timeout) {
  std::vector<absl::StatusOr<uint64_t>> results(messages.size(), uint64_t{0});
  std::vector<ControlMessage> sendable;
  std::vector<size_t> places;
  for (size_t i = 0; i < messages.size(); ++i) {
    const absl::Status there = CheckPartition(
        messages[i].kafka_topic, messages[i].kafka_partition, timeout);
    if (!there.ok()) {
      results[i] = there;
      continue;
    }
    sendable.push_back(messages[i]);
    places.push_back(i);
  }
  const auto written = data_->Write(sendable, timeout);
  for (size_t i = 0; i < written.size(); ++i) results[places[i]] = written[i];
  return results;
}

}  // namespace kafed::controller
