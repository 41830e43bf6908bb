// Lab: an image that commands are planned and committed on, as a node does it.
//
// After each commit the entry is encoded, decoded and replayed on the former
// image: the result must be identical, and no invariant may be violated.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "federation/image/entry_codec.h"
#include "federation/image/incarnation.h"
#include "federation/image/invariants.h"
#include "federation/plan/planners.h"

namespace kafed::federation {

// What the coordinator would record: Kafka topics that are planned were made,
// doomed ones are gone.
inline std::vector<v1::Record> KafkaTopicFacts(const Image& image) {
  std::vector<v1::Record> facts;
  image.table(Table::kKafkaTopics).ForEach([&](auto key, auto row) {
    const uint32_t id = ByteReader(key).Big32();
    const auto state = DecodeRow<KafkaTopic>(row).state;
    if (state == KafkaTopicState::kPlanned) {
      facts.emplace_back().mutable_kafka_topic_created()->set_id(id);
    } else if (state == KafkaTopicState::kDoomed) {
      facts.emplace_back().mutable_kafka_topic_deleted()->set_id(id);
    }
  });
  return facts;
}

class Lab {
 public:
  explicit Lab(bool check = true) : check_(check) {
    const absl::Status begun = Commit([](Draft* draft) {
      v1::Record record;
      record.mutable_incarnation_began()->set_reason(std::string(kReasonNew));
      draft->Add(record);
      return absl::OkStatus();
    });
    EXPECT_TRUE(begun.ok()) << begun;
  }

  const Image& image() const { return image_; }
  const std::vector<ChangedRow>& last_changes() const { return changes_; }
  const v1::Entry& last_entry() const { return entry_; }
  void Advance(uint64_t ms) { time_ms_ += ms; }
  void set_check(bool check) { check_ = check; }

  // Commits what `plan` adds; a refusal leaves the image as it was.
  absl::Status Commit(const std::function<absl::Status(Draft*)>& plan) {
    v1::EntryHeader header;
    header.set_entry_id("0123456789abcdef");
    header.mutable_position()->set_incarnation(incarnation_);
    header.mutable_position()->set_nonce(7);
    header.mutable_position()->set_index(image_.head().index.value() + 1);
    header.set_feature_level(image_.head().index.valid()
                                 ? image_.head().feature_level
                                 : kFeatureLevel);
    header.set_predecessor_hash(image_.head().header_hash);
    header.set_time_ms(++time_ms_);
    Draft draft(image_, header);
    const Draft::Checkpoint before = draft.Mark();
    absl::Status status = plan(&draft);
    if (!status.ok()) {
      draft.Rollback(before);
      return status;
    }
    if (check_) Replay(draft);
    image_ = draft.image();
    changes_ = draft.changes();
    entry_ = draft.entry();
    return absl::OkStatus();
  }

  template <typename Request, typename Planner>
  absl::Status Run(Planner planner, const Request& request) {
    return Commit(
        [&](Draft* draft) { return planner(request, draft).status(); });
  }

  // Goes on as a restore of the present image does.
  absl::Status Restore(uint64_t incarnation) {
    incarnation_ = incarnation;
    return Commit([](Draft* draft) {
      v1::Record record;
      record.mutable_incarnation_began()->set_reason(
          std::string(kReasonRestore));
      draft->Add(record);
      return absl::OkStatus();
    });
  }

  // --- shorthands ---
  absl::Status AddCluster(const std::string& name, const std::string& region,
                          std::vector<std::string> zones,
                          v1::Limits profile = {}, uint32_t weight = 0) {
    v1::AddSubClusterRequest request;
    request.mutable_spec()->set_name(name);
    request.mutable_spec()->set_region(region);
    request.mutable_spec()->mutable_zones()->Assign(zones.begin(), zones.end());
    request.mutable_spec()->set_bootstrap_servers("127.0.0.1:9092");
    request.mutable_spec()->set_weight(weight);
    *request.mutable_spec()->mutable_profile() = std::move(profile);
    return Run(PlanAddSubCluster, request);
  }
  absl::Status CreateTopic(const v1::TopicSpec& spec) {
    v1::CreateTopicRequest request;
    *request.mutable_spec() = spec;
    return Run(PlanCreateTopic, request);
  }
  absl::Status CreateTopic(const std::string& name, v1::TopicKind kind) {
    v1::TopicSpec spec;
    spec.set_name(name);
    spec.set_kind(kind);
    return CreateTopic(spec);
  }
  static v1::HostSpec HostOf(const std::string& id, const std::string& region,
                             const std::string& zone = "") {
    v1::HostSpec host;
    host.set_id(id);
    host.set_region(region);
    host.set_zone(zone);
    return host;
  }
  absl::Status AddHosts(const std::vector<v1::HostSpec>& hosts) {
    return Commit([&](Draft* draft) {
      absl::Status checked = CheckImport(hosts, draft->image());
      if (!checked.ok()) return checked;
      return PlanAddHosts(hosts, false, draft);
    });
  }
  absl::Status AddHosts(const std::string& prefix, int count,
                        const std::string& region,
                        const std::string& zone = "") {
    std::vector<v1::HostSpec> hosts;
    hosts.reserve(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) {
      hosts.push_back(HostOf(prefix + std::to_string(i), region, zone));
    }
    return AddHosts(hosts);
  }
  absl::Status CreateVpc(const std::string& id) {
    v1::CreateVpcRequest request;
    request.set_id(id);
    return Run(PlanCreateVpc, request);
  }
  absl::Status Join(const std::string& vpc, std::vector<std::string> hosts,
                    const ChainEnds& ends = {},
                    AddVpcHostsPlan* plan = nullptr) {
    v1::AddVpcHostsRequest request;
    request.set_vpc(vpc);
    request.mutable_hosts()->Assign(hosts.begin(), hosts.end());
    return Commit([&](Draft* draft) {
      auto planned = PlanAddVpcHosts(request, ends, draft);
      if (planned.ok() && plan != nullptr) *plan = *planned;
      return planned.status();
    });
  }
  absl::Status Leave(const std::string& vpc, std::vector<std::string> hosts) {
    v1::RemoveVpcHostsRequest request;
    request.set_vpc(vpc);
    request.mutable_hosts()->Assign(hosts.begin(), hosts.end());
    return Run(PlanRemoveVpcHosts, request);
  }
  // Sub-cluster, Kafka topic and partition of a host.
  Segment SegmentOfHost(const std::string& topic, const std::string& host) {
    const TopicId id = image_.FindTopic(topic);
    const auto binding = image_.binding(id, host);
    if (!binding) return {};
    return *image_.partition(id, binding->targets.at(0).partition)->Writable();
  }
  uint64_t KeysOn(const std::string& topic, const std::string& cluster) {
    return image_.share(image_.FindTopic(topic), image_.FindSubCluster(cluster))
        .charge;
  }

 private:
  void Replay(const Draft& draft) {
    const auto decoded = DecodeEntry(EncodeEntry(draft.entry()));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    Image replayed = image_;
    const absl::Status applied = ApplyEntry(*decoded, &replayed, nullptr);
    ASSERT_TRUE(applied.ok()) << applied;
    EXPECT_EQ(ToString(replayed.Hash()), ToString(draft.image().Hash()));
    for (const std::string& violation : FindViolations(replayed)) {
      ADD_FAILURE() << violation;
    }
  }

  bool check_;
  uint64_t incarnation_ = 1;
  uint64_t time_ms_ = 1'700'000'000'000;
  Image image_;
  std::vector<ChangedRow> changes_;
  v1::Entry entry_;
};

}  // namespace kafed::federation
