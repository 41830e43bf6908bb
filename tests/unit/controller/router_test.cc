#include "controller/rpc/router.h"

#include <gmock/gmock.h>

#include <map>

#include "tests/unit/federation/lab.h"

namespace kafed::controller {
namespace {

using federation::Lab;
using testing::ElementsAre;
using testing::HasSubstr;

class RouterTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(lab_.AddCluster("A", "eu", {"z1"}).ok());
    ASSERT_TRUE(lab_.AddCluster("B", "eu", {"z2"}).ok());
    v1::TopicSpec nca;
    nca.set_name("nca");
    nca.set_kind(v1::TOPIC_KIND_UNICAST);
    ASSERT_TRUE(lab_.CreateTopic(nca).ok());
    ASSERT_TRUE(lab_.CreateTopic("vpc", v1::TOPIC_KIND_MULTICAST).ok());
    ASSERT_TRUE(lab_.AddHosts({Lab::HostOf("NCA0", "eu", "z1"),
                               Lab::HostOf("NCA1", "eu", "z1"),
                               Lab::HostOf("NCA2", "eu", "z2"),
                               Lab::HostOf("NCA3", "eu", "z2")})
                    .ok());
    ASSERT_TRUE(lab_.CreateVpc("VPC1").ok());
    v1::AddVpcHostsRequest join;
    join.set_vpc("VPC1");
    for (const auto& [host, vms] :
         std::map<std::string, std::vector<std::string>>{
             {"NCA0", {"vm0", "vm1"}}, {"NCA1", {"vm2"}}, {"NCA2", {"vm3"}}}) {
      join.add_hosts(host);
      join.add_vms()->mutable_ids()->Assign(vms.begin(), vms.end());
    }
    ASSERT_TRUE(lab_.Commit([&](federation::Draft* draft) {
                      return PlanAddVpcHosts(join, {}, draft).status();
                    })
                    .ok());
  }
  v1::RouteResult Route(const std::string& key) {
    v1::RouteResult result;
    RouteKey(lab_.image(), key, &result);
    return result;
  }
  Lab lab_;
};

TEST_F(RouterTest, AVpcIsSentOnceForEachHome) {
  const v1::RouteResult result = Route("vpc/VPC1");
  EXPECT_EQ(result.error_code(), 0u);
  ASSERT_EQ(result.targets_size(), 2);
  EXPECT_EQ(result.targets(0).sub_cluster(), "A");
  EXPECT_EQ(result.targets(1).sub_cluster(), "B");
  EXPECT_EQ(result.targets(0).kafka_topic(), "vpc.g1.0");
  EXPECT_EQ(result.targets(0).epoch(), (uint64_t{1} << 32) + 1);
}

// VPC1 with vm0, vm1 on NCA0, vm2 on NCA1, vm3 on NCA2.
TEST_F(RouterTest, MembersAreGroupedByPartitionWithTheirVms) {
  v1::RouteMembersRequest request;
  request.set_vpc("VPC1");
  v1::RouteMembersResponse response;
  ASSERT_TRUE(RouteMembers(lab_.image(), request, &response).ok());
  std::map<std::string, std::vector<std::string>> vms;
  for (const v1::MemberGroup& group : response.groups()) {
    EXPECT_FALSE(group.target().kafka_topic().empty());
    for (const v1::MemberHost& host : group.hosts()) {
      vms[host.id()].assign(host.vms().begin(), host.vms().end());
    }
  }
  EXPECT_THAT(vms["NCA0"], ElementsAre("vm0", "vm1"));
  EXPECT_THAT(vms["NCA1"], ElementsAre("vm2"));
  EXPECT_THAT(vms["NCA2"], ElementsAre("vm3"));
  EXPECT_EQ(vms.size(), 3u);
  EXPECT_EQ(response.membership_version(), 1u);
}

TEST_F(RouterTest, AnAgentReadsItsOwnChainAndThoseOfItsVpcs) {
  v1::SubscriptionsRequest request;
  request.set_host("NCA2");
  v1::SubscriptionsResponse response;
  ASSERT_TRUE(FindSubscriptions(lab_.image(), request, &response).ok());
  ASSERT_EQ(response.subscriptions_size(), 2);
  EXPECT_EQ(response.subscriptions(0).topic(), "nca");
  EXPECT_EQ(response.subscriptions(0).keys(0).key(), "NCA2");
  EXPECT_EQ(response.subscriptions(1).topic(), "vpc");
  EXPECT_EQ(response.subscriptions(1).keys(0).key(), "VPC1");
  EXPECT_EQ(response.subscriptions(1).keys(0).membership_version(), 1u);
  ASSERT_EQ(response.sub_clusters_size(), 1) << "its home only";
  EXPECT_EQ(response.sub_clusters(0).name(), "B");
  EXPECT_EQ(response.kafka_topics_size(), 2);
  for (const v1::Subscription& each : response.subscriptions()) {
    v1::KnownChain* known = request.add_known();
    known->set_topic(each.topic());
    known->set_partition(each.partition());
    known->set_epoch(each.epoch());
  }
  v1::SubscriptionsResponse again;
  ASSERT_TRUE(FindSubscriptions(lab_.image(), request, &again).ok());
  EXPECT_EQ(again.subscriptions(0).chain_size(), 0) << "nothing newer";
}

