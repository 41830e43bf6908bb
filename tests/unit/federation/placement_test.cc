// The worked examples of placement.
#include <gmock/gmock.h>

#include <map>

#include "federation/placement/placer.h"
#include "tests/unit/federation/lab.h"

namespace kafed::federation {
namespace {

using testing::HasSubstr;

v1::Limits LimitsOf(uint32_t topics, uint32_t partitions, uint32_t keys) {
  v1::Limits limits;
  limits.set_topics(topics);
  limits.set_partitions_per_topic(partitions);
  limits.set_keys_per_partition(keys);
  return limits;
}

std::string Text(const absl::Status& status) {
  return std::string(status.message());
}

TEST(PlacementTest, FiveHundredHostsFillATopicAndTheNextOpensTheSecond) {
  Lab lab;
  ASSERT_TRUE(lab.AddCluster("a", "eu", {"z1"}, LimitsOf(200, 50, 10)).ok());
  ASSERT_TRUE(lab.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
  ASSERT_TRUE(lab.AddHosts("h", 500, "eu").ok());
  std::map<uint32_t, int> in_partition;
  for (int i = 0; i < 500; ++i) {
    const Segment at = lab.SegmentOfHost("nca", "h" + std::to_string(i));
    EXPECT_EQ(at.kafka_topic, KafkaTopicId(1));
    ++in_partition[at.kafka_partition];
  }
  EXPECT_EQ(in_partition.size(), 50u);
  for (const auto& [partition, hosts] : in_partition) EXPECT_EQ(hosts, 10);
  ASSERT_TRUE(lab.AddHosts({Lab::HostOf("host-501", "eu")}).ok());
  EXPECT_EQ(lab.SegmentOfHost("nca", "host-501").kafka_topic, KafkaTopicId(2));
  EXPECT_EQ(lab.image().kafka_topic(KafkaTopicId(2))->name, "nca.g1.1");
}

TEST(PlacementTest, TakesTheEmptiestPartitionOfTheOpenTopic) {
  Lab lab;
  ASSERT_TRUE(lab.AddCluster("a", "eu", {"z1"}, LimitsOf(2, 4, 3)).ok());
  ASSERT_TRUE(lab.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(
        lab.AddHosts({Lab::HostOf("h" + std::to_string(i), "eu")}).ok());
    EXPECT_EQ(lab.SegmentOfHost("nca", "h" + std::to_string(i)).kafka_partition,
              static_cast<uint32_t>(i % 4));
  }
}

class TenSubClusters : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 10; ++i) {
      const std::string zone = i < 3 ? "z1" : i < 6 ? "z2" : "z3";
      ASSERT_TRUE(lab_.AddCluster("c" + std::to_string(i), "eu", {zone},
                                  LimitsOf(2, 5, 10))
                      .ok());
    }
    ASSERT_TRUE(lab_.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
  }
  Lab lab_;
};

TEST_F(TenSubClusters, FillEvenlyWithoutZones) {
  ASSERT_TRUE(lab_.AddHosts("h", 500, "eu").ok());
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(lab_.KeysOn("nca", "c" + std::to_string(i)), 50u);
  }
}

TEST_F(TenSubClusters, FillTheirZoneAndSpillOnlyWhenItIsFull) {
  ASSERT_TRUE(lab_.AddHosts("h", 300, "eu", "z1").ok());
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(lab_.KeysOn("nca", "c" + std::to_string(i)), i < 3 ? 100u : 0u);
  }
  ASSERT_TRUE(lab_.AddHosts("s", 70, "eu", "z1").ok());
  uint64_t spilled = 0;
  for (int i = 3; i < 10; ++i) {
    EXPECT_EQ(lab_.KeysOn("nca", "c" + std::to_string(i)), 10u);
    spilled += 10;
  }
  EXPECT_EQ(spilled, 70u);
}

