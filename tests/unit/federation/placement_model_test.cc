// Placement against brute force in small federations: the same choice as a
// reader of the rules would make by trying all, and never a forbidden one.
#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "federation/placement/lbmrc.h"
#include "federation/placement/placer.h"
#include "tests/unit/federation/lab.h"

namespace kafed::federation {
namespace {

uint64_t Weight(const SubCluster& row) { return std::max(1u, row.weight); }

// One topic on one sub-cluster, read slot by slot.
struct Place {
  SubClusterId id;
  SubCluster row;
  LimitsFields limits;
  // Kafka topics, oldest first, with the charge of each partition.
  std::vector<std::pair<KafkaTopicId, std::vector<uint32_t>>> topics;
  uint64_t charge = 0;

  uint64_t capacity() const {
    return uint64_t{limits.topics} * limits.partitions_per_topic *
           limits.keys_per_partition;
  }
  // The oldest Kafka topic with a partition that fits, and the emptiest one.
  std::optional<std::pair<KafkaTopicId, size_t>> Slot(uint32_t need) const {
    for (const auto& [kafka_topic, slots] : topics) {
      std::optional<size_t> best;
      for (size_t i = 0; i < slots.size(); ++i) {
        if (slots[i] + need > limits.keys_per_partition) continue;
        if (!best || slots[i] < slots[*best]) best = i;
      }
      if (best) return std::pair(kafka_topic, *best);
    }
    return std::nullopt;
  }
  bool Eligible(uint32_t need) const {
    return charge + need <= capacity() &&
           (Slot(need) || topics.size() < limits.topics);
  }
};

std::vector<Place> PlacesOf(const Image& image, TopicId topic_id) {
  std::vector<Place> places;
  const Topic topic = *image.topic(topic_id);
  for (const auto& each : image.SubClusters()) {
    const SubClusterId id = each.first;  // clang 14 captures no bindings
    const SubCluster& row = each.second;
    Place place{id, row, EffectiveLimits(topic, row), {}, 0};
    std::map<KafkaTopicId, KafkaTopic> rows;
    image.table(Table::kKafkaTopics).ForEach([&](auto key, auto value) {
      const auto kafka_topic = DecodeRow<KafkaTopic>(value);
      if (kafka_topic.topic == topic_id && kafka_topic.sub_cluster == id &&
          kafka_topic.state != KafkaTopicState::kDoomed) {
        rows.emplace(ByteReader(key).Big32(), kafka_topic);
      }
    });
    for (const auto& [number, kafka_topic] : rows) {
      auto& slots =
          place.topics.emplace_back(number, std::vector<uint32_t>()).second;
      for (const auto& slot :
           image.GetOr<Slots>(Table::kSlots, KeyOf(number)).slots) {
        slots.push_back(slot.charge);
        place.charge += slot.charge;
      }
    }
    places.push_back(std::move(place));
  }
  return places;
}

// The rules, tried on every sub-cluster: region must, zone first, then the
// largest free share of limit x weight, then the first.
const Place* Choose(const std::vector<Place>& places, const PlacementWish& wish,
                    uint32_t* candidates) {
  const Place* best = nullptr;
  const auto local = [&](const Place& place) {
    return wish.zone.empty() ||
           std::count(place.row.zones.begin(), place.row.zones.end(),
                      wish.zone) > 0;
  };
  // used / (capacity * weight), compared without rounding.
  const auto fuller = [](const Place& a, const Place& b) {
    return a.charge * b.capacity() * Weight(b.row) >
           b.charge * a.capacity() * Weight(a.row);
  };
  for (const Place& place : places) {
    const bool may = wish.home.valid() ? place.id == wish.home
                                       : place.row.region == wish.region &&
                                             Placer::TakesKeys(place.row);
    if (!may) continue;
    ++*candidates;
    if (!place.Eligible(wish.exclusive ? place.limits.keys_per_partition : 1)) {
      continue;
    }
    if (best == nullptr || (local(place) && !local(*best)) ||
        (local(place) == local(*best) && fuller(*best, place))) {
      best = &place;
    }
  }
  return best;
}

class World {
 public:
  World() {
    const int clusters = *rc::gen::inRange(1, 5);
    for (int i = 0; i < clusters; ++i) AddCluster(i);
    const auto kind =
        *rc::gen::element(v1::TOPIC_KIND_UNICAST, v1::TOPIC_KIND_MULTICAST);
    v1::TopicSpec spec;
    spec.set_name("t");
    spec.set_kind(kind);
    spec.set_region_policy(v1::REGION_POLICY_MULTI_REGION);
    if (kind == v1::TOPIC_KIND_MULTICAST) {
      spec.mutable_limits()->set_keys_per_partition(*rc::gen::inRange(1u, 4u));
    }
    RC_ASSERT(lab_.CreateTopic(spec).ok());
    topic_ = lab_.image().FindTopic("t");
  }