TEST_F(RouterTest, ManyKeysAreAnsweredAsEachAlone) {
  v1::TopicSpec hashed;
  hashed.set_name("orders");
  hashed.set_kind(v1::TOPIC_KIND_HASHED);
  ASSERT_TRUE(lab_.CreateTopic(hashed).ok());
  ASSERT_TRUE(lab_.CreateVpc("EMPTY").ok());
  std::vector<std::string_view> keys;
  for (int round = 0; round < 4; ++round) {
    for (const char* key :
         {"nca/NCA0", "ghost/x", "vpc/VPC1", "nca/ghost", "orders/a",
          "orders/b", "no-slash", "nca/NCA3", "vpc/EMPTY", "nca/"}) {
      keys.emplace_back(key);
    }
  }
  std::vector<v1::RouteResult> results(keys.size());
  std::vector<v1::RouteResult*> places;
  for (v1::RouteResult& result : results) places.push_back(&result);
  const auto routed = KeyRouter(lab_.image()).Route(keys, places);
  ASSERT_EQ(routed.size(), keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    v1::RouteResult alone;
    const RoutedTopic topic = RouteKey(lab_.image(), keys[i], &alone);
    EXPECT_EQ(results[i].SerializeAsString(), alone.SerializeAsString())
        << keys[i];
    EXPECT_EQ(routed[i].lease_ttl_ms, topic.lease_ttl_ms);
    EXPECT_EQ(routed[i].multicast, topic.multicast);
  }
  EXPECT_EQ(results[2].targets_size(), 2) << "one for each home";
  EXPECT_TRUE(routed[2].multicast);
  EXPECT_EQ(results[4].targets_size(), 1);
  EXPECT_THAT(results[8].error(), HasSubstr("no members yet"));
}

TEST_F(RouterTest, HashedKeysHaveAnIdThatMayBeAKey) {
  ASSERT_TRUE(lab_.CreateTopic("orders", v1::TOPIC_KIND_HASHED).ok());
  EXPECT_EQ(Route("orders/a b/c").targets_size(), 1);
  for (const auto& [key, said] : std::map<std::string, std::string>{
           {"orders/", "key: has no id; expected TOPIC/ID"},
           {"orders/" + std::string(129, 'x'), "at most 128 are allowed"},
           {"orders/a\x01", "key: 'a?' holds a control character"}}) {
    const v1::RouteResult result = Route(key);
    EXPECT_EQ(result.error_code(), 3u) << key;
    EXPECT_THAT(result.error(), HasSubstr(said));
    EXPECT_EQ(result.targets_size(), 0);
  }
}

TEST_F(RouterTest, AnAgentIsOfAHostOrOfAResourceTopic) {
  ASSERT_TRUE(lab_.CreateTopic("elb", v1::TOPIC_KIND_RESOURCE).ok());
  v1::SubscriptionsRequest request;
  request.set_host("NCA0");
  request.set_resource_topic("elb");
  v1::SubscriptionsResponse response;
  EXPECT_TRUE(absl::IsInvalidArgument(
      FindSubscriptions(lab_.image(), request, &response)));
  request.clear_host();
  EXPECT_TRUE(FindSubscriptions(lab_.image(), request, &response).ok());
}

TEST_F(RouterTest, ErrorsNameTheKey) {
  EXPECT_THAT(Route("nca/ghost").error(), HasSubstr("no host"));
  EXPECT_THAT(Route("ghost/x").error(), HasSubstr("no topic"));
  EXPECT_THAT(Route("x").error(), HasSubstr("TOPIC/ID"));
  ASSERT_TRUE(lab_.CreateVpc("empty").ok());
  EXPECT_THAT(Route("vpc/empty").error(), HasSubstr("no members"));
  EXPECT_EQ(Route("nca/NCA3").error_code(), 0u);
}

}  // namespace
}  // namespace kafed::controller
