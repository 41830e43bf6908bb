#include "federation/view/chain.h"

#include <algorithm>

namespace kafed::federation {

void AssignRange(uint32_t low, uint32_t high, uint32_t partition,
                 HashBucket* bucket) {
  std::erase_if(bucket->ranges, [&](const HashBucket::Range& range) {
    return range.low >= low && range.low <= high;
  });
  const auto at = std::find_if(
      bucket->ranges.begin(), bucket->ranges.end(),
      [&](const HashBucket::Range& range) { return range.low > low; });
  bucket->ranges.insert(at, {low, partition});
}

v1::Segment SegmentOf(const Segment& segment) {
  v1::Segment out;
  out.set_sub_cluster_id(segment.sub_cluster.value());
  out.set_kafka_topic_id(segment.kafka_topic.value());
  out.set_kafka_partition(segment.kafka_partition);
  out.set_epoch(segment.epoch.value());
  out.set_start_offset(segment.start_offset);
  out.set_end_offset(segment.end_offset);
  out.set_state(segment.state);
  return out;
}

Segment FieldsOf(const v1::Segment& segment) {
  return {.sub_cluster = SubClusterId(segment.sub_cluster_id()),
          .kafka_topic = KafkaTopicId(segment.kafka_topic_id()),
          .kafka_partition = segment.kafka_partition(),
          .state = segment.state(),
          .epoch = Epoch(segment.epoch()),
          .start_offset = segment.start_offset(),
          .end_offset = segment.end_offset()};
}

}  // namespace kafed::federation
