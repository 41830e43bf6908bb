#include "federation/image/image.h"

#include <algorithm>

#include "common/uuid.h"

namespace kafed::federation {
namespace {

template <typename Id, typename Row>
std::vector<std::pair<Id, Row>> AllById(const BlockTable& table) {
  std::vector<std::pair<Id, Row>> rows;
  table.ForEach([&](std::string_view key, std::string_view value) {
    rows.emplace_back(Id(ByteReader(key).Big32()), DecodeRow<Row>(value));
  });
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return rows;
}

}  // namespace

std::string_view TableName(Table table) {
  static constexpr std::array<std::string_view, kTables> kNames = {
      "counters",        "sub_clusters",
      "topics",          "kafka_topics",
      "partitions",      "bindings",
      "names",           "topic_counters",
      "slots",           "partition_keys",
      "shares",          "hash_buckets",
      "hosts",           "vpcs",
      "vpc_members",     "vpc_chunks",
      "pending_markers", "resources",
      "instances",       "sessions",
      "session_sources", "segment_tallies",
      "requests",        "request_queue",
      "tombstones",      "tombstone_queue",
      "nodes",           "operations",
      "former_bindings", "former_queue",
      "offices"};
  return kNames[static_cast<size_t>(table)];
}

std::optional<Segment> WritableIn(std::string_view partition) {
  RowDecoder decoder(partition);
  LogIndex changed_at;
  uint64_t count = 0;
  decoder(changed_at, count);
  Segment newest;
  for (uint64_t i = 0; i < count; ++i) decoder(newest);
  if (count == 0 || !IsWritable(newest.state)) return std::nullopt;
  return newest;
}

uint32_t Image::FindName(std::string_view key) const {
  const auto bytes = table(Table::kNames).Find(key);
  return bytes ? ByteReader(*bytes).Varint32() : 0;
}

SubClusterId Image::FindSubCluster(std::string_view name) const {
  return SubClusterId(FindName(SubClusterName(name)));
}

TopicId Image::FindTopic(std::string_view name) const {
  return TopicId(FindName(TopicName(name)));
}

std::optional<PartitionNumber> Image::FindRange(TopicId id, const Topic& topic,
                                                uint32_t hash) const {
  const auto row = Get<HashBucket>(Table::kHashBuckets,
                                   KeyOf(id, BucketOf(hash, topic.range_bits)));
  if (!row) return std::nullopt;
  return OwnerOf(*row, hash);
}

std::vector<std::pair<SubClusterId, SubCluster>> Image::SubClusters() const {
  return AllById<SubClusterId, SubCluster>(table(Table::kSubClusters));
}

std::vector<std::pair<TopicId, Topic>> Image::Topics() const {
  return AllById<TopicId, Topic>(table(Table::kTopics));
}

TableDigest Image::Hash() const {
  TableDigest sum;
  for (const BlockTable& table : tables_) sum.Add(table.digest());
  return sum;
}

size_t Image::MemoryBytes() const {
  size_t bytes = sizeof(Image);
  for (const BlockTable& table : tables_) bytes += table.MemoryBytes();
  return bytes;
}

std::string ToString(const TableDigest& digest) {
  std::string bytes;
  PutBig64(digest.high, &bytes);
  PutBig64(digest.low, &bytes);
  return ToHex(bytes);
}

}  // namespace kafed::federation
