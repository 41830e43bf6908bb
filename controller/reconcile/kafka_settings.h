// What a Kafka topic should be like, and how one that exists differs.
//
// The timestamp fence makes the broker refuse what a paused or hung producer
// wrote long ago: older than W, or further than W/2 ahead. Pure functions.
#pragma once

#include <map>
#include <string>

#include "common/clock.h"
#include "controller/kafka/kafka_cluster.h"
#include "federation/image/rows.h"

namespace kafed::controller {

// How the brokers spell the fence.
enum class FenceSpelling {
  kBeforeAndAfter,  // Kafka 3.6 and later
  kDifference,      // before
};

// Settings to create a Kafka topic of `topic` with.
std::map<std::string, std::string> KafkaTopicSettings(
    const federation::Topic& topic, uint32_t replication,
    milliseconds fence_window, FenceSpelling spelling);

// Whether a broker refused a topic because it does not know these settings.
bool IsUnknownFence(const absl::Status& refusal);

// How the fence differs from what is wanted; empty: it stands. No settings at
// all (embedded Kafka) count as standing.
std::string FenceDrift(const std::map<std::string, std::string>& settings,
                       milliseconds fence_window);

// How a ready Kafka topic differs from its row; `seen` null: it is missing.
std::string TopicDrift(const federation::KafkaTopic& row,
                       const KafkaTopicDescription* seen);

}  // namespace kafed::controller
