// Commands to an image and to a plain model of what an operator would expect of
// it; Check compares the two.
#pragma once

#include <rapidcheck.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/federation/lab.h"
#include "tests/unit/federation/snapshot_bytes.h"

namespace kafed::federation {

using Kind = v1::TopicKind;
using TopicKey = std::pair<std::string, std::string>;  // topic, key

// A region is in a host's and a VPC's name; sub-clusters a, b and d are in eu.
inline std::string RegionOf(const std::string& name) {
  return name == "c" || name.back() % 2 == 1 ? "us" : "eu";
}

struct Model {
  std::set<std::string> clusters;
  std::map<std::string, Kind> topics;
  std::map<std::string, std::vector<std::string>> hosts;  // -> VPCs, as joined
  struct Vpc {
    std::set<std::string> members;
    uint64_t version = 0;
    std::set<std::string> topics;  // multicast, when the first one joined
  };
  std::map<std::string, Vpc> vpcs;
  std::set<TopicKey> resources;
  std::set<std::string> hashed_on;  // sub-clusters with ranges
  // What was seen once and must stay: partition of a key, home of a host.
  std::map<TopicKey, uint32_t> partitions;
  std::map<std::string, std::string> homes;
  std::set<std::pair<TopicId, uint32_t>> resource_partitions;  // ever

  std::vector<std::string> TopicsOf(Kind kind) const {
    std::vector<std::string> names;
    for (const auto& [name, is] : topics) {
      if (is == kind) names.push_back(name);
    }
    return names;
  }
};

// Plays commands to a Lab and to the model.
class Player {
 public:
  Player() {
    RC_ASSERT(AddCluster("a"));
    RC_ASSERT(AddCluster("c"));
  }

  bool AddCluster(const std::string& name) {
    v1::Limits limits;
    limits.set_topics(4);
    limits.set_partitions_per_topic(3);
    limits.set_keys_per_partition(2);
    const bool expected = !model_.clusters.contains(name);
    const bool added = lab_.AddCluster(name, name == "c" ? "us" : "eu",
                                       {name == "b" ? "z2" : "z1"}, limits)
                           .ok();
    RC_ASSERT(added == expected);
    model_.clusters.insert(name);
    Keep(added);
    return added;
  }

  void RemoveCluster(const std::string& name) {
    v1::RemoveSubClusterRequest request;
    request.set_name(name);
    const absl::Status removed = lab_.Run(PlanRemoveSubCluster, request);
    bool in_use =
        !model_.clusters.contains(name) || model_.hashed_on.contains(name);
    for (const auto& [host, home] : model_.homes) in_use |= home == name;
    for (const auto& [key, at] : resource_clusters_) in_use |= at == name;
    RC_LOG() << removed.ToString();
    RC_ASSERT(removed.ok() == !in_use);
    Keep(removed.ok());
    if (removed.ok()) model_.clusters.erase(name);
  }

  void CreateTopic(const std::string& name, Kind kind) {
    v1::CreateTopicRequest request;
    request.mutable_spec()->set_name(name);
    request.mutable_spec()->set_kind(kind);
    request.mutable_spec()->set_region_policy(v1::REGION_POLICY_MULTI_REGION);
    request.mutable_spec()->set_large_vpc_members(3);
    const absl::Status created = lab_.Run(PlanCreateTopic, request);
    RC_ASSERT(created.ok() == !model_.topics.contains(name));
    Keep(created.ok());
    if (!created.ok()) return;
    model_.topics[name] = kind;
    if (kind == v1::TOPIC_KIND_HASHED) SeeRanges(name);
    if (kind != v1::TOPIC_KIND_UNICAST) return;
    std::vector<std::string> ids;
    for (const auto& [id, vpcs] : model_.hosts) ids.push_back(id);
    const absl::Status bound = lab_.Commit([&](Draft* draft) {
      return PlanBindHosts(ids, draft->image().FindTopic(name), draft);
    });
    RC_LOG() << bound.ToString();
    RC_ASSERT(bound.ok());
    Keep(true);
  }

