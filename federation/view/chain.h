// Chains of segments and ranges of the hash space: the parts of a partition
// that the image of a node and the mirror of a client share.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/row_codec.h"
#include "federation/view/ids.h"
#include "kafed/v1/types.pb.h"

namespace kafed::federation {

struct Segment {
  SubClusterId sub_cluster;
  KafkaTopicId kafka_topic;
  uint32_t kafka_partition = 0;
  v1::SegmentState state = v1::SEGMENT_STATE_OPEN;
  Epoch epoch;
  uint64_t start_offset = 0;
  uint64_t end_offset = 0;
  template <typename A>
  void Fields(A& a) {
    a(sub_cluster, kafka_topic, kafka_partition, epoch, start_offset,
      end_offset, state);
  }
};

// Whether a segment may be the target of messages, at once or soon.
constexpr bool IsWritable(v1::SegmentState state) {
  return state == v1::SEGMENT_STATE_OPEN || state == v1::SEGMENT_STATE_CLOSING;
}

// The newest segment if it takes messages, else null.
inline const Segment* WritableOf(const std::vector<Segment>& chain) {
  if (chain.empty() || !IsWritable(chain.back().state)) return nullptr;
  return &chain.back();
}

// The ranges that begin in one bucket of the hash space, or reach into it.
struct HashBucket {
  struct Range {
    uint32_t low = 0;
    uint32_t partition = 0;
    template <typename A>
    void Fields(A& a) {
      a(low, partition);
    }
  };
  std::vector<Range> ranges;  // by low
  template <typename A>
  void Fields(A& a) {
    a(ranges);
  }
};

// Key of the bucket that a hash falls into, of 2^range_bits.
constexpr uint32_t BucketOf(uint32_t hash, uint32_t range_bits) {
  return range_bits == 0 ? 0 : hash >> (31 - range_bits);
}

// Partition that owns `hash`, among the ranges of its bucket.
inline std::optional<PartitionNumber> OwnerOf(const HashBucket& bucket,
                                              uint32_t hash) {
  std::optional<PartitionNumber> found;
  for (const HashBucket::Range& range : bucket.ranges) {
    if (range.low > hash) break;
    found = PartitionNumber(range.partition);
  }
  return found;
}

// Makes [low, high] the partition's in the bucket it reaches into.
void AssignRange(uint32_t low, uint32_t high, uint32_t partition,
                 HashBucket* bucket);

v1::Segment SegmentOf(const Segment& segment);
Segment FieldsOf(const v1::Segment& segment);

}  // namespace kafed::federation