TEST_F(TenSubClusters, AFullRegionSaysWhichLimitAndByHowMuch) {
  ASSERT_TRUE(lab_.AddHosts("h", 990, "eu").ok());
  const absl::Status full = lab_.AddHosts("x", 15, "eu");
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(Text(full), HasSubstr("room for 10 more hosts"));
  EXPECT_THAT(Text(full), HasSubstr("5 too many"));
  EXPECT_FALSE(lab_.image().host("x0"));
}

TEST_F(TenSubClusters, ARefusalNamesTheHostByItsNumber) {
  const absl::Status wrong =
      lab_.AddHosts({Lab::HostOf("h1", "eu"), Lab::HostOf("", "eu"),
                     Lab::HostOf(std::string(200, 'x'), "eu")});
  EXPECT_THAT(Text(wrong), HasSubstr("hosts: number 2, '': id: is empty"));
  const absl::Status twice =
      lab_.AddHosts({Lab::HostOf("h1", "eu"), Lab::HostOf("h1", "eu")});
  EXPECT_THAT(Text(twice),
              HasSubstr("hosts: number 2, 'h1': id: is given twice"));
}

TEST(PlacementTest, AFullTopicSaysWhoseLimitItIsAndWhatHelps) {
  Lab lab;
  ASSERT_TRUE(lab.AddCluster("ca", "eu", {"z"}, LimitsOf(2, 2, 0)).ok());
  v1::TopicSpec spec;
  spec.set_name("elb");
  spec.set_kind(v1::TOPIC_KIND_RESOURCE);
  ASSERT_TRUE(lab.CreateTopic(spec).ok());
  spec.set_name("own");
  spec.mutable_limits()->set_topics(1);
  ASSERT_TRUE(lab.CreateTopic(spec).ok());
  const auto add = [&](const std::string& topic, int i) {
    v1::AddResourceRequest request;
    request.set_topic(topic);
    request.set_id("r" + std::to_string(i));
    return lab.Run(PlanAddResource, request);
  };
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(add("elb", i).ok());
  v1::RemoveResourceRequest remove;
  remove.set_topic("elb");
  remove.set_id("r0");
  ASSERT_TRUE(lab.Run(PlanRemoveResource, remove).ok());
  EXPECT_THAT(Text(add("elb", 9)),
              HasSubstr("4 of 4 keys: ca 4, 1 of them dead partitions of "
                        "removed resources, of 2 Kafka topics (its profile) x "
                        "2 partitions x 1 key"));
  EXPECT_THAT(Text(add("elb", 9)),
              HasSubstr("`kafedctl cluster update ca --topics N`"));
  // What is advised helps.
  v1::UpdateSubClusterRequest update;
  update.set_name("ca");
  update.mutable_profile()->set_topics(3);
  ASSERT_TRUE(lab.Run(PlanUpdateSubCluster, update).ok());
  EXPECT_TRUE(add("elb", 9).ok());
  // The other limits of the profile stay.
  EXPECT_EQ(lab.image().SubClusters()[0].second.profile.partitions_per_topic,
            2u);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(add("own", i).ok());
  EXPECT_THAT(Text(add("own", 9)),
              testing::AllOf(HasSubstr("(the topic's own limit)"),
                             HasSubstr("add a sub-cluster; the limit of 1 "
                                       "Kafka topics is the topic's own"),
                             testing::Not(HasSubstr("cluster update"))));
}