  void DeleteTopic(const std::string& name) {
    v1::DeleteTopicRequest request;
    request.set_name(name);
    const absl::Status deleted = lab_.Run(PlanDeleteTopic, request);
    RC_ASSERT(deleted.ok() == model_.topics.contains(name));
    Keep(deleted.ok());
    if (!deleted.ok()) return;
    if (model_.topics[name] == v1::TOPIC_KIND_HASHED) model_.hashed_on.clear();
    model_.topics.erase(name);
    std::erase_if(model_.resources,
                  [&](const auto& each) { return each.first == name; });
    std::erase_if(model_.partitions,
                  [&](const auto& each) { return each.first.first == name; });
    std::erase_if(resource_clusters_,
                  [&](const auto& each) { return each.first.first == name; });
    for (auto& [id, vpc] : model_.vpcs) vpc.topics.erase(name);
  }

  void AddHosts(const std::vector<std::string>& ids) {
    std::vector<v1::HostSpec> specs;
    bool expected = true;
    std::set<std::string> seen;
    for (const std::string& id : ids) {
      specs.push_back(Lab::HostOf(id, RegionOf(id), "z1"));
      expected &= !model_.hosts.contains(id) && seen.insert(id).second;
    }
    const absl::Status added = lab_.AddHosts(specs);
    RC_LOG() << added.ToString();
    RC_ASSERT(added.ok() == expected);
    Keep(added.ok());
    if (!added.ok()) return;
    for (const std::string& id : ids) model_.hosts[id] = {};
  }

  void RemoveHosts(const std::vector<std::string>& ids, bool cascade) {
    bool expected = true;
    std::set<std::string> seen;
    for (const std::string& id : ids) {
      const auto at = model_.hosts.find(id);
      expected &= at != model_.hosts.end() && seen.insert(id).second &&
                  (cascade || at->second.empty());
    }
    const absl::Status removed = lab_.Commit(
        [&](Draft* draft) { return PlanRemoveHosts(ids, cascade, draft); });
    RC_ASSERT(removed.ok() == expected);
    Keep(removed.ok());
    if (!removed.ok()) return;
    for (const std::string& id : ids) {
      for (const std::string& vpc : model_.hosts[id]) LeaveModel(vpc, id);
      // Each left by an entry of its own kind: the version rises each time.
      model_.hosts.erase(id);
      model_.homes.erase(id);
      std::erase_if(model_.partitions,
                    [&](const auto& each) { return each.first.second == id; });
    }
  }

  void CreateVpc(const std::string& id) {
    v1::CreateVpcRequest request;
    request.set_id(id);
    request.set_region(RegionOf(id));
    const absl::Status created = lab_.Run(PlanCreateVpc, request);
    RC_ASSERT(created.ok() == !model_.vpcs.contains(id));
    Keep(created.ok());
    if (created.ok()) model_.vpcs[id] = {};
  }

  void DeleteVpc(const std::string& id, bool cascade) {
    v1::DeleteVpcRequest request;
    request.set_id(id);
    request.set_cascade(cascade);
    const auto at = model_.vpcs.find(id);
    const bool expected =
        at != model_.vpcs.end() && (cascade || at->second.members.empty());
    const absl::Status deleted = lab_.Run(PlanDeleteVpc, request);
    RC_ASSERT(deleted.ok() == expected);
    Keep(deleted.ok());
    if (!deleted.ok()) return;
    for (auto& [host, vpcs] : model_.hosts) std::erase(vpcs, id);
    model_.vpcs.erase(id);
    ForgetVpcPartitions(id);
  }

