// Effective limits of one logical topic on one sub-cluster.
#pragma once

#include "federation/image/rows.h"

namespace kafed::federation {

// The topic's own limits, else the sub-cluster's profile, else the defaults of
// the kind: field by field. keys_per_partition 0 means "not limited" (hashed).
inline LimitsFields EffectiveLimits(const Topic& topic,
                                    const SubCluster& sub_cluster) {
  const auto pick = [](uint32_t own, uint32_t profile, uint32_t fallback) {
    return own != 0 ? own : profile != 0 ? profile : fallback;
  };
  const LimitsFields& own = topic.limits;
  const LimitsFields& profile = sub_cluster.profile;
  LimitsFields limits;
  limits.topics = pick(own.topics, profile.topics, 200);
  limits.partitions_per_topic =
      pick(own.partitions_per_topic, profile.partitions_per_topic, 50);
  limits.failover_permille =
      pick(own.failover_permille, profile.failover_permille, 1112);
  switch (topic.kind) {
    case v1::TOPIC_KIND_UNICAST:
      limits.keys_per_partition =
          pick(own.keys_per_partition, profile.keys_per_partition, 10);
      break;
    case v1::TOPIC_KIND_MULTICAST:
      limits.keys_per_partition = pick(own.keys_per_partition, 0, 50);
      break;
    case v1::TOPIC_KIND_RESOURCE:
      limits.keys_per_partition = 1;
      break;
    default:
      limits.keys_per_partition = 0;
  }
  return limits;
}

// Keys that fit under normal limits.
inline uint64_t Capacity(const LimitsFields& limits) {
  return uint64_t{limits.topics} * limits.partitions_per_topic *
         limits.keys_per_partition;
}

}  // namespace kafed::federation
