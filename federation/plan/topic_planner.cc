#include <algorithm>
#include <set>

#include "common/murmur2.h"
#include "common/status_macros.h"
#include "federation/image/incarnation.h"
#include "federation/placement/lbmrc.h"
#include "federation/placement/placer.h"
#include "federation/plan/planners.h"
#include "federation/plan/validate.h"

namespace kafed::federation {
namespace {

constexpr uint32_t kDefaultHashedPartitions = 12;
// Ranges of one hash bucket on average; a look-up reads one bucket.
constexpr uint32_t kRangesPerBucket = 8;

std::string Join(const std::set<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

// Fills in and checks the regions of a new topic.
absl::Status ResolveRegions(v1::TopicSpec* spec, const Image& image) {
  std::set<std::string> known;
  for (const auto& [id, row] : image.SubClusters()) known.insert(row.region);
  if (known.empty()) {
    return absl::FailedPreconditionError(
        "regions: there is no sub-cluster yet; add one with `kafedctl cluster "
        "add`");
  }
  for (const std::string& region : spec->regions()) {
    if (!known.contains(region)) {
      return absl::InvalidArgumentError(
          "regions: no sub-cluster is in region " + Quote(region) +
          "; there are: " + Join(known));
    }
  }
  if (spec->region_policy() == v1::REGION_POLICY_MULTI_REGION) {
    return absl::OkStatus();
  }
  if (spec->regions_size() > 1) {
    return absl::InvalidArgumentError(
        "regions: a single-region topic has exactly one, " +
        std::to_string(spec->regions_size()) +
        " are given; set region_policy multi-region to span regions");
  }
  if (spec->regions().empty()) {
    if (known.size() > 1) {
      return absl::InvalidArgumentError(
          "regions: a single-region topic needs one of: " + Join(known));
    }
    spec->add_regions(*known.begin());
  }
  return absl::OkStatus();
}

uint32_t RangeBits(uint32_t partitions) {
  uint32_t bits = 0;
  while ((partitions >> bits) > kRangesPerBucket) ++bits;
  return bits;
}

// Spreads the partitions of a hashed topic over its sub-clusters by weight and
// gives each an equal range of the hash space.
absl::Status PlanHashedPartitions(TopicId id, const v1::TopicSpec& spec,
                                  uint32_t count, Draft* draft) {
  const auto topic = *draft->image().topic(id);
  struct Part {
    SubClusterId id;
    double weight;
    uint32_t limit;
    uint32_t per_topic;
    uint32_t partitions = 0;
  };
  std::vector<Part> parts;
  for (const auto& [sub_cluster, row] : draft->image().SubClusters()) {
    if (!AllowsRegion(topic, row.region) || !Placer::TakesKeys(row)) continue;
    const LimitsFields limits = EffectiveLimits(topic, row);
    parts.push_back({sub_cluster, static_cast<double>(std::max(1u, row.weight)),
                     limits.topics * limits.partitions_per_topic,
                     limits.partitions_per_topic});
  }
  for (uint32_t i = 0; i < count; ++i) {
    std::vector<LbmrcCandidate> rated;
    rated.reserve(parts.size());
    for (const Part& part : parts) {
      rated.push_back({true, part.partitions < part.limit,
                       -static_cast<double>(part.partitions) / part.weight});
    }
    const auto choice = ChooseLbmrc(rated);
    if (!choice) {
      return absl::ResourceExhaustedError(
          "partitions: " + std::to_string(count) + " of topic " + spec.name() +
          " are over the limits of its sub-clusters by " +
          std::to_string(count - i) +
          "; lower the number, give the topic higher limits, or add a "
          "sub-cluster");
    }
    ++parts[*choice].partitions;
  }
  Placer placer(draft);
  for (const Part& part : parts) {
    for (uint32_t left = part.partitions; left > 0;) {
      const uint32_t size = std::min(left, part.per_topic);
      placer.OpenKafkaTopic(id, part.id, size);
      left -= size;
    }
  }
  for (uint32_t i = 0; i < count; ++i) {
    const auto bound = [&](uint64_t n) {
      return static_cast<uint32_t>(n * kHashSpace / count);
    };
    v1::Record record;
    v1::HashRangeAssigned& range = *record.mutable_hash_range_assigned();
    range.set_topic_id(id.value());
    range.set_partition(i);
    range.set_low(bound(i));
    range.set_high(bound(uint64_t{i} + 1) - 1);
    draft->Add(std::move(record));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::MutationResponse> PlanCreateTopic(
    const v1::CreateTopicRequest& request, Draft* draft) {
  v1::TopicSpec spec = request.spec();
  RETURN_IF_ERROR(ValidateTopic(spec));
  if (draft->image().FindTopic(spec.name()).valid()) {
    return absl::AlreadyExistsError("name: topic " + spec.name() +
                                    " exists already");
  }
  RETURN_IF_ERROR(ResolveRegions(&spec, draft->image()));
  const bool hashed = spec.kind() == v1::TOPIC_KIND_HASHED;
  const uint32_t partitions =
      spec.partitions() != 0 ? spec.partitions() : kDefaultHashedPartitions;
  const TopicId id(draft->image().counters().next_topic);
  v1::Record record;
  v1::LogicalTopicCreated& created = *record.mutable_logical_topic_created();
  created.set_id(id.value());
  created.set_generation(NextGeneration(draft->image(), spec.name()));
  created.set_range_bits(hashed ? RangeBits(partitions) : 0);
  *created.mutable_spec() = spec;
  draft->Add(std::move(record));
  std::string summary = "topic " + spec.name() + " created";
  if (hashed) {
    RETURN_IF_ERROR(PlanHashedPartitions(id, spec, partitions, draft));
    summary += " with " + Counted(partitions, "partition");
  } else {
    PlanAhead(UINT32_MAX, draft);
  }
  return Answer(*draft, summary);
}

absl::StatusOr<v1::MutationResponse> PlanDeleteTopic(
    const v1::DeleteTopicRequest& request, Draft* draft) {
  const TopicId id = draft->image().FindTopic(request.name());
  if (!id.valid()) {
    return absl::NotFoundError("name: no topic is called " +
                               Quote(request.name()) +
                               "; see `kafedctl topic list`");
  }
  const uint64_t keys = draft->image().topic_counters(id).keys;
  v1::Record record;
  record.mutable_logical_topic_deleted()->set_id(id.value());
  draft->Add(std::move(record));
  return Answer(*draft, "topic " + request.name() + " deleted with " +
                            Counted(keys, "key"));
}

void PlanAhead(uint32_t max_topics, Draft* draft) {
  Placer placer(draft);
  const auto sub_clusters = draft->image().SubClusters();
  for (const auto& [topic_id, topic] : draft->image().Topics()) {
    if (topic.kind == v1::TOPIC_KIND_HASHED) continue;
    for (const auto& [sub_cluster_id, row] : sub_clusters) {
      if (!AllowsRegion(topic, row.region) || !Placer::TakesKeys(row)) continue;
      if (max_topics == 0) return;
      const LimitsFields limits = EffectiveLimits(topic, row);
      const Share share = draft->image().share(topic_id, sub_cluster_id);
      if (share.kafka_topics >= limits.topics || share.with_room.size() > 1) {
        continue;
      }
      if (!share.with_room.empty()) {
        const auto slots = draft->image().GetOr<Slots>(
            Table::kSlots, KeyOf(share.with_room.front()));
        uint64_t charge = 0;
        for (const Slots::Slot& slot : slots.slots) charge += slot.charge;
        const uint64_t capacity =
            slots.slots.size() * uint64_t{limits.keys_per_partition};
        if (charge * 5 < capacity * 4) continue;  // less than 80% full
      }
      placer.OpenKafkaTopic(topic_id, sub_cluster_id);
      --max_topics;
    }
  }
}

}  // namespace kafed::federation
