// VPCs: members, homes, versions, markers, owners.
#include <gmock/gmock.h>

#include "federation/plan/validate.h"
#include "tests/unit/federation/lab.h"

namespace kafed::federation {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class VpcTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(lab_.AddCluster("a", "eu", {"z1"}).ok());
    ASSERT_TRUE(lab_.AddCluster("b", "eu", {"z2"}).ok());
    ASSERT_TRUE(lab_.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
    ASSERT_TRUE(lab_.CreateTopic("vpc", v1::TOPIC_KIND_MULTICAST).ok());
    ASSERT_TRUE(lab_.AddHosts("a", 5, "eu", "z1").ok());
    ASSERT_TRUE(lab_.AddHosts("b", 5, "eu", "z2").ok());
    ASSERT_TRUE(lab_.CreateVpc("v1").ok());
  }
  std::vector<Binding::Target> Targets(const std::string& vpc) {
    const auto row = lab_.image().binding(lab_.image().FindTopic("vpc"), vpc);
    return row ? row->targets : std::vector<Binding::Target>();
  }
  Lab lab_;
};

TEST_F(VpcTest, HasOnePartitionForEachHomeOfItsMembers) {
  AddVpcHostsPlan plan;
  ASSERT_TRUE(lab_.Join("v1", {"a0", "a1"}, {}, &plan).ok());
  EXPECT_THAT(plan.new_homes, ElementsAre("a"));
  EXPECT_EQ(Targets("v1").size(), 1u);
  ASSERT_TRUE(lab_.Join("v1", {"a2"}, {}, &plan).ok());
  EXPECT_THAT(plan.new_homes, IsEmpty());
  ASSERT_TRUE(lab_.Join("v1", {"b0"}, {}, &plan).ok());
  EXPECT_THAT(plan.new_homes, ElementsAre("b"));
  EXPECT_EQ(plan.membership_version, 3u);
  const auto targets = Targets("v1");
  ASSERT_EQ(targets.size(), 2u);
  EXPECT_NE(targets[0].home, targets[1].home);
}

TEST_F(VpcTest, MembersBeginAtTheEndTheyWereGiven) {
  ASSERT_TRUE(lab_.Join("v1", {"a0"}).ok());
  const TopicId topic = lab_.image().FindTopic("vpc");
  const PartitionNumber number = Targets("v1")[0].partition;
  const Epoch epoch = lab_.image().partition(topic, number)->chain[0].epoch;
  ASSERT_TRUE(lab_.Join("v1", {"a1"}, {{{topic, number}, {epoch, 41}}}).ok());
  const auto member = lab_.image().Get<VpcMember>(
      Table::kVpcMembers, KeyOf(std::string("v1"), std::string("a1")));
  ASSERT_EQ(member->from.size(), 1u);
  EXPECT_EQ(member->from[0].offset, 41u);
  EXPECT_EQ(member->version, 2u);
}

TEST_F(VpcTest, AHomeWithoutMembersIsUnbound) {
  ASSERT_TRUE(lab_.Join("v1", {"a0", "b0", "b1"}).ok());
  ASSERT_TRUE(lab_.Leave("v1", {"b0"}).ok());
  EXPECT_EQ(Targets("v1").size(), 2u);
  ASSERT_TRUE(lab_.Leave("v1", {"b1"}).ok());
  EXPECT_EQ(Targets("v1").size(), 1u);
  EXPECT_THAT(VpcHosts(lab_.image(), "v1", 10), ElementsAre("a0"));
}

