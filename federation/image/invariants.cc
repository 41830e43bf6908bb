#include "federation/image/invariants.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/murmur2.h"

namespace kafed::federation {
namespace {

class Checker {
 public:
  explicit Checker(const Image& image) : image_(image) {}

  std::vector<std::string> Run() {
    CheckChains();
    CheckBindings();
    CheckCharges();
    CheckRanges();
    CheckVpcs();
    CheckInstances();
    CheckQueues();
    return std::move(found_);
  }

 private:
  void Report(std::string sentence) { found_.push_back(std::move(sentence)); }
  static std::string NameOf(TopicId topic, PartitionNumber number) {
    return "partition " + std::to_string(topic.value()) + "/" +
           std::to_string(number.value());
  }

  void CheckChains() {
    image_.table(Table::kPartitions)
        .ForEach([&](std::string_view key, std::string_view value) {
          ByteReader reader(key);
          const TopicId topic(reader.Big32());
          const PartitionNumber number(reader.Big32());
          const auto row = DecodeRow<Partition>(value);
          const std::string name = NameOf(topic, number);
          if (!image_.topic(topic)) Report(name + " has no topic");
          if (row.chain.empty()) Report(name + " has no segment");
          for (size_t i = 0; i < row.chain.size(); ++i) {
            const Segment& segment = row.chain[i];
            const bool last = i + 1 == row.chain.size();
            if (!last && (segment.state == v1::SEGMENT_STATE_OPEN ||
                          segment.state == v1::SEGMENT_STATE_CLOSING)) {
              Report(name + " has a writable segment that is not its newest");
            }
            if (i > 0 && segment.epoch <= row.chain[i - 1].epoch) {
              Report(name + ": epochs do not rise");
            }
            if (!image_.kafka_topic(segment.kafka_topic)) {
              Report(name + " names a Kafka topic that does not exist");
            }
            if (!image_.sub_cluster(segment.sub_cluster)) {
              Report(name + " names a sub-cluster that does not exist");
            }
          }
        });
  }

  void CheckBindings() {
    image_.table(Table::kBindings)
        .ForEach([&](std::string_view key, std::string_view value) {
          ByteReader reader(key);
          const TopicId topic_id(reader.Big32());
          const std::string bound(reader.rest());
          const auto row = DecodeRow<Binding>(value);
          const auto topic = image_.topic(topic_id);
          if (!topic || row.targets.empty()) {
            Report("binding of " + bound + " has no topic or no target");
            return;
          }
          for (const Binding::Target& target : row.targets) {
            CheckTarget(topic_id, *topic, bound, target);
          }
        });
  }

  void CheckTarget(TopicId topic_id, const Topic& topic,
                   const std::string& bound, const Binding::Target& target) {
    charges_[{topic_id, target.partition}] += target.charge;
    const std::string name = NameOf(topic_id, target.partition);
    const auto partition = image_.partition(topic_id, target.partition);
    if (!partition) {
      Report(bound + " is bound to " + name + ", which does not exist");
      return;
    }
    const auto keys = image_.GetOr<PartitionKeys>(
        Table::kPartitionKeys, KeyOf(topic_id, target.partition));
    if (std::count(keys.keys.begin(), keys.keys.end(), bound) != 1) {
      Report(bound + " is bound to " + name + ", which does not list it once");
    }
    const Segment* segment = partition->Writable();
    if (segment == nullptr) return;
    const auto sub_cluster = image_.sub_cluster(segment->sub_cluster);
    if (!sub_cluster) return;
    if (topic.kind == v1::TOPIC_KIND_UNICAST) {
      const auto host = image_.host(bound);
      if (!host) {
        Report(bound + " is bound and is not a host");
      } else if (host->region != sub_cluster->region) {
        Report("host " + bound + " of region " + host->region +
               " is in region " + sub_cluster->region);
      } else if (host->home != segment->sub_cluster) {
        Report("host " + bound + " is bound away from its home");
      }
    }
    if (topic.kind == v1::TOPIC_KIND_MULTICAST &&
        target.home != segment->sub_cluster) {
      Report("VPC " + bound + ": the partition for a home is elsewhere");
    }
  }

  void CheckCharges() {
    std::map<std::pair<TopicId, SubClusterId>, uint64_t> shares;
    image_.table(Table::kPartitions)
        .ForEach([&](std::string_view key, std::string_view value) {
          ByteReader reader(key);
          const TopicId topic_id(reader.Big32());
          const PartitionNumber number(reader.Big32());
          const auto row = DecodeRow<Partition>(value);
          const auto topic = image_.topic(topic_id);
          const Segment* segment = row.Writable();
          if (!topic || segment == nullptr) return;
          CheckSlot(topic_id, *topic, number, *segment,
                    &shares[{topic_id, segment->sub_cluster}]);
        });
    for (const auto& [at, charge] : shares) {
      if (image_.share(at.first, at.second).charge != charge) {
        Report("share " + std::to_string(at.first.value()) + "/" +
               std::to_string(at.second.value()) + " counts " +
               std::to_string(image_.share(at.first, at.second).charge) +
               " keys, there are " + std::to_string(charge));
      }
    }
  }

