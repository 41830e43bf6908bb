// What an agent remembers across restarts: its chains, how far it got in them,
// the VPCs it knows of, and what its repeat filter needs. One file, replaced as
// a whole; its rows are canonical bytes (common/row_codec.h).
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "kafed/v1/types.pb.h"

namespace kafed::client {

// A place in a chain. Epochs order segments.
struct ChainPosition {
  uint64_t epoch = 0;
  uint64_t offset = 0;
  friend auto operator<=>(const ChainPosition&, const ChainPosition&) = default;
  template <typename A>
  void Fields(A& a) {
    a(epoch, offset);
  }
};

struct ChainSegment {
  uint64_t epoch = 0;
  std::string sub_cluster;
  std::string kafka_topic;
  uint32_t kafka_partition = 0;
  uint64_t start = 0;
  uint64_t end = 0;  // meaningful if sealed
  uint32_t sealed = 0;
  template <typename A>
  void Fields(A& a) {
    a(epoch, sub_cluster, kafka_topic, kafka_partition, start, end, sealed);
  }
};

struct ChainKey {
  std::string key;       // the Kafka message's key
  ChainPosition from;    // nothing before is for this agent
  ChainPosition done;    // everything before was committed
  uint64_t version = 0;  // of the membership
  template <typename A>
  void Fields(A& a) {
    a(key, from, done, version);
  }
};

struct AgentChain {
  std::string topic;
  uint32_t kind = 0;
  uint32_t partition = 0;
  std::vector<ChainSegment> segments;  // oldest first
  std::vector<ChainKey> keys;
  template <typename A>
  void Fields(A& a) {
    a(topic, kind, partition, segments, keys);
  }
};

struct AgentCluster {
  uint32_t id = 0;
  std::string name;
  std::string bootstrap_servers;
  std::string security_ref;
  friend bool operator==(const AgentCluster&, const AgentCluster&) = default;
  template <typename A>
  void Fields(A& a) {
    a(id, name, bootstrap_servers, security_ref);
  }
};

struct AgentState {
  std::string host;
  std::vector<AgentChain> chains;
  std::vector<AgentCluster> clusters;
  // VPC -> membership version of the newest word about it.
  std::vector<std::pair<std::string, uint64_t>> vpcs;
  std::vector<std::pair<std::string, uint64_t>> filter;
  template <typename A>
  void Fields(A& a) {
    a(host, chains, clusters, vpcs, filter);
  }
};

absl::Status SaveAgentState(const AgentState& state, const std::string& path);
// NotFound if there is none, DataLoss if it is not one of this version.
absl::StatusOr<AgentState> LoadAgentState(const std::string& path);

}  // namespace kafed::client