  void Join(const std::string& vpc, const std::vector<std::string>& ids) {
    const auto at = model_.vpcs.find(vpc);
    bool expected = at != model_.vpcs.end();
    std::set<std::string> seen;
    for (const std::string& id : ids) {
      expected = expected && model_.hosts.contains(id) &&
                 seen.insert(id).second && !at->second.members.contains(id) &&
                 RegionOf(id) == RegionOf(vpc) && model_.homes.contains(id);
    }
    const absl::Status joined = lab_.Join(vpc, ids);
    RC_LOG() << joined.ToString();
    RC_ASSERT(joined.ok() == expected);
    Keep(joined.ok());
    if (!joined.ok()) return;
    if (at->second.members.empty()) {
      for (const auto& name : model_.TopicsOf(v1::TOPIC_KIND_MULTICAST)) {
        at->second.topics.insert(name);
      }
    }
    ++at->second.version;
    for (const std::string& id : ids) {
      at->second.members.insert(id);
      model_.hosts[id].push_back(vpc);
    }
  }

  void Leave(const std::string& vpc, const std::vector<std::string>& ids) {
    const auto at = model_.vpcs.find(vpc);
    bool expected = at != model_.vpcs.end();
    std::set<std::string> seen;
    for (const std::string& id : ids) {
      expected =
          expected && seen.insert(id).second && at->second.members.contains(id);
    }
    const absl::Status left = lab_.Leave(vpc, ids);
    RC_ASSERT(left.ok() == expected);
    Keep(left.ok());
    if (!left.ok()) return;
    ++at->second.version;
    for (const std::string& id : ids) {
      at->second.members.erase(id);
      std::erase(model_.hosts[id], vpc);
    }
    if (at->second.members.empty()) at->second.topics.clear();
  }

  void AddResource(const std::string& topic, const std::string& id) {
    v1::AddResourceRequest request;
    request.set_topic(topic);
    request.set_id(id);
    request.set_region("eu");
    const bool possible = model_.topics.contains(topic) &&
                          model_.topics[topic] == v1::TOPIC_KIND_RESOURCE &&
                          !model_.resources.contains({topic, id});
    const absl::Status added = lab_.Run(PlanAddResource, request);
    // Dead partitions count against the limits until their topic goes.
    const bool full = added.code() == absl::StatusCode::kResourceExhausted;
    RC_ASSERT(added.ok() == (possible && !full));
    Keep(added.ok());
    if (!added.ok()) return;
    model_.resources.insert({topic, id});
    const TopicId number = lab_.image().FindTopic(topic);
    const uint32_t partition =
        lab_.image().binding(number, id)->targets.at(0).partition.value();
    // One of its own, which no other resource ever had.
    RC_ASSERT(model_.resource_partitions.insert({number, partition}).second);
    resource_clusters_[{topic, id}] = ClusterOf(number, partition);
  }

  void RemoveResource(const std::string& topic, const std::string& id) {
    v1::RemoveResourceRequest request;
    request.set_topic(topic);
    request.set_id(id);
    const absl::Status removed = lab_.Run(PlanRemoveResource, request);
    RC_ASSERT(removed.ok() == model_.resources.contains({topic, id}));
    Keep(removed.ok());
    model_.resources.erase({topic, id});
    model_.partitions.erase({topic, id});
    resource_clusters_.erase({topic, id});
  }

  void SetWeight(const std::string& cluster, uint32_t weight) {
    v1::UpdateSubClusterRequest request;
    request.set_name(cluster);
    request.set_weight(weight);
    const absl::Status updated = lab_.Run(PlanUpdateSubCluster, request);
    RC_ASSERT(updated.ok() == model_.clusters.contains(cluster));
    Keep(updated.ok());
  }

  // What the coordinator would find: Kafka topics made and gone, markers sent.
  void Settle() {
    RC_ASSERT(lab_.Commit([](Draft* draft) {
                    PlanAhead(4, draft);
                    AddFacts(draft);
                    return absl::OkStatus();
                  })
                  .ok());
    Keep(true);
    RC_ASSERT(lab_.image().table(Table::kPendingMarkers).empty());
  }

