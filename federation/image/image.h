// Image: the whole metadata state at one position. An immutable value.
//
// Copying is O(1) (structural sharing, common/block_table.h): readers hold one
// without a lock while the writer edits its own copy, a snapshot streams out of
// one while writes go on, and "what was true at position P" is just another
// image. It does no I/O and knows no time but the entry's.
//
// Only an Editor (editor.h) changes one, and only apply.h uses that. Rows are
// decoded on each Get: take what is needed once.
//
// Threads: as BlockTable: one editor, any number of readers of copies.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/block_table.h"
#include "common/position.h"
#include "federation/image/rows.h"
#include "federation/image/tables.h"
#include "federation/view/ids.h"

namespace kafed::federation {

// Highest feature level this program supports, and the first that knows of
// clusters: regions of nodes, their removal, the coordinator's office.
inline constexpr uint32_t kFeatureLevel = 2;
inline constexpr uint32_t kClusterLevel = 2;

// What the last applied entry's header said.
struct ImageHead {
  Incarnation incarnation;
  LogIndex index;
  uint64_t header_hash = 0;
  uint64_t time_ms = 0;
  uint32_t feature_level = 1;
  Position position() const { return {incarnation.counter, index}; }
};

class Image {
 public:
  const ImageHead& head() const { return head_; }
  Position position() const { return head_.position(); }

  const BlockTable& table(Table table) const {
    return tables_[static_cast<size_t>(table)];
  }

  template <typename Row>
  std::optional<Row> Get(Table table, std::string_view key) const {
    const auto bytes = this->table(table).Find(key);
    if (!bytes) return std::nullopt;
    return DecodeRow<Row>(*bytes);
  }
  // The row, or a default one.
  template <typename Row>
  Row GetOr(Table table, std::string_view key) const {
    const auto bytes = this->table(table).Find(key);
    return bytes ? DecodeRow<Row>(*bytes) : Row();
  }

  std::optional<SubCluster> sub_cluster(SubClusterId id) const {
    return Get<SubCluster>(Table::kSubClusters, KeyOf(id));
  }
  std::optional<Topic> topic(TopicId id) const {
    return Get<Topic>(Table::kTopics, KeyOf(id));
  }
  std::optional<KafkaTopic> kafka_topic(KafkaTopicId id) const {
    return Get<KafkaTopic>(Table::kKafkaTopics, KeyOf(id));
  }
  std::optional<Partition> partition(TopicId topic, PartitionNumber n) const {
    return Get<Partition>(Table::kPartitions, KeyOf(topic, n));
  }
  std::optional<Binding> binding(TopicId topic, std::string_view key) const {
    return Get<Binding>(Table::kBindings, KeyOf(topic, key));
  }
  std::optional<Host> host(std::string_view id) const {
    return Get<Host>(Table::kHosts, id);
  }
  std::optional<Vpc> vpc(std::string_view id) const {
    return Get<Vpc>(Table::kVpcs, id);
  }
  Share share(TopicId topic, SubClusterId sub_cluster) const {
    return GetOr<Share>(Table::kShares, KeyOf(topic, sub_cluster));
  }
  Counters counters() const { return GetOr<Counters>(Table::kCounters, ""); }
  TopicCounters topic_counters(TopicId id) const {
    return GetOr<TopicCounters>(Table::kTopicCounters, KeyOf(id));
  }

  SubClusterId FindSubCluster(std::string_view name) const;
  TopicId FindTopic(std::string_view name) const;
  // Number behind a kNames key; 0: none.
  uint32_t FindName(std::string_view key) const;

  // Partition of a hashed topic that owns `hash`.
  std::optional<PartitionNumber> FindRange(TopicId id, const Topic& topic,
                                           uint32_t hash) const;

  // Small tables, by id. Their size does not depend on the number of hosts.
  std::vector<std::pair<SubClusterId, SubCluster>> SubClusters() const;
  std::vector<std::pair<TopicId, Topic>> Topics() const;

  // Sum of all rows' hashes; equal images have equal hashes.
  TableDigest Hash() const;
  size_t MemoryBytes() const;

 private:
  friend class Editor;
  friend class ImageLoader;
  ImageHead head_;
  std::array<BlockTable, kTables> tables_;
};

// 32 hex digits.
std::string ToString(const TableDigest& digest);

}  // namespace kafed::federation