  // One key: what the rules say, what the placer does.
  void Place() {
    const bool home = *rc::gen::inRange(0, 4) == 0;
    const std::string region = *rc::gen::element("eu", "us");
    const std::string zone = *rc::gen::element("", "z1", "z2");
    const auto all = lab_.image().SubClusters();
    const PlacementWish wish{
        topic_, region, zone,
        home ? all[*rc::gen::inRange<size_t>(0, all.size())].first
             : SubClusterId(),
        *rc::gen::inRange(0, 4) == 0};
    const auto places = PlacesOf(lab_.image(), topic_);
    uint32_t candidates = 0;
    const federation::Place* expected = Choose(places, wish, &candidates);
    const absl::Status placed = lab_.Commit([&](Draft* draft) -> absl::Status {
      const auto choice = Placer(draft).Place(wish);
      if (!choice.ok()) return choice.status();
      RC_ASSERT(expected != nullptr);
      CheckChoice(*expected, wish, candidates, *choice, draft->image());
      Bind(wish, *choice, draft);
      return absl::OkStatus();
    });
    RC_LOG() << placed.ToString();
    RC_ASSERT(placed.ok() == (expected != nullptr));
    if (expected != nullptr) return;
    RC_ASSERT(placed.code() == (candidates == 0
                                    ? absl::StatusCode::kFailedPrecondition
                                    : absl::StatusCode::kResourceExhausted));
  }

  void Change() {
    const auto all = lab_.image().SubClusters();
    const auto& [id, row] = all[*rc::gen::inRange<size_t>(0, all.size())];
    if (*rc::gen::arbitrary<bool>()) {
      v1::Record record;
      auto& changed = *record.mutable_sub_cluster_state_changed();
      changed.set_id(id.value());
      changed.set_state(AnyState());
      Commit(record);
      return;
    }
    // Also below what is in use.
    v1::UpdateSubClusterRequest request;
    request.set_name(row.name);
    *request.mutable_profile() = AnyLimits();
    request.set_weight(AnyWeight());
    RC_ASSERT(lab_.Run(PlanUpdateSubCluster, request).ok());
  }

  void Unbind() {
    std::vector<std::pair<std::string, uint32_t>> bound;
    lab_.image().table(Table::kBindings).ForEach([&](auto key, auto value) {
      for (const auto& target : DecodeRow<Binding>(value).targets) {
        bound.emplace_back(key.substr(4), target.partition.value());
      }
    });
    if (bound.empty()) return;
    const auto& [key, partition] =
        bound[*rc::gen::inRange<size_t>(0, bound.size())];
    v1::Record record;
    record.mutable_key_unbound()->set_topic_id(topic_.value());
    record.mutable_key_unbound()->set_key(key);
    record.mutable_key_unbound()->set_partition(partition);
    Commit(record);
  }