  void Wait(uint64_t ms) { lab_.Advance(ms); }

  // Everything that an operator can see is as the model has it.
  void Check() {
    const Image& image = lab_.image();
    std::set<std::string> clusters;
    for (const auto& [id, row] : image.SubClusters()) clusters.insert(row.name);
    RC_ASSERT(clusters == model_.clusters);
    std::map<std::string, Kind> topics;
    for (const auto& [id, row] : image.Topics()) topics[row.name] = row.kind;
    RC_ASSERT(topics == model_.topics);
    CheckHosts();
    CheckVpcs();
    CheckBindings();
  }

  void CheckSnapshot() const {
    const auto loaded = ImageOf(SnapshotOf(lab_.image()));
    RC_ASSERT(loaded.ok());
    RC_ASSERT(loaded->Hash() == lab_.image().Hash());
    RC_ASSERT(loaded->position() == lab_.image().position());
    RC_ASSERT(loaded->head().header_hash == lab_.image().head().header_hash);
  }

  void CheckReplay() const {
    Image replayed;
    for (const v1::Entry& entry : log_) {
      RC_ASSERT(ApplyEntry(entry, &replayed, nullptr).ok());
    }
    RC_ASSERT(replayed.Hash() == lab_.image().Hash());
  }

 private:
  void Keep(bool committed) {
    if (!committed) return;
    if (log_.empty()) log_.push_back(first_);
    log_.push_back(lab_.last_entry());
  }

  static void AddFacts(Draft* draft) {
    std::vector<v1::Record> facts = KafkaTopicFacts(draft->image());
    draft->image()
        .table(Table::kPendingMarkers)
        .ForEach([&](auto key, auto row) {
          ByteReader reader(key);
          auto& written = *facts.emplace_back().mutable_markers_written();
          written.set_vpc(std::string(reader.String()));
          written.add_hosts(std::string(reader.rest()));
          written.set_membership_version(DecodeRow<PendingMarker>(row).version);
        });
    for (v1::Record& fact : facts) draft->Add(std::move(fact));
  }

  // Where the ranges went depends on weights (placement_model_test.cc).
  void SeeRanges(const std::string& name) {
    const TopicId topic = lab_.image().FindTopic(name);
    const uint32_t count = lab_.image().topic_counters(topic).next_partition;
    RC_ASSERT(count > 0);
    for (uint32_t i = 0; i < count; ++i) {
      model_.hashed_on.insert(ClusterOf(topic, i));
    }
  }

  void LeaveModel(const std::string& vpc, const std::string& host) {
    Model::Vpc& row = model_.vpcs[vpc];
    row.members.erase(host);
    ++row.version;
    if (row.members.empty()) row.topics.clear();
  }

  void ForgetVpcPartitions(const std::string& id) {
    std::erase_if(model_.partitions, [&](const auto& each) {
      return each.first.second.starts_with(id + "@");
    });
  }

  std::string ClusterOf(TopicId topic, uint32_t partition) const {
    const auto row = lab_.image().partition(topic, PartitionNumber(partition));
    RC_ASSERT(row && row->Writable() != nullptr);
    return lab_.image().sub_cluster(row->Writable()->sub_cluster)->name;
  }

  // The key stays where it was seen first.
  void CheckStays(const std::string& topic, const std::string& key,
                  uint32_t partition) {
    const auto at = model_.partitions.emplace(TopicKey{topic, key}, partition);
    RC_ASSERT(at.first->second == partition);
  }

  void CheckHosts() {
    const Image& image = lab_.image();
    RC_ASSERT(image.table(Table::kHosts).size() == model_.hosts.size());
    for (const auto& [id, vpcs] : model_.hosts) {
      const auto host = image.host(id);
      RC_ASSERT(host.has_value());
      RC_ASSERT(host->region == RegionOf(id));
      RC_ASSERT(host->vpcs == vpcs);
      if (!host->home.valid()) {
        RC_ASSERT(!model_.homes.contains(id));
        continue;
      }
      const auto home = image.sub_cluster(host->home);
      RC_ASSERT(home.has_value());
      RC_ASSERT(home->region == RegionOf(id));
      RC_ASSERT(model_.homes.emplace(id, home->name).first->second ==
                home->name);
    }
  }

