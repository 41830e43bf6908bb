// The rows of the image: plain structs, one for each table.
//
// `changed_at` is the index of the entry that last changed the row as clients
// see it (rows of the route view only). See tables.h for the keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/position.h"
#include "common/row_codec.h"
#include "federation/view/chain.h"
#include "federation/view/ids.h"
#include "kafed/v1/types.pb.h"

namespace kafed::federation {

// A protobuf spec inside a row, as its serialized bytes would not be canonical:
// each spec is spelt out field by field.

struct LimitsFields {
  uint32_t topics = 0;
  uint32_t partitions_per_topic = 0;
  uint32_t keys_per_partition = 0;
  uint32_t failover_permille = 0;
  template <typename A>
  void Fields(A& a) {
    a(topics, partitions_per_topic, keys_per_partition, failover_permille);
  }
};

struct SubCluster {
  LogIndex changed_at;
  std::string name;
  std::string region;
  std::vector<std::string> zones;
  std::string bootstrap_servers;
  std::string expected_kafka_cluster_id;  // empty: take the first one seen
  std::string kafka_cluster_id;           // seen; empty: not yet
  LimitsFields profile;
  uint32_t weight = 100;
  uint32_t connection_budget = 0;
  std::string security_ref;
  std::string admin;
  v1::SubClusterState state = v1::SUB_CLUSTER_STATE_PENDING;
  uint32_t brokers = 0;
  std::string reason;
  template <typename A>
  void Fields(A& a) {
    a(changed_at, name, region, zones, bootstrap_servers,
      expected_kafka_cluster_id, kafka_cluster_id, profile, weight,
      connection_budget, security_ref, admin, state, brokers, reason);
  }
};

struct Topic {
  LogIndex changed_at;
  std::string name;
  v1::TopicKind kind = v1::TOPIC_KIND_UNSPECIFIED;
  v1::RegionPolicy region_policy = v1::REGION_POLICY_SINGLE_REGION;
  std::vector<std::string> regions;  // empty: all
  LimitsFields limits;
  uint32_t generation = 1;
  uint32_t range_bits = 0;
  uint64_t retention_ms = 0;
  uint32_t replication = 0;
  uint32_t lease_ttl_ms = 0;
  v1::OnLeaseEnd on_lease_end = v1::ON_LEASE_END_STOP;
  uint32_t large_vpc_members = 0;
  template <typename A>
  void Fields(A& a) {
    a(changed_at, name, kind, region_policy, regions, limits, generation,
      range_bits, retention_ms, replication, lease_ttl_ms, on_lease_end,
      large_vpc_members);
  }
};

// What changes often about a topic, apart from what clients see.
struct TopicCounters {
  uint32_t next_partition = 0;
  uint32_t next_kafka_topic = 0;
  uint64_t keys = 0;
  uint32_t kafka_topics = 0;
  uint32_t kafka_topics_ready = 0;
  template <typename A>
  void Fields(A& a) {
    a(next_partition, next_kafka_topic, keys, kafka_topics, kafka_topics_ready);
  }
};

enum class KafkaTopicState : uint8_t { kPlanned = 1, kReady = 2, kDoomed = 3 };

struct KafkaTopic {
  LogIndex changed_at;
  TopicId topic;
  SubClusterId sub_cluster;
  std::string name;
  uint32_t partitions = 0;
  KafkaTopicState state = KafkaTopicState::kPlanned;
  uint32_t replication = 0;
  std::string drift;  // empty: none
  template <typename A>
  void Fields(A& a) {
    a(changed_at, topic, sub_cluster, name, partitions, state, replication,
      drift);
  }
};

// Who sits on each Kafka partition of a Kafka topic.
struct Slots {
  struct Slot {
    uint32_t partition_plus_1 = 0;  // 0: no logical partition
    uint32_t charge = 0;            // keys bound, or the limit if exclusive
    template <typename A>
    void Fields(A& a) {
      a(partition_plus_1, charge);
    }
  };
  std::vector<Slot> slots;
  template <typename A>
  void Fields(A& a) {
    a(slots);
  }
};

struct Partition {
  LogIndex changed_at;
  std::vector<Segment> chain;
  uint32_t low = 0;
  uint32_t high = 0;
  std::vector<uint32_t> parents;
  template <typename A>
  void Fields(A& a) {
    a(changed_at, chain, low, high, parents);
  }
  // The newest segment if it is writable, else null.
  const Segment* Writable() const { return WritableOf(chain); }
};

// The newest segment of the bytes of a Partition, if it is writable. Allocates
// nothing.
std::optional<Segment> WritableIn(std::string_view partition);

// Keys bound to a partition.
struct PartitionKeys {
  std::vector<std::string> keys;
  template <typename A>
  void Fields(A& a) {
    a(keys);
  }
};

// Where a key's messages go: one target, or one for each home.
struct Binding {
  struct Target {
    PartitionNumber partition;
    SubClusterId home;  // multicast only
    uint32_t charge = 1;
    template <typename A>
    void Fields(A& a) {
      a(partition, home, charge);
    }
  };
  LogIndex changed_at;
  std::vector<Target> targets;
  template <typename A>
  void Fields(A& a) {
    a(changed_at, targets);
  }
};

// Load of one logical topic on one sub-cluster.
struct Share {
  uint64_t charge = 0;        // keys, an exclusive key counting a partition's
  uint64_t dead = 0;          // resource partitions that can't be used again
  uint32_t kafka_topics = 0;  // planned or ready
  // Kafka topics with room for another key, oldest first.
  std::vector<KafkaTopicId> with_room;
  template <typename A>
  void Fields(A& a) {
    a(charge, dead, kafka_topics, with_room);
  }
};

struct Host {
  std::string region;
  std::string zone;
  SubClusterId home;
  std::vector<std::pair<std::string, std::string>> labels;  // by name
  std::vector<std::string> vpcs;                            // in order of join
  template <typename A>
  void Fields(A& a) {
    a(region, zone, home, labels, vpcs);
  }
};

struct Vpc {
  struct Home {
    SubClusterId sub_cluster;
    uint32_t members = 0;
    template <typename A>
    void Fields(A& a) {
      a(sub_cluster, members);
    }
  };
  std::string region;
  uint64_t membership_version = 0;
  uint64_t members = 0;
  uint32_t chunks = 0;
  std::vector<Home> homes;
  std::string owner;
  uint64_t owner_epoch = 0;
  template <typename A>
  void Fields(A& a) {
    a(region, membership_version, members, chunks, homes, owner, owner_epoch);
  }
};

struct VpcMember {
  struct From {
    TopicId topic;
    PartitionNumber partition;
    Epoch epoch;
    uint64_t offset = 0;
    template <typename A>
    void Fields(A& a) {
      a(topic, partition, epoch, offset);
    }
  };
  uint32_t chunk = 0;
  uint64_t version = 0;
  std::vector<From> from;
  std::vector<std::string> vms;
  template <typename A>
  void Fields(A& a) {
    a(chunk, version, from, vms);
  }
};

// Part of a VPC's member list, so that no row grows with the VPC.
struct VpcChunk {
  static constexpr size_t kMaxHosts = 64;
  std::vector<std::string> hosts;
  template <typename A>
  void Fields(A& a) {
    a(hosts);
  }
};

struct PendingMarker {
  uint64_t version = 0;
  bool join = true;
  template <typename A>
  void Fields(A& a) {
    a(version, join);
  }
};

struct Resource {
  std::string region;
  std::string zone;
  template <typename A>
  void Fields(A& a) {
    a(region, zone);
  }
};

struct QuotaFields {
  std::string service;
  double quota = 0;
  double cost = 1;
  double frequency = 1;
  template <typename A>
  void Fields(A& a) {
    a(service, quota, cost, frequency);
  }
};

struct Instance {
  std::string region;
  std::string zone;
  std::vector<QuotaFields> quotas;
  uint64_t vpcs = 0;
  template <typename A>
  void Fields(A& a) {
    a(region, zone, quotas, vpcs);
  }
};

struct Session {
  std::string source;  // 16 bytes
  std::string name;
  std::string region;
  uint32_t ttl_ms = 0;
  uint64_t opened_ms = 0;
  template <typename A>
  void Fields(A& a) {
    a(source, name, region, ttl_ms, opened_ms);
  }
};

struct SegmentTally {
  uint64_t acknowledged = 0;
  uint64_t possibly_persisted = 0;
  uint64_t unproven_sessions = 0;
  template <typename A>
  void Fields(A& a) {
    a(acknowledged, possibly_persisted, unproven_sessions);
  }
};

struct CompletedRequest {
  uint64_t time_ms = 0;
  std::string response;
  uint64_t fingerprint = 0;
  template <typename A>
  void Fields(A& a) {
    a(time_ms, response, fingerprint);
  }
};

struct NodeRow {
  std::string address;
  uint32_t feature_level = 0;
  std::string version;
  std::string region;  // from feature level 2 on
  template <typename A>
  void Fields(A& a) {
    a(address, feature_level, version);
    a.Trailing(region);
  }
};

// Who does a work that one node at a time is to do.
struct Office {
  uint64_t node_id = 0;
  uint64_t epoch = 0;  // raised by each election
  template <typename A>
  void Fields(A& a) {
    a(node_id, epoch);
  }
};

struct Operation {
  std::string name;
  uint64_t done = 0;
  uint64_t total = 0;
  std::string failure;
  uint64_t fingerprint = 0;
  template <typename A>
  void Fields(A& a) {
    a(name, done, total, failure, fingerprint);
  }
};

// Where a removed unicast key was, while older leases may be in use.
struct FormerBinding {
  PartitionNumber partition;
  uint64_t removed_ms = 0;
  template <typename A>
  void Fields(A& a) {
    a(partition, removed_ms);
  }
};

// The one row of the counters table.
struct Counters {
  uint32_t next_sub_cluster = 1;
  uint32_t next_topic = 1;
  uint32_t next_kafka_topic = 1;
  uint64_t next_session = 1;
  uint64_t request_first = 1;  // oldest and next sequence of the request queue
  uint64_t request_next = 1;
  uint64_t tombstone_first = 1;
  uint64_t tombstone_next = 1;
  uint64_t former_first = 1;
  uint64_t former_next = 1;
  // Deltas from positions before this index miss deletes.
  uint64_t tombstone_floor = 0;
  template <typename A>
  void Fields(A& a) {
    a(next_sub_cluster, next_topic, next_kafka_topic, next_session,
      request_first, request_next, tombstone_first, tombstone_next,
      former_first, former_next, tombstone_floor);
  }
};

}  // namespace kafed::federation
