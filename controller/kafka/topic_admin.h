// Kafka's admin requests about topics, each with one answer to wait for.
//
// Errors of the request as a whole are the function's; those of a topic stand
// in its place of the answer.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/kafka/kafka_handle.h"

namespace kafed::controller {

absl::StatusOr<std::vector<absl::Status>> AdminCreateTopics(
    KafkaHandle* handle, std::span<const NewKafkaTopic> topics,
    milliseconds timeout);

absl::StatusOr<std::vector<absl::Status>> AdminDeleteTopics(
    KafkaHandle* handle, std::span<const std::string> names,
    milliseconds timeout);

absl::StatusOr<KafkaCluster::TopicConfigs> AdminDescribeConfigs(
    KafkaHandle* handle, std::span<const std::string> names,
    milliseconds timeout);

}  // namespace kafed::controller
