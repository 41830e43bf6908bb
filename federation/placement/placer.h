// Placer: finds a partition for a key, opening a new Kafka topic where needed.
//
// Region must match, the zone is preferred; then LBMRC over the sub-clusters
// (their residual is the free share of limit x weight, so that equal weights
// fill evenly); then the emptiest partition of the oldest Kafka topic with
// room. Pure: it reads the draft's image and adds records to the draft.
//
// Made for one command: it remembers the sub-clusters' rows, which commands
// that place keys do not change.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "federation/image/limits.h"
#include "federation/plan/draft.h"

namespace kafed::federation {

struct PlacementWish {
  TopicId topic;
  std::string_view region;
  std::string_view zone;   // empty: anywhere in the region
  SubClusterId home;       // valid: only there
  bool exclusive = false;  // the whole partition
};

struct PlacementChoice {
  PartitionNumber partition;
  SubClusterId sub_cluster;
  v1::PlacementReason reason;
};

class Placer {
 public:
  explicit Placer(Draft* draft);

  // ResourceExhausted with the limit and by how much; FailedPrecondition where
  // the region has no sub-cluster that could take keys.
  absl::StatusOr<PlacementChoice> Place(const PlacementWish& wish);

  // Plans one Kafka topic; returns its id. `partitions` 0: as the limits say.
  KafkaTopicId OpenKafkaTopic(TopicId topic, SubClusterId sub_cluster,
                              uint32_t partitions = 0);

  // Where a key may go at all: sub-clusters of the region that are not known
  // to be unreachable or to be another Kafka cluster.
  static bool TakesKeys(const SubCluster& sub_cluster);

 private:
  // A sub-cluster and, for the topic placed last, its limits and load.
  struct Known {
    SubClusterId id;
    SubCluster row;
    LimitsFields limits;
    std::string share_bytes;  // of which `share` is decoded
    Share share;
  };
  struct Candidate {
    const Known* known;
    bool local;
  };
  std::vector<Candidate> Candidates(const PlacementWish& wish);
  void Refresh(Known* known) const;
  absl::Status NoRoom(const PlacementWish& wish, const Topic& topic,
                      const std::vector<Candidate>& candidates) const;
  absl::StatusOr<PlacementChoice> PlaceOn(const Known& candidate,
                                          const PlacementWish& wish);
  const Topic& TopicRow(TopicId id);

  Draft* draft_;
  std::vector<Known> known_;
  TopicId cached_topic_id_;
  Topic cached_topic_;
};

// Keys of the topic that still fit into the region under normal limits.
uint64_t FreeKeys(const Image& image, TopicId topic, std::string_view region);

// What would give a full topic more room, for a refusal: `sub_cluster` names
// the one whose profile would be raised; `only_there`: no other would help.
std::string AdviceForRoom(const Topic& topic, const std::string& sub_cluster,
                          bool only_there);

// Whether the topic may have partitions in the region.
bool AllowsRegion(const Topic& topic, std::string_view region);

}  // namespace kafed::federation