  void CheckSlot(TopicId topic_id, const Topic& topic, PartitionNumber number,
                 const Segment& segment, uint64_t* share) {
    const std::string name = NameOf(topic_id, number);
    const auto slots =
        image_.GetOr<Slots>(Table::kSlots, KeyOf(segment.kafka_topic));
    if (segment.kafka_partition >= slots.slots.size()) {
      Report(name + " has no slot");
      return;
    }
    const Slots::Slot& slot = slots.slots[segment.kafka_partition];
    *share += slot.charge;
    if (slot.partition_plus_1 != number.value() + 1) {
      Report(name + ": its slot names another partition");
    }
    const uint64_t charge = charges_[{topic_id, number}];
    const bool resource = topic.kind == v1::TOPIC_KIND_RESOURCE;
    // A removed resource keeps its slot taken.
    if (resource ? slot.charge < charge : slot.charge != charge) {
      Report(name + ": its slot counts " + std::to_string(slot.charge) +
             ", the bindings " + std::to_string(charge));
    }
  }

  void CheckRanges() {
    for (const auto& [id, topic] : image_.Topics()) {
      if (topic.kind != v1::TOPIC_KIND_HASHED) continue;
      std::map<uint32_t, uint32_t> ranges;  // low -> high
      const uint32_t count = image_.topic_counters(id).next_partition;
      for (uint32_t i = 0; i < count; ++i) {
        const auto row = image_.partition(id, PartitionNumber(i));
        if (row && row->Writable() != nullptr) ranges[row->low] = row->high;
      }
      uint64_t next = 0;
      for (const auto& [low, high] : ranges) {
        if (low != next) Report("topic " + topic.name + ": ranges do not tile");
        next = uint64_t{high} + 1;
      }
      if (next != kHashSpace) {
        Report("topic " + topic.name + ": ranges end at " +
               std::to_string(next));
      }
    }
  }

  void CheckVpcs() {
    image_.table(Table::kVpcs)
        .ForEach([&](std::string_view key, std::string_view value) {
          CheckVpc(std::string(key), DecodeRow<Vpc>(value));
        });
  }

  void CheckVpc(const std::string& id, const Vpc& vpc) {
    if (!vpc.owner.empty()) ++owned_[vpc.owner];
    std::map<SubClusterId, uint32_t> homes;
    std::set<std::string> seen;
    for (uint32_t i = 0; i < vpc.chunks; ++i) {
      const auto chunk =
          image_.GetOr<VpcChunk>(Table::kVpcChunks, KeyOf(id, i));
      for (const std::string& host_id : chunk.hosts) {
        const auto member =
            image_.Get<VpcMember>(Table::kVpcMembers, KeyOf(id, host_id));
        const auto host = image_.host(host_id);
        if (!host || !member || member->chunk != i ||
            !seen.insert(host_id).second) {
          Report("VPC " + id + ": member " + host_id + " is not consistent");
          continue;
        }
        if (std::count(host->vpcs.begin(), host->vpcs.end(), id) != 1) {
          Report("host " + host_id + " does not list VPC " + id + " once");
        }
        ++homes[host->home];
      }
    }
    if (seen.size() != vpc.members) {
      Report("VPC " + id + " counts " + std::to_string(vpc.members) +
             " members, lists " + std::to_string(seen.size()));
    }
    std::map<SubClusterId, uint32_t> counted;
    for (const Vpc::Home& home : vpc.homes) {
      counted[home.sub_cluster] = home.members;
    }
    if (counted != homes) Report("VPC " + id + ": homes are not its members'");
  }

  void CheckInstances() {
    image_.table(Table::kInstances)
        .ForEach([&](std::string_view key, std::string_view value) {
          const auto row = DecodeRow<Instance>(value);
          if (row.vpcs != owned_[std::string(key)]) {
            Report("instance " + std::string(key) + " counts " +
                   std::to_string(row.vpcs) + " VPCs, owns " +
                   std::to_string(owned_[std::string(key)]));
          }
        });
  }

  void CheckQueues() {
    const Counters counters = image_.counters();
    if (image_.table(Table::kRequestQueue).size() !=
        counters.request_next - counters.request_first) {
      Report("the queue of requests has another length than its counters say");
    }
  }

  const Image& image_;
  std::vector<std::string> found_;
  std::map<std::pair<TopicId, PartitionNumber>, uint64_t> charges_;
  std::map<std::string, uint64_t> owned_;
};

}  // namespace

std::vector<std::string> FindViolations(const Image& image) {
  return Checker(image).Run();
}

}  // namespace kafed::federation