 private:
  static v1::Limits AnyLimits() {
    v1::Limits limits;
    limits.set_topics(*rc::gen::inRange(1u, 4u));
    limits.set_partitions_per_topic(*rc::gen::inRange(1u, 4u));
    limits.set_keys_per_partition(*rc::gen::inRange(1u, 4u));
    return limits;
  }
  static uint32_t AnyWeight() { return *rc::gen::element(1u, 50u, 100u, 300u); }
  static v1::SubClusterState AnyState() {
    return *rc::gen::element(
        v1::SUB_CLUSTER_STATE_ACTIVE, v1::SUB_CLUSTER_STATE_ACTIVE,
        v1::SUB_CLUSTER_STATE_UNREACHABLE, v1::SUB_CLUSTER_STATE_MISMATCHED);
  }

  void AddCluster(int i) {
    std::vector<std::string> zones = {*rc::gen::element("z1", "z2")};
    if (*rc::gen::inRange(0, 3) == 0) zones = {"z1", "z2"};
    RC_ASSERT(lab_.AddCluster("c" + std::to_string(i),
                              i == 0 ? "eu" : *rc::gen::element("eu", "us"),
                              zones, AnyLimits(), AnyWeight())
                  .ok());
  }

  void Commit(const v1::Record& record) {
    RC_ASSERT(lab_.Commit([&](Draft* draft) {
                    draft->Add(record);
                    return absl::OkStatus();
                  })
                  .ok());
  }

  void CheckChoice(const federation::Place& expected, const PlacementWish& wish,
                   uint32_t candidates, const PlacementChoice& choice,
                   const Image& after) const {
    RC_ASSERT(choice.sub_cluster == expected.id);
    const auto partition = after.partition(topic_, choice.partition);
    RC_ASSERT(partition.has_value());
    const Segment& segment = *partition->Writable();
    RC_ASSERT(segment.sub_cluster == expected.id);
    const uint32_t need =
        wish.exclusive ? expected.limits.keys_per_partition : 1;
    uint32_t before = 0;
    if (const auto slot = expected.Slot(need)) {
      RC_ASSERT(segment.kafka_topic == slot->first);
      RC_ASSERT(segment.kafka_partition == slot->second);
      for (const auto& [id, slots] : expected.topics) {
        if (id == slot->first) before = slots[slot->second];
      }
    } else {  // a Kafka topic that was not there, within the limit
      RC_ASSERT(expected.topics.size() < expected.limits.topics);
      for (const auto& [id, slots] : expected.topics) {
        RC_ASSERT(segment.kafka_topic != id);
      }
      RC_ASSERT(segment.kafka_partition == 0u);
      RC_ASSERT(after.kafka_topic(segment.kafka_topic)->partitions ==
                expected.limits.partitions_per_topic);
    }
    RC_ASSERT(before + need <= expected.limits.keys_per_partition);
    // The record says why.
    const v1::PlacementReason& reason = choice.reason;
    RC_ASSERT(reason.candidates() == candidates);
    RC_ASSERT(reason.used() == expected.charge);
    RC_ASSERT(reason.limit() == expected.capacity());
    RC_ASSERT(reason.weight() == expected.row.weight);
    RC_ASSERT(reason.partition_keys() == before);
    const auto& zones = expected.row.zones;
    RC_ASSERT(reason.spilled() ==
              (!wish.zone.empty() &&
               std::count(zones.begin(), zones.end(), wish.zone) == 0));
  }

