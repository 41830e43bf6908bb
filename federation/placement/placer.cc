#include "federation/placement/placer.h"

#include <algorithm>
#include <optional>

#include "common/status_macros.h"
#include "federation/image/slots.h"
#include "federation/placement/lbmrc.h"

namespace kafed::federation {
namespace {

// "4 Kafka topics (the topic's own limit) x 4 partitions x 1 key".
std::string LimitsText(const Topic& topic, const SubCluster& sub_cluster,
                       const LimitsFields& limits) {
  const char* from = topic.limits.topics != 0          ? "the topic's own limit"
                     : sub_cluster.profile.topics != 0 ? "its profile"
                                                       : "the default";
  return std::to_string(limits.topics) + " Kafka topics (" + from + ") x " +
         std::to_string(limits.partitions_per_topic) + " partitions x " +
         std::to_string(limits.keys_per_partition) +
         (limits.keys_per_partition == 1 ? " key" : " keys");
}

bool HasZone(const SubCluster& sub_cluster, std::string_view zone) {
  return std::find(sub_cluster.zones.begin(), sub_cluster.zones.end(), zone) !=
         sub_cluster.zones.end();
}

// The emptiest slot that takes `charge` more, the first among equals.
std::optional<Slots::Slot> EmptiestSlot(std::string_view slots, uint32_t charge,
                                        uint32_t limit) {
  std::optional<Slots::Slot> best;
  ForEachSlot(slots, [&](uint32_t, const Slots::Slot& slot) {
    if (slot.partition_plus_1 == 0 || slot.charge + charge > limit) return true;
    if (!best || slot.charge < best->charge) best = slot;
    return best->charge > 0;
  });
  return best;
}

}  // namespace

bool AllowsRegion(const Topic& topic, std::string_view region) {
  return topic.regions.empty() ||
         std::find(topic.regions.begin(), topic.regions.end(), region) !=
             topic.regions.end();
}

bool Placer::TakesKeys(const SubCluster& sub_cluster) {
  return sub_cluster.state == v1::SUB_CLUSTER_STATE_PENDING ||
         sub_cluster.state == v1::SUB_CLUSTER_STATE_ACTIVE;
}

Placer::Placer(Draft* draft) : draft_(draft) {
  for (auto& [id, row] : draft->image().SubClusters()) {
    known_.push_back({.id = id, .row = std::move(row)});
  }
}

const Topic& Placer::TopicRow(TopicId id) {
  if (cached_topic_id_ != id) {
    cached_topic_ = *draft_->image().topic(id);
    cached_topic_id_ = id;
    for (Known& each : known_) {
      each.limits = EffectiveLimits(cached_topic_, each.row);
      each.share_bytes.clear();
      each.share = {};
    }
  }
  return cached_topic_;
}

void Placer::Refresh(Known* known) const {
  const std::string_view bytes = draft_->image()
                                     .table(Table::kShares)
                                     .Find(KeyOf(cached_topic_id_, known->id))
                                     .value_or(std::string_view());
  if (bytes == known->share_bytes) return;
  known->share_bytes = bytes;
  known->share = bytes.empty() ? Share() : DecodeRow<Share>(bytes);
}

std::vector<Placer::Candidate> Placer::Candidates(const PlacementWish& wish) {
  std::vector<Candidate> candidates;
  candidates.reserve(known_.size());
  for (Known& each : known_) {
    if (wish.home.valid()
            ? each.id != wish.home
            : each.row.region != wish.region || !TakesKeys(each.row)) {
      continue;
    }
    Refresh(&each);
    candidates.push_back(
        {&each, wish.zone.empty() || HasZone(each.row, wish.zone)});
  }
  return candidates;
}

absl::StatusOr<PlacementChoice> Placer::Place(const PlacementWish& wish) {
  const Topic& topic = TopicRow(wish.topic);
  if (!wish.home.valid() && !AllowsRegion(topic, wish.region)) {
    return absl::FailedPreconditionError(
        "region: topic " + topic.name + " is not in region " +
        std::string(wish.region) + "; its regions are set when it is created");
  }
  const std::vector<Candidate> candidates = Candidates(wish);
  std::vector<LbmrcCandidate> rated;
  rated.reserve(candidates.size());
  for (const auto& [known, local] : candidates) {
    const Known& each = *known;
    const uint64_t capacity = Capacity(each.limits);
    const uint32_t need = wish.exclusive ? each.limits.keys_per_partition : 1;
    // Residual relative to limit x weight: equal weights fill evenly.
    const double quota =
        static_cast<double>(capacity) * std::max(1u, each.row.weight);
    const double used = static_cast<double>(each.share.charge);
    const ServiceLoad load{1, used / std::max(quota, 1.0), 1, 1};
    const bool room = !each.share.with_room.empty() ||
                      each.share.kafka_topics < each.limits.topics;
    rated.push_back({local, room && each.share.charge + need <= capacity,
                     Residual({&load, 1})});
  }
  // A candidate may turn out to have no empty partition for an exclusive key.
  while (const auto choice = ChooseLbmrc(rated)) {
    auto placed = PlaceOn(*candidates[*choice].known, wish);
    if (placed.ok()) {
      placed->reason.set_candidates(static_cast<uint32_t>(candidates.size()));
      placed->reason.set_spilled(!candidates[*choice].local);
      return placed;
    }
    rated[*choice].eligible = false;
  }
  return NoRoom(wish, topic, candidates);
}

absl::StatusOr<PlacementChoice> Placer::PlaceOn(const Known& candidate,
                                                const PlacementWish& wish) {
  const uint32_t limit = candidate.limits.keys_per_partition;
  const uint32_t charge = wish.exclusive ? limit : 1;
  PlacementChoice choice;
  choice.sub_cluster = candidate.id;
  choice.reason.set_used(candidate.share.charge);
  choice.reason.set_limit(Capacity(candidate.limits));
  choice.reason.set_weight(candidate.row.weight);
  const auto take = [&](KafkaTopicId id) {
    const auto slots = draft_->image().table(Table::kSlots).Find(KeyOf(id));
    if (!slots) return false;
    const auto slot = EmptiestSlot(*slots, charge, limit);
    if (!slot) return false;
    choice.partition = PartitionNumber(slot->partition_plus_1 - 1);
    choice.reason.set_partition_keys(slot->charge);
    return true;
  };
  for (const KafkaTopicId id : candidate.share.with_room) {
    if (take(id)) return choice;
  }
  if (candidate.share.kafka_topics >= candidate.limits.topics) {
    return absl::ResourceExhaustedError("no Kafka topic has room");
  }
  take(OpenKafkaTopic(wish.topic, candidate.id));
  return choice;
}

KafkaTopicId Placer::OpenKafkaTopic(TopicId topic, SubClusterId sub_cluster,
                                    uint32_t partitions) {
  const Image& image = draft_->image();
  const TopicCounters counters = image.topic_counters(topic);
  const KafkaTopicId id(image.counters().next_kafka_topic);
  if (partitions == 0) {
    partitions =
        EffectiveLimits(*image.topic(topic), *image.sub_cluster(sub_cluster))
            .partitions_per_topic;
  }
  v1::Record record;
  v1::KafkaTopicPlanned& planned = *record.mutable_kafka_topic_planned();
  planned.set_id(id.value());
  planned.set_topic_id(topic.value());
  planned.set_sub_cluster_id(sub_cluster.value());
  planned.set_number(counters.next_kafka_topic);
  planned.set_partitions(partitions);
  planned.set_first_partition(counters.next_partition);
  planned.set_epoch(FirstEpoch(image.head().incarnation.counter).value());
  draft_->Add(std::move(record));
  return id;
}

uint64_t FreeKeys(const Image& image, TopicId topic_id,
                  std::string_view region) {
  const auto topic = image.topic(topic_id);
  if (!topic) return 0;
  uint64_t free = 0;
  for (const auto& [id, row] : image.SubClusters()) {
    if (row.region != region || !Placer::TakesKeys(row)) continue;
    const uint64_t capacity = Capacity(EffectiveLimits(*topic, row));
    const uint64_t used = image.share(topic_id, id).charge;
    free += capacity > used ? capacity - used : 0;
  }
  return free;
}

absl::Status Placer::NoRoom(const PlacementWish& wish, const Topic& topic,
                            const std::vector<Candidate>& candidates) const {
  if (candidates.empty()) {
    return absl::FailedPreconditionError(
        "region: no sub-cluster in region " + std::string(wish.region) +
        " takes keys; add one with `kafedctl cluster add --region " +
        std::string(wish.region) + "`, or see `kafedctl cluster list`");
  }
  uint64_t used = 0;
  uint64_t capacity = 0;
  std::string limits;
  for (const auto& [known, local] : candidates) {
    const Known& each = *known;
    used += each.share.charge;
    capacity += Capacity(each.limits);
    limits += (limits.empty() ? "" : ", ") + each.row.name + " " +
              std::to_string(each.share.charge) +
              (each.share.dead == 0
                   ? std::string()
                   : ", " + std::to_string(each.share.dead) +
                         " of them dead partitions of removed resources,") +
              " of " + LimitsText(topic, each.row, each.limits);
  }
  return absl::ResourceExhaustedError(
      "topic " + topic.name + ": region " +
      std::string(wish.home.valid()
                      ? std::string_view(candidates[0].known->row.region)
                      : wish.region) +
      " is full: " + std::to_string(used) + " of " + std::to_string(capacity) +
      " keys: " + limits + "; room for 1 more is missing; " +
      AdviceForRoom(topic, candidates[0].known->row.name, wish.home.valid()));
}

std::string AdviceForRoom(const Topic& topic, const std::string& sub_cluster,
                          bool only_there) {
  if (topic.limits.topics != 0) {
    const std::string own = "the limit of " +
                            std::to_string(topic.limits.topics) +
                            " Kafka topics is the topic's own, set when it was "
                            "created";
    return only_there ? "remove keys there; " + own
                      : "add a sub-cluster; " + own;
  }
  return std::string(only_there ? "" : "add a sub-cluster, or ") +
         "raise the limit of " + sub_cluster +
         " with `kafedctl cluster update " + sub_cluster + " --topics N`";
}

}  // namespace kafed::federation
