// The tables of the image and the keys of their rows.
//
// Numbers are on disk (snapshots): never reuse one. Tables marked "view" are
// what the route view is made from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "federation/view/ids.h"

namespace kafed::federation {

enum class Table : uint8_t {
  kCounters = 0,         // "" -> Counters
  kSubClusters = 1,      // view: id -> SubCluster
  kTopics = 2,           // view: id -> Topic
  kKafkaTopics = 3,      // view: id -> KafkaTopic
  kPartitions = 4,       // view: (topic, number) -> Partition
  kBindings = 5,         // view: (topic, key) -> Binding
  kNames = 6,            // kind + name -> number (varint)
  kTopicCounters = 7,    // topic -> TopicCounters
  kSlots = 8,            // Kafka topic -> Slots
  kPartitionKeys = 9,    // (topic, number) -> PartitionKeys
  kShares = 10,          // (topic, sub-cluster) -> Share
  kHashBuckets = 11,     // (topic, bucket) -> HashBucket
  kHosts = 12,           // id -> Host
  kVpcs = 13,            // id -> Vpc
  kVpcMembers = 14,      // (vpc, host) -> VpcMember
  kVpcChunks = 15,       // (vpc, chunk) -> VpcChunk
  kPendingMarkers = 16,  // (vpc, host) -> PendingMarker
  kResources = 17,       // (topic, id) -> Resource
  kInstances = 18,       // id -> Instance
  kSessions = 19,        // id -> Session
  kSessionSources = 20,  // source -> session id (varint)
  kSegmentTallies = 21,  // (topic, number, epoch) -> SegmentTally
  kRequests = 22,        // request id -> CompletedRequest
  kRequestQueue = 23,    // sequence -> request id
  kTombstones = 24,      // table + key -> changed_at (varint)
  kTombstoneQueue = 25,  // sequence -> table + key
  kNodes = 26,           // node id -> NodeRow
  kOperations = 27,      // operation id -> Operation
  kFormerBindings = 28,  // (topic, key) -> FormerBinding
  kFormerQueue = 29,     // sequence -> (topic, key)
  kOffices = 30,         // name -> Office; from feature level 2 on
};
inline constexpr int kTables = 31;

// Key in kOffices of who does the background work.
inline constexpr std::string_view kCoordinatorOffice = "coordinator";

std::string_view TableName(Table table);
constexpr bool IsViewTable(Table table) {
  return table >= Table::kSubClusters && table <= Table::kBindings;
}

inline std::string KeyOf(uint32_t number) {
  std::string key;
  PutBig32(number, &key);
  return key;
}
inline std::string KeyOf(SubClusterId id) { return KeyOf(id.value()); }
inline std::string KeyOf(TopicId id) { return KeyOf(id.value()); }
inline std::string KeyOf(KafkaTopicId id) { return KeyOf(id.value()); }
inline std::string KeyOf(uint64_t number) {
  std::string key;
  PutBig64(number, &key);
  return key;
}
inline std::string KeyOf(SessionId id) { return KeyOf(id.value()); }
inline std::string KeyOf(TopicId topic, uint32_t number) {
  std::string key;
  PutBig32(topic.value(), &key);
  PutBig32(number, &key);
  return key;
}
inline std::string KeyOf(TopicId topic, PartitionNumber partition) {
  return KeyOf(topic, partition.value());
}
inline std::string KeyOf(TopicId topic, SubClusterId sub_cluster) {
  return KeyOf(topic, sub_cluster.value());
}
inline std::string KeyOf(TopicId topic, std::string_view id) {
  std::string key;
  PutBig32(topic.value(), &key);
  key.append(id);
  return key;
}
inline std::string KeyOf(TopicId topic, PartitionNumber partition,
                         Epoch epoch) {
  std::string key = KeyOf(topic, partition);
  PutBig64(epoch.value(), &key);
  return key;
}
// Two texts: the first is length-prefixed, so that no two pairs collide.
inline std::string KeyOf(std::string_view first, std::string_view second) {
  std::string key;
  PutString(first, &key);
  key.append(second);
  return key;
}
inline std::string KeyOf(std::string_view first, uint32_t number) {
  std::string key;
  PutString(first, &key);
  PutBig32(number, &key);
  return key;
}

// Prefixes of kNames.
inline std::string SubClusterName(std::string_view name) {
  return "c" + std::string(name);
}
inline std::string TopicName(std::string_view name) {
  return "t" + std::string(name);
}
// Last generation used by topics of this name.
inline std::string GenerationName(std::string_view name) {
  return "g" + std::string(name);
}

}  // namespace kafed::federation
