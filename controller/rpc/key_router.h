// KeyRouter: the routes of many keys from one image.
//
// What keys share is looked up once: topics, Kafka topics, sub-clusters. What
// each key needs is looked up for all of them together, so that memory is
// fetched ahead. No gRPC, no clock, no I/O; made for one call.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "federation/image/image.h"
#include "federation/plan/validate.h"
#include "kafed/v1/routing.pb.h"

namespace kafed::controller {

// `lease_ttl_ms`: ttl of the key's topic, 0 for an error; `multicast`: whether
// it is a multicast key.
struct RoutedTopic {
  uint32_t lease_ttl_ms = 0;
  bool multicast = false;
};

class KeyRouter {
 public:
  // The image outlives it.
  explicit KeyRouter(const federation::Image& image) : image_(image) {}

  // Fills targets, or error and error_code, of results[i] for keys[i].
  std::vector<RoutedTopic> Route(const std::vector<std::string_view>& keys,
                                 const std::vector<v1::RouteResult*>& results);

  // The target that a partition has now; false if nothing may be written to it.
  bool FillTarget(federation::TopicId topic, federation::PartitionNumber number,
                  v1::RouteTarget* target);

 private:
  struct TopicFacts {
    federation::TopicId id;
    std::optional<federation::Topic> row;
  };
  // A key on its way: its topic, the rest of its name, its partitions.
  struct Asked {
    const TopicFacts* topic = nullptr;  // null: it has its answer
    std::string_view id;
    size_t partitions = 0;
  };

  const TopicFacts& TopicOf(std::string_view name);
  const federation::SubCluster* SubClusterOf(federation::SubClusterId id);
  const federation::KafkaTopic* KafkaTopicOf(federation::KafkaTopicId id);
  Asked Ask(std::string_view key, v1::RouteResult* result);
  absl::Status NotBound(const Asked& asked) const;
  bool Fill(federation::PartitionNumber number,
            std::optional<std::string_view> partition, v1::RouteTarget* target);

  const federation::Image& image_;
  std::map<std::string, TopicFacts, std::less<>> topics_;  // few; stable
  absl::flat_hash_map<uint32_t, std::optional<federation::SubCluster>>
      sub_clusters_;
  absl::flat_hash_map<uint32_t, std::optional<federation::KafkaTopic>>
      kafka_topics_;
};

}  // namespace kafed::controller