  void Bind(const PlacementWish& wish, const PlacementChoice& choice,
            Draft* draft) {
    const std::string key = "k" + std::to_string(++keys_);
    const bool unicast =
        draft->image().topic(topic_)->kind == v1::TOPIC_KIND_UNICAST;
    if (unicast) {
      v1::Record host;
      host.mutable_host_added()->mutable_host()->set_id(key);
      host.mutable_host_added()->mutable_host()->set_region(
          draft->image().sub_cluster(choice.sub_cluster)->region);
      draft->Add(std::move(host));
    }
    v1::Record record;
    auto& bound = *record.mutable_key_bound();
    bound.set_topic_id(topic_.value());
    bound.set_key(key);
    bound.set_partition(choice.partition.value());
    bound.set_exclusive(wish.exclusive);
    if (!unicast) bound.set_home_sub_cluster_id(choice.sub_cluster.value());
    draft->Add(std::move(record));
  }

  Lab lab_;
  TopicId topic_;
  int keys_ = 0;
};

RC_GTEST_PROP(PlacementModel, ChoosesAsBruteForceDoes, ()) {
  World world;
  const int steps = *rc::gen::inRange(1, 60);
  for (int i = 0; i < steps; ++i) {
    const int action = *rc::gen::inRange(0, 12);
    if (action < 9) {
      world.Place();
    } else if (action < 10) {
      world.Unbind();
    } else {
      world.Change();
    }
  }
}

// Partitions of a hashed topic go by weight, as evenly as limits let them: no
// sub-cluster with room is better off than another one's last partition.
RC_GTEST_PROP(PlacementModel, SpreadsHashedPartitionsByWeight, ()) {
  Lab lab;
  const int clusters = *rc::gen::inRange(1, 5);
  uint64_t room = 0;
  for (int i = 0; i < clusters; ++i) {
    v1::Limits limits;
    limits.set_topics(*rc::gen::inRange(1u, 4u));
    limits.set_partitions_per_topic(*rc::gen::inRange(1u, 6u));
    room += limits.topics() * limits.partitions_per_topic();
    RC_ASSERT(lab.AddCluster("c" + std::to_string(i), "eu", {"z1"}, limits,
                             *rc::gen::inRange(1u, 9u))
                  .ok());
  }
  v1::CreateTopicRequest request;
  request.mutable_spec()->set_name("ord");
  request.mutable_spec()->set_kind(v1::TOPIC_KIND_HASHED);
  request.mutable_spec()->set_partitions(*rc::gen::inRange(1u, 40u));
  const absl::Status created = lab.Run(PlanCreateTopic, request);
  RC_ASSERT(created.ok() == (request.spec().partitions() <= room));
  if (!created.ok()) return;
  const TopicId topic = lab.image().FindTopic("ord");
  std::map<SubClusterId, uint64_t> counts;
  for (uint32_t i = 0; i < request.spec().partitions(); ++i) {
    ++counts[lab.image()
                 .partition(topic, PartitionNumber(i))
                 ->Writable()
                 ->sub_cluster];
  }
  for (const auto& [a, row_a] : lab.image().SubClusters()) {
    for (const auto& [b, row_b] : lab.image().SubClusters()) {
      const uint64_t limit =
          uint64_t{row_b.profile.topics} * row_b.profile.partitions_per_topic;
      if (counts[a] == 0 || counts[b] >= limit) continue;
      RC_ASSERT((counts[a] - 1) * Weight(row_b) <= counts[b] * Weight(row_a));
    }
  }
}

RC_GTEST_PROP(LbmrcModel, ChoosesTheFirstOfTheBest, ()) {
  std::vector<LbmrcCandidate> candidates(*rc::gen::inRange<size_t>(0, 8));
  for (LbmrcCandidate& each : candidates) {
    each = {*rc::gen::arbitrary<bool>(), *rc::gen::inRange(0, 4) != 0,
            *rc::gen::inRange(-3, 4) * 0.5};
  }
  std::optional<size_t> best;
  const auto rank = [&](size_t i) {
    return std::pair(candidates[i].local, candidates[i].residual);
  };
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!candidates[i].eligible) continue;
    if (!best || rank(i) > rank(*best)) best = i;
  }
  RC_ASSERT(ChooseLbmrc(candidates) == best);
}

}  // namespace
}  // namespace kafed::federation
