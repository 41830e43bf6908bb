// RouteView: the rows of the public route view, with look-ups.
//
// What a client's Mirror holds. A value: copies are O(1) and never change, so
// readers take one without a lock while updates are applied to another. It
// knows nothing of nodes, streams or leases (client/mirror.h).
//
// Apply takes rows in any order inside a batch; a look-up between rows of one
// batch may find a reference that is not there yet, so publish whole batches.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "common/block_table.h"
#include "common/radix_array.h"
#include "federation/view/chain.h"
#include "federation/view/ids.h"
#include "kafed/v1/rows.pb.h"

namespace kafed::federation {

// Where one message goes, by ids.
struct Target {
  TopicId topic;
  PartitionNumber partition;
  Segment segment;
  // The Kafka topic was seen in Kafka; else the message must wait.
  bool ready = false;
  // The segment is closing: the message must wait for the switch.
  bool held() const { return segment.state == v1::SEGMENT_STATE_CLOSING; }
};

class RouteView {
 public:
  // Empty.
  RouteView();

  // Upserts or deletes one row. InvalidArgument for a row without content or
  // with a number that cannot be.
  absl::Status Apply(const v1::Row& row);

  // Targets of TOPIC/ID: one, or one for each home of a multicast key.
  // NotFound or FailedPrecondition with what is missing.
  absl::StatusOr<std::vector<Target>> Route(std::string_view key) const;
  absl::StatusOr<std::vector<Target>> Route(TopicId topic,
                                            std::string_view id) const;

  // The target of a unicast, resource or hashed key; no allocation. False if
  // there is none.
  bool RouteOne(TopicId topic, std::string_view id, Target* target) const;
  // RouteOne for many, faster: memory is fetched ahead. Returns how many there
  // are; targets[i] belongs to ids[i], and names no topic if there is none.
  size_t RouteMany(TopicId topic, std::span<const std::string_view> ids,
                   std::span<Target> targets) const;
  // The same for a partition.
  bool Resolve(TopicId topic, PartitionNumber partition, Target* target) const;

  TopicId FindTopic(std::string_view name) const;
  const v1::TopicRow* topic(TopicId id) const;
  const v1::SubClusterRow* sub_cluster(SubClusterId id) const;
  std::optional<v1::KafkaTopicRow> kafka_topic(KafkaTopicId id) const;
  std::optional<v1::PartitionRow> partition(TopicId topic,
                                            PartitionNumber number) const;
  std::vector<const v1::TopicRow*> topics() const;
  std::vector<const v1::SubClusterRow*> sub_clusters() const;
  // Partitions of a hashed topic, by number.
  std::vector<PartitionNumber> PartitionsOf(TopicId topic) const;

  // All rows, in an order that is closed under reference.
  void ForEachRow(const std::function<void(const v1::Row&)>& visit) const;

  size_t keys() const { return keys_.size(); }
  size_t partitions() const { return partitions_.size(); }
  size_t MemoryBytes() const;
  // Equal views have equal digests.
  TableDigest Digest() const;

 private:
  // Few rows, copied when one changes.
  struct Small {
    absl::flat_hash_map<uint32_t, v1::SubClusterRow> sub_clusters;
    absl::flat_hash_map<uint32_t, v1::TopicRow> topics;
    absl::flat_hash_map<std::string, uint32_t> topic_ids;
  };
  void ApplyTopic(const v1::TopicRow& row, bool deleted);
  void ApplyKafkaTopic(const v1::KafkaTopicRow& row, bool deleted);
  void ApplyPartition(const v1::PartitionRow& row, bool deleted);
  void ApplyKey(const v1::KeyRow& row, bool deleted);

  // The partition of a key of a hashed topic.
  std::optional<PartitionNumber> OwnerOfHash(TopicId topic,
                                             std::string_view id) const;
  // The place of a partition's writable segment, or null.
  const Segment* WritableAt(TopicId topic, PartitionNumber number) const;
  bool FillTarget(TopicId topic, PartitionNumber number,
                  const Segment* writable, Target* target) const;

  std::shared_ptr<const Small> small_;
  // What look-ups read: topic -> partition -> writable segment (without an
  // epoch if there is none), and Kafka topic -> 1 if it is ready.
  RadixArray<RadixArray<Segment>> writable_;
  RadixArray<uint8_t> ready_;
  BlockTable kafka_topics_;  // id -> KafkaTopicRow
  BlockTable partitions_;    // (topic, number) -> ViewPartition
  BlockTable keys_;          // (topic, key) -> partition numbers
  BlockTable buckets_;       // (topic, bucket) -> HashBucket
};

}  // namespace kafed::federation