TEST(PlacementTest, FillsByWeight) {
  Lab lab;
  ASSERT_TRUE(lab.AddCluster("a", "eu", {"z"}, LimitsOf(9, 10, 10), 100).ok());
  ASSERT_TRUE(lab.AddCluster("b", "eu", {"z"}, LimitsOf(9, 10, 10), 300).ok());
  ASSERT_TRUE(lab.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
  ASSERT_TRUE(lab.AddHosts("h", 400, "eu").ok());
  EXPECT_EQ(lab.KeysOn("nca", "a"), 100u);
  EXPECT_EQ(lab.KeysOn("nca", "b"), 300u);
}

TEST(PlacementTest, AHostNeverLandsInAnotherRegion) {
  Lab lab;
  ASSERT_TRUE(lab.AddCluster("a", "eu", {"z"}, LimitsOf(1, 1, 2)).ok());
  ASSERT_TRUE(lab.AddCluster("b", "us", {"z"}, LimitsOf(9, 9, 9)).ok());
  v1::TopicSpec spec;
  spec.set_name("nca");
  spec.set_kind(v1::TOPIC_KIND_UNICAST);
  spec.set_region_policy(v1::REGION_POLICY_MULTI_REGION);
  ASSERT_TRUE(lab.CreateTopic(spec).ok());
  ASSERT_TRUE(lab.AddHosts("h", 2, "eu").ok());
  const absl::Status full = lab.AddHosts({Lab::HostOf("h3", "eu")});
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(Text(full), HasSubstr("region eu"));
  EXPECT_EQ(lab.KeysOn("nca", "b"), 0u);
}

TEST(PlacementTest, ARemovedHostGetsItsFormerPartitionWhileLeasesMayLive) {
  Lab lab;
  ASSERT_TRUE(lab.AddCluster("a", "eu", {"z"}, LimitsOf(2, 4, 3)).ok());
  ASSERT_TRUE(lab.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
  ASSERT_TRUE(lab.AddHosts("h", 6, "eu").ok());
  const Segment before = lab.SegmentOfHost("nca", "h2");
  const std::vector<std::string> gone = {"h2"};
  ASSERT_TRUE(lab.Commit([&](Draft* draft) {
                   return PlanRemoveHosts(gone, false, draft);
                 })
                  .ok());
  ASSERT_TRUE(lab.AddHosts({Lab::HostOf("other", "eu")}).ok());
  ASSERT_TRUE(lab.AddHosts({Lab::HostOf("h2", "eu")}).ok());
  EXPECT_EQ(lab.SegmentOfHost("nca", "h2").kafka_partition,
            before.kafka_partition);
  ASSERT_TRUE(lab.Commit([&](Draft* draft) {
                   return PlanRemoveHosts(gone, false, draft);
                 })
                  .ok());
  lab.Advance(kFormerBindingMs + 1);
  ASSERT_TRUE(lab.AddHosts("filler", 1, "eu").ok());
  EXPECT_TRUE(lab.image().table(Table::kFormerBindings).empty());
}

TEST(PlacementTest, OneBindingAllocatesTheSameAtTenThousandAndAMillion) {
  const auto nodes_per_binding = [](int hosts) {
    Lab lab(/*check=*/false);
    EXPECT_TRUE(lab.AddCluster("a", "eu", {"z"}, LimitsOf(4'000, 50, 10)).ok());
    EXPECT_TRUE(lab.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
    EXPECT_TRUE(lab.AddHosts("h", hosts, "eu").ok());
    constexpr int kBindings = 200;
    uint64_t nodes = 0;
    for (int i = 0; i < kBindings; ++i) {
      const Image reader = lab.image();  // forces copying, as on a node
      ThreadAllocations() = {};
      EXPECT_TRUE(
          lab.AddHosts({Lab::HostOf("n" + std::to_string(i), "eu")}).ok());
      nodes += ThreadAllocations().nodes;
    }
    return static_cast<double>(nodes) / kBindings;
  };
#ifdef __SANITIZE_ADDRESS__
  constexpr int kMany = 100'000;  // the sanitizer makes a million too slow
#else
  constexpr int kMany = 1'000'000;
#endif
  const double small = nodes_per_binding(10'000);
  const double large = nodes_per_binding(kMany);
  EXPECT_LE(large / small, 1.2) << small << " against " << large;
  EXPECT_GT(small, 0);
}

}  // namespace
}  // namespace kafed::federation