TEST_F(VpcTest, EveryChangeOfMembershipWantsAMarker) {
  ASSERT_TRUE(lab_.Join("v1", {"a0", "b0"}).ok());
  EXPECT_EQ(lab_.image().table(Table::kPendingMarkers).size(), 2u);
  v1::Record written;
  written.mutable_markers_written()->set_vpc("v1");
  written.mutable_markers_written()->add_hosts("a0");
  written.mutable_markers_written()->set_membership_version(1);
  ASSERT_TRUE(lab_.Commit([&](Draft* draft) {
                    draft->Add(written);
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(lab_.image().table(Table::kPendingMarkers).size(), 1u);
  ASSERT_TRUE(lab_.Leave("v1", {"b0"}).ok());
  const auto marker = lab_.image().Get<PendingMarker>(
      Table::kPendingMarkers, KeyOf(std::string("v1"), std::string("b0")));
  EXPECT_FALSE(marker->join);
  EXPECT_EQ(marker->version, 2u);
  // A report about the older marker leaves the newer one wanted.
  written.mutable_markers_written()->set_hosts(0, "b0");
  ASSERT_TRUE(lab_.Commit([&](Draft* draft) {
                    draft->Add(written);
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(lab_.image().table(Table::kPendingMarkers).size(), 1u);
}

TEST_F(VpcTest, LargeOnesGetAPartitionOfTheirOwn) {
  v1::TopicSpec spec;
  spec.set_name("big");
  spec.set_kind(v1::TOPIC_KIND_MULTICAST);
  spec.set_large_vpc_members(3);
  ASSERT_TRUE(lab_.CreateTopic(spec).ok());
  ASSERT_TRUE(lab_.CreateVpc("v2").ok());
  ASSERT_TRUE(lab_.CreateVpc("v3").ok());
  ASSERT_TRUE(lab_.Join("v1", {"a0"}).ok());
  ASSERT_TRUE(lab_.Join("v2", {"a0", "a1", "a2"}).ok());
  ASSERT_TRUE(lab_.Join("v3", {"a1"}).ok());
  const TopicId big = lab_.image().FindTopic("big");
  const auto partition_of = [&](const std::string& vpc) {
    return lab_.image().binding(big, vpc)->targets[0].partition;
  };
  EXPECT_NE(partition_of("v2"), partition_of("v1"));
  EXPECT_NE(partition_of("v2"), partition_of("v3"));
}

TEST_F(VpcTest, RefusalsNameTheFieldAndChangeNothing) {
  const std::string before = ToString(lab_.image().Hash());
  const auto text = [](const absl::Status& status) {
    EXPECT_FALSE(status.ok());
    return std::string(status.message());
  };
  EXPECT_THAT(text(lab_.Join("nope", {"a0"})), HasSubstr("vpc: no VPC"));
  EXPECT_THAT(text(lab_.Join("v1", {})), HasSubstr("hosts: is empty"));
  EXPECT_THAT(text(lab_.Join("v1", {"a0", "a0"})), HasSubstr("given twice"));
  EXPECT_THAT(text(lab_.Join("v1", {"ghost"})), HasSubstr("no host"));
  EXPECT_THAT(text(lab_.Leave("v1", {"a0"})), HasSubstr("not a member"));
  EXPECT_THAT(text(lab_.CreateVpc("v1")), HasSubstr("exists already"));
  EXPECT_EQ(ToString(lab_.image().Hash()), before);
  ASSERT_TRUE(lab_.Join("v1", {"a0"}).ok());
  EXPECT_THAT(text(lab_.Join("v1", {"a0"})), HasSubstr("already"));
  v1::DeleteVpcRequest remove;
  remove.set_id("v1");
  EXPECT_THAT(text(lab_.Run(PlanDeleteVpc, remove)), HasSubstr("--cascade"));
  const std::vector<std::string> host = {"a0"};
  EXPECT_THAT(text(lab_.Commit([&](Draft* draft) {
                return PlanRemoveHosts(host, false, draft);
              })),
              HasSubstr("--cascade"));
}

TEST_F(VpcTest, CascadeRemovesMembershipsFirst) {
  ASSERT_TRUE(lab_.Join("v1", {"a0", "a1"}).ok());
  const std::vector<std::string> host = {"a0"};
  ASSERT_TRUE(lab_.Commit([&](Draft* draft) {
                    return PlanRemoveHosts(host, true, draft);
                  })
                  .ok());
  EXPECT_THAT(VpcHosts(lab_.image(), "v1", 10), ElementsAre("a1"));
  v1::DeleteVpcRequest remove;
  remove.set_id("v1");
  remove.set_cascade(true);
  ASSERT_TRUE(lab_.Run(PlanDeleteVpc, remove).ok());
  EXPECT_FALSE(lab_.image().vpc("v1"));
}

TEST_F(VpcTest, ListsOfMembersStayConsistentWhenTheyShrink) {
  ASSERT_TRUE(lab_.AddHosts("m", 200, "eu", "z1").ok());
  std::vector<std::string> hosts;
  hosts.reserve(200);
  for (int i = 0; i < 200; ++i) hosts.push_back("m" + std::to_string(i));
  ASSERT_TRUE(lab_.Join("v1", hosts).ok());
  // The Lab checks chunks and counts after each change.
  for (int i = 0; i < 200; i += 3) {
    ASSERT_TRUE(lab_.Leave("v1", {"m" + std::to_string(i)}).ok());
  }
  EXPECT_EQ(VpcHosts(lab_.image(), "v1", 1000).size(), 133u);
  ASSERT_TRUE(lab_.Join("v1", {"m0"}).ok());
}

TEST_F(VpcTest, RefusesVmsThatAreNoIds) {
  const auto refusal = [&](const std::vector<std::string>& vms) {
    v1::AddVpcHostsRequest request;
    request.set_vpc("v1");
    request.add_hosts("a0");
    request.add_vms()->mutable_ids()->Assign(vms.begin(), vms.end());
    const absl::Status status = lab_.Commit([&](Draft* draft) {
      return PlanAddVpcHosts(request, {}, draft).status();
    });
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(refusal({"vm1", ""}), HasSubstr("vms of host 'a0': is empty"));
  EXPECT_THAT(refusal({"a\n"}), HasSubstr("control character"));
  EXPECT_THAT(refusal({std::string(1000, 'x')}), HasSubstr("at most 128"));
  EXPECT_THAT(refusal({"vm1", "vm1"}), HasSubstr("'vm1' is given twice"));
  std::vector<std::string> many;
  for (int i = 0; i <= kMaxVmsOfHost; ++i) {
    many.push_back("vm" + std::to_string(i));
  }
  EXPECT_THAT(refusal(many), HasSubstr("has 1001, at most 1000"));
}

TEST_F(VpcTest, AJoinFitsIntoOneEntry) {
  v1::AddVpcHostsRequest request;
  request.set_vpc("v1");
  for (const char* host : {"a0", "a1", "a2"}) {
    request.add_hosts(host);
    v1::HostVms* vms = request.add_vms();
    for (int i = 0; i < kMaxVmsOfHost; ++i) {
      vms->add_ids(std::string(100, 'x') + std::to_string(i));
    }
  }
  const auto join = [&] {
    return lab_.Commit([&](Draft* draft) {
      return PlanAddVpcHosts(request, {}, draft).status();
    });
  };
  EXPECT_THAT(std::string(join().message()),
              HasSubstr("at most 262144 are allowed in one call"));
  request.mutable_hosts()->RemoveLast();
  request.mutable_vms()->RemoveLast();
  EXPECT_TRUE(join().ok());
}

TEST(VpcWithoutClusters, SaysWhatComesFirst) {
  Lab lab;
  EXPECT_THAT(std::string(lab.CreateVpc("v").message()),
              HasSubstr("there is no sub-cluster yet; add one with"));
}

TEST_F(VpcTest, OwnersAreStickyAndMoveOnlyOnOverload) {
  const auto add = [&](const std::string& id, double quota) {
    v1::AddInstanceRequest request;
    request.mutable_spec()->set_id(id);
    request.mutable_spec()->set_region("eu");
    v1::Quota* each = request.mutable_spec()->add_quotas();
    each->set_service("port");
    each->set_quota(quota);
    ASSERT_TRUE(lab_.Run(PlanAddInstance, request).ok());
  };
  add("small", 10);
  add("large", 100);
  const auto own = [&](const std::string& vpc) {
    ASSERT_TRUE(lab_.Commit([&](Draft* draft) {
                      PlanOwner(vpc, {}, draft);
                      return absl::OkStatus();
                    })
                    .ok());
  };
  own("v1");
  EXPECT_EQ(lab_.image().vpc("v1")->owner, "large");
  EXPECT_EQ(lab_.image().vpc("v1")->owner_epoch, 1u);
  own("v1");
  EXPECT_EQ(lab_.image().vpc("v1")->owner_epoch, 1u);
  v1::Quota load;
  load.set_service("port");
  const std::vector<std::string> vpcs = {"v1"};
  const auto relieve = [&](double used) {
    load.set_used(used);
    std::vector<std::string> moved;
    EXPECT_TRUE(
        lab_.Commit([&](Draft* draft) {
              moved = PlanRelieve("large", vpcs, {{"large", {load}}}, draft);
              return absl::OkStatus();
            })
            .ok());
    return moved;
  };
  EXPECT_THAT(relieve(89), IsEmpty());
  EXPECT_THAT(relieve(95), ElementsAre("v1"));
  EXPECT_EQ(lab_.image().vpc("v1")->owner, "small");
  EXPECT_EQ(lab_.image().vpc("v1")->owner_epoch, 2u);
  v1::RemoveInstanceRequest remove;
  remove.set_id("small");
  EXPECT_FALSE(lab_.Commit([&](Draft* draft) {
                     return PlanRemoveInstance(remove, {}, draft).status();
                   })
                   .ok());
  remove.set_cascade(true);
  ASSERT_TRUE(lab_.Commit([&](Draft* draft) {
                    return PlanRemoveInstance(remove, {}, draft).status();
                  })
                  .ok());
  EXPECT_EQ(lab_.image().vpc("v1")->owner, "large");
}

TEST(LbmrcTest, ResidualIsWeightedByFrequencyAndBottleneck) {
  const std::vector<ServiceLoad> load = {{100, 40, 2, 0.5}, {10, 10, 1, 3}};
  EXPECT_DOUBLE_EQ(Residual(load), 0.5 * 30 + 0);
  EXPECT_DOUBLE_EQ(Utilization(load), 1.0);
}

TEST(LbmrcTest, LocalityComesBeforeResidualAndTiesGoToTheFirst) {
  const std::vector<LbmrcCandidate> candidates = {
      {false, true, 100}, {true, true, 1}, {true, true, 1}, {true, false, 50}};
  EXPECT_EQ(ChooseLbmrc(candidates), 1u);
  EXPECT_EQ(ChooseLbmrc({}), std::nullopt);
}

}  // namespace
}  // namespace kafed::federation
