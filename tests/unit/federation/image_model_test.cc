// Random commands against a plain model of what an operator would expect:
// which are refused, what there is afterwards, and what stays where it was.
// The image also comes back the same from a snapshot and from its log.
#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include "tests/unit/federation/image_player.h"
#include "tests/unit/federation/lab.h"

namespace kafed::federation {
namespace {

void Step(Player* player) {
  const auto name = [](const char* prefix, int count) {
    return prefix + std::to_string(*rc::gen::inRange(0, count));
  };
  const auto hosts = [&] {
    std::vector<std::string> ids(*rc::gen::inRange<size_t>(1, 4));
    for (std::string& id : ids) id = name("h", 8);
    return ids;
  };
  const auto topic = [] {
    static const std::vector<std::pair<std::string, Kind>> kTopics = {
        {"nca", v1::TOPIC_KIND_UNICAST},   {"nca", v1::TOPIC_KIND_UNICAST},
        {"other", v1::TOPIC_KIND_UNICAST}, {"vpc", v1::TOPIC_KIND_MULTICAST},
        {"elb", v1::TOPIC_KIND_RESOURCE},  {"ord", v1::TOPIC_KIND_HASHED}};
    return *rc::gen::elementOf(kTopics);
  };
  const auto cluster = [] {
    return std::string(*rc::gen::element("b", "d", "b", "d", "a"));
  };
  const bool flag = *rc::gen::arbitrary<bool>();
  switch (*rc::gen::weightedElement<int>({{2, 0},
                                          {1, 1},
                                          {4, 2},
                                          {1, 3},
                                          {6, 4},
                                          {3, 5},
                                          {2, 6},
                                          {1, 7},
                                          {6, 8},
                                          {3, 9},
                                          {3, 10},
                                          {2, 11},
                                          {1, 12},
                                          {3, 13},
                                          {1, 14}})) {
    case 0:
      return void(player->AddCluster(cluster()));
    case 1:
      return player->RemoveCluster(flag ? "b" : "d");
    case 2: {
      const auto [id, kind] = topic();
      return player->CreateTopic(id, kind);
    }
    case 3:
      return player->DeleteTopic(topic().first);
    case 4:
      return player->AddHosts(hosts());
    case 5:
      return player->RemoveHosts(hosts(), flag);
    case 6:
      return player->CreateVpc(name("v", 3));
    case 7:
      return player->DeleteVpc(name("v", 3), flag);
    case 8:
      return player->Join(name("v", 3), hosts());
    case 9:
      return player->Leave(name("v", 3), hosts());
    case 10:
      return player->AddResource(flag ? "elb" : topic().first, name("r", 4));
    case 11:
      return player->RemoveResource("elb", name("r", 4));
    case 12:
      return player->SetWeight(cluster(), *rc::gen::inRange(1u, 300u));
    case 13:
      return player->Settle();
    default:
      return player->Wait(flag ? 1'000 : 20 * 60 * 1'000);
  }
}

// Found by the model: hosts would have had a home that is gone, so that no
// later topic could have bound them.
TEST(ImageModelTest, AHomeStaysAsLongAsItsHosts) {
  Lab lab;
  ASSERT_TRUE(lab.AddCluster("a", "eu", {"z1"}).ok());
  ASSERT_TRUE(lab.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
  ASSERT_TRUE(lab.AddHosts("h", 1, "eu").ok());
  v1::DeleteTopicRequest topic;
  topic.set_name("nca");
  ASSERT_TRUE(lab.Run(PlanDeleteTopic, topic).ok());
  v1::RemoveSubClusterRequest cluster;
  cluster.set_name("a");
  const absl::Status removed = lab.Run(PlanRemoveSubCluster, cluster);
  EXPECT_EQ(removed.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(removed.ToString(), testing::HasSubstr("home of host 'h0'"));
  const std::vector<std::string> hosts = {"h0"};
  ASSERT_TRUE(lab.Commit([&](Draft* draft) {
                   return PlanRemoveHosts(hosts, false, draft);
                 })
                  .ok());
  EXPECT_TRUE(lab.Run(PlanRemoveSubCluster, cluster).ok());
}

// A limit below what is in use refuses new keys and is no violation (Lab looks
// for those after each command).
TEST(ImageModelTest, ALimitMayBeLoweredBelowWhatIsInUse) {
  Lab lab;
  v1::Limits limits;
  limits.set_topics(1);
  limits.set_partitions_per_topic(1);
  limits.set_keys_per_partition(3);
  ASSERT_TRUE(lab.AddCluster("a", "eu", {"z1"}, limits).ok());
  ASSERT_TRUE(lab.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
  ASSERT_TRUE(lab.AddHosts("h", 3, "eu").ok());
  v1::UpdateSubClusterRequest update;
  update.set_name("a");
  update.mutable_profile()->set_keys_per_partition(1);
  ASSERT_TRUE(lab.Run(PlanUpdateSubCluster, update).ok());
  EXPECT_EQ(lab.AddHosts("x", 1, "eu").code(),
            absl::StatusCode::kResourceExhausted);
}

RC_GTEST_PROP(ImageModel, IsWhatAnOperatorExpects, ()) {
  Player player;
  const int steps = *rc::gen::inRange(1, 100);
  for (int i = 0; i < steps; ++i) {
    Step(&player);
    player.Check();
  }
  player.CheckSnapshot();
  player.CheckReplay();
}

}  // namespace
}  // namespace kafed::federation