  void CheckVpcs() {
    const Image& image = lab_.image();
    RC_ASSERT(image.table(Table::kVpcs).size() == model_.vpcs.size());
    size_t members = 0;
    for (const auto& [id, vpc] : model_.vpcs) {
      const auto row = image.vpc(id);
      RC_ASSERT(row.has_value());
      RC_ASSERT(row->region == RegionOf(id));
      RC_ASSERT(row->membership_version == vpc.version);
      const auto hosts = VpcHosts(image, id, SIZE_MAX);
      RC_ASSERT(std::set<std::string>(hosts.begin(), hosts.end()) ==
                vpc.members);
      RC_ASSERT(hosts.size() == vpc.members.size());
      members += hosts.size();
    }
    RC_ASSERT(image.table(Table::kVpcMembers).size() == members);
  }

  void CheckBindings() {
    const Image& image = lab_.image();
    size_t bindings = model_.resources.size();
    for (const auto& name : model_.TopicsOf(v1::TOPIC_KIND_UNICAST)) {
      const TopicId topic = image.FindTopic(name);
      for (const auto& [id, vpcs] : model_.hosts) {
        const auto binding = image.binding(topic, id);
        RC_ASSERT(binding && binding->targets.size() == 1);
        CheckStays(name, id, binding->targets[0].partition.value());
      }
      bindings += model_.hosts.size();
      RC_ASSERT(image.topic_counters(topic).keys == model_.hosts.size());
    }
    for (const auto& name : model_.TopicsOf(v1::TOPIC_KIND_MULTICAST)) {
      for (const auto& [id, vpc] : model_.vpcs) {
        bindings += CheckVpcBinding(name, id, vpc);
      }
    }
    for (const auto& [topic, id] : model_.resources) {
      const auto binding = image.binding(image.FindTopic(topic), id);
      RC_ASSERT(binding && binding->targets.size() == 1);
      CheckStays(topic, id, binding->targets[0].partition.value());
    }
    RC_ASSERT(image.table(Table::kBindings).size() == bindings);
  }

  // One target for each home of the members; returns how many rows there are.
  size_t CheckVpcBinding(const std::string& topic, const std::string& id,
                         const Model::Vpc& vpc) {
    const TopicId number = lab_.image().FindTopic(topic);
    const auto binding = lab_.image().binding(number, id);
    std::set<std::string> homes;
    for (const std::string& host : vpc.members) {
      homes.insert(model_.homes.at(host));
    }
    std::set<std::string> bound;
    for (const auto& target : binding.value_or(Binding()).targets) {
      const uint32_t partition = target.partition.value();
      const std::string home =
          lab_.image().sub_cluster(target.home).value().name;
      RC_ASSERT(bound.insert(home).second);
      RC_ASSERT(ClusterOf(number, partition) == home);
      CheckStays(topic, absl::StrCat(id, "@", home), partition);
    }
    std::erase_if(model_.partitions, [&](const auto& each) {
      const auto& [at, key] = each.first;
      return at == topic && key.starts_with(id + "@") &&
             !bound.contains(key.substr(id.size() + 1));
    });
    // A topic that is younger than the membership knows only later homes.
    if (vpc.topics.contains(topic)) RC_ASSERT(bound == homes);
    RC_ASSERT(
        std::includes(homes.begin(), homes.end(), bound.begin(), bound.end()));
    return binding ? 1 : 0;
  }

  Lab lab_;
  v1::Entry first_ = lab_.last_entry();
  Model model_;
  std::map<TopicKey, std::string> resource_clusters_;
  std::vector<v1::Entry> log_;
};

}  // namespace kafed::federation
