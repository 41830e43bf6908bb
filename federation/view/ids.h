// Ids of the image's things. Numbers that are never reused; 0 means "none",
// except for partition numbers, which count from 0 in each logical topic.
#pragma once

#include <cstdint>

#include "common/strong_id.h"

namespace kafed::federation {

using SubClusterId = StrongId<struct SubClusterIdTag, uint32_t>;
using TopicId = StrongId<struct TopicIdTag, uint32_t>;
using KafkaTopicId = StrongId<struct KafkaTopicIdTag, uint32_t>;
using PartitionNumber = StrongId<struct PartitionNumberTag, uint32_t>;
using SessionId = StrongId<struct SessionIdTag, uint64_t>;
using Epoch = StrongId<struct EpochTag, uint64_t>;

// First epoch of a chain that begins in this incarnation.
constexpr Epoch FirstEpoch(uint64_t incarnation) {
  return Epoch((incarnation << 32) + 1);
}

}  // namespace kafed::federation
