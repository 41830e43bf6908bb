// Logical topics: kinds, hash ranges, resources, deletion, Kafka topic states.
#include <gmock/gmock.h>

#include <set>

#include "common/murmur2.h"
#include "federation/image/segment_state.h"
#include "tests/unit/federation/lab.h"

namespace kafed::federation {
namespace {

using testing::HasSubstr;

class TopicTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(lab_.AddCluster("a", "eu", {"z1"}).ok());
    ASSERT_TRUE(lab_.AddCluster("b", "eu", {"z2"}).ok());
  }
  absl::Status AddResource(const std::string& id) {
    v1::AddResourceRequest request;
    request.set_topic("elb");
    request.set_id(id);
    return lab_.Run(PlanAddResource, request);
  }
  PartitionNumber ResourcePartition(const std::string& id) {
    return lab_.image()
        .binding(lab_.image().FindTopic("elb"), id)
        ->targets[0]
        .partition;
  }
  Lab lab_;
};

TEST_F(TopicTest, HashedPartitionsTileTheHashSpace) {
  v1::TopicSpec spec;
  spec.set_name("orders");
  spec.set_kind(v1::TOPIC_KIND_HASHED);
  spec.set_partitions(100);
  ASSERT_TRUE(lab_.CreateTopic(spec).ok());
  const TopicId id = lab_.image().FindTopic("orders");
  const Topic topic = *lab_.image().topic(id);
  EXPECT_GT(topic.range_bits, 0u);
  for (int i = 0; i < 2000; ++i) {
    const uint32_t hash = KeyHash(std::to_string(i));
    const auto number = lab_.image().FindRange(id, topic, hash);
    ASSERT_TRUE(number);
    const auto row = lab_.image().partition(id, *number);
    EXPECT_LE(row->low, hash);
    EXPECT_GE(row->high, hash);
  }
  EXPECT_TRUE(lab_.image().FindRange(id, topic, 0));
  EXPECT_TRUE(lab_.image().FindRange(id, topic, kHashSpace - 1));
}

TEST_F(TopicTest, EachResourceHasAPartitionThatIsNeverUsedAgain) {
  ASSERT_TRUE(lab_.CreateTopic("elb", v1::TOPIC_KIND_RESOURCE).ok());
  std::set<PartitionNumber> used;
  for (int i = 0; i < 20; ++i) {
    const std::string id = "lb-" + std::to_string(i);
    ASSERT_TRUE(AddResource(id).ok());
    EXPECT_TRUE(used.insert(ResourcePartition(id)).second);
  }
  v1::RemoveResourceRequest remove;
  remove.set_topic("elb");
  remove.set_id("lb-3");
  ASSERT_TRUE(lab_.Run(PlanRemoveResource, remove).ok());
  EXPECT_FALSE(lab_.Run(PlanRemoveResource, remove).ok());
  ASSERT_TRUE(AddResource("lb-3").ok());
  EXPECT_FALSE(used.contains(ResourcePartition("lb-3")));
}

TEST_F(TopicTest, ANameUsedAgainGetsAnotherGeneration) {
  ASSERT_TRUE(lab_.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
  ASSERT_TRUE(lab_.AddHosts("h", 30, "eu").ok());
  EXPECT_EQ(lab_.image().kafka_topic(KafkaTopicId(1))->name, "nca.g1.0");
  v1::DeleteTopicRequest remove;
  remove.set_name("nca");
  ASSERT_TRUE(lab_.Run(PlanDeleteTopic, remove).ok());
  EXPECT_EQ(lab_.image().kafka_topic(KafkaTopicId(1))->state,
            KafkaTopicState::kDoomed);
  EXPECT_TRUE(lab_.image().table(Table::kBindings).empty());
  EXPECT_TRUE(lab_.image().table(Table::kPartitions).empty());
  ASSERT_TRUE(lab_.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
  const TopicId id = lab_.image().FindTopic("nca");
  EXPECT_EQ(lab_.image().topic(id)->generation, 2u);
}

TEST_F(TopicTest, RegionRules) {
  ASSERT_TRUE(lab_.AddCluster("us", "us", {"z1"}).ok());
  const absl::Status ambiguous =
      lab_.CreateTopic("nca", v1::TOPIC_KIND_UNICAST);
  EXPECT_THAT(std::string(ambiguous.message()), HasSubstr("one of: eu, us"));
  v1::TopicSpec spec;
  spec.set_name("nca");
  spec.set_kind(v1::TOPIC_KIND_UNICAST);
  spec.add_regions("eu");
  spec.add_regions("us");
  EXPECT_THAT(std::string(lab_.CreateTopic(spec).message()),
              HasSubstr("single-region"));
  spec.set_region_policy(v1::REGION_POLICY_MULTI_REGION);
  ASSERT_TRUE(lab_.CreateTopic(spec).ok());
  ASSERT_TRUE(lab_.AddHosts("e", 4, "eu").ok());
  ASSERT_TRUE(lab_.AddHosts("u", 4, "us").ok());
  EXPECT_EQ(lab_.KeysOn("nca", "us"), 4u);
}

TEST_F(TopicTest, KafkaTopicsArePlannedAheadOfNeed) {
  v1::TopicSpec spec;
  spec.set_name("nca");
  spec.set_kind(v1::TOPIC_KIND_UNICAST);
  spec.mutable_limits()->set_topics(3);
  spec.mutable_limits()->set_partitions_per_topic(2);
  spec.mutable_limits()->set_keys_per_partition(5);
  ASSERT_TRUE(lab_.CreateTopic(spec).ok());
  const TopicId id = lab_.image().FindTopic("nca");
  EXPECT_EQ(lab_.image().topic_counters(id).kafka_topics, 2u);
  const auto ahead = [&] {
    ASSERT_TRUE(lab_.Commit([](Draft* draft) {
                      PlanAhead(10, draft);
                      return absl::OkStatus();
                    })
                    .ok());
  };
  ahead();
  EXPECT_EQ(lab_.image().topic_counters(id).kafka_topics, 2u);
  ASSERT_TRUE(lab_.AddHosts("h", 16, "eu").ok());  // 8 of 10 on each
  ahead();
  EXPECT_EQ(lab_.image().topic_counters(id).kafka_topics, 4u);
  ahead();
  EXPECT_EQ(lab_.image().topic_counters(id).kafka_topics, 4u);
}

TEST_F(TopicTest, NewTopicsBindHostsThatExistInTheirHome) {
  ASSERT_TRUE(lab_.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
  ASSERT_TRUE(lab_.AddHosts("h", 6, "eu").ok());
  ASSERT_TRUE(lab_.CreateTopic("dhcp", v1::TOPIC_KIND_UNICAST).ok());
  const std::vector<std::string> hosts = {"h0", "h1", "h2", "gone"};
  ASSERT_TRUE(lab_.Commit([&](Draft* draft) {
                    return PlanBindHosts(hosts, lab_.image().FindTopic("dhcp"),
                                         draft);
                  })
                  .ok());
  for (const char* host : {"h0", "h1", "h2"}) {
    EXPECT_EQ(lab_.SegmentOfHost("dhcp", host).sub_cluster,
              lab_.SegmentOfHost("nca", host).sub_cluster);
  }
}

TEST(SegmentStateTest, OnlyTheDrawnTransitionsAreValid) {
  using S = v1::SegmentState;
  const std::set<std::pair<S, S>> valid = {
      {v1::SEGMENT_STATE_UNSPECIFIED, v1::SEGMENT_STATE_OPEN},
      {v1::SEGMENT_STATE_OPEN, v1::SEGMENT_STATE_CLOSING},
      {v1::SEGMENT_STATE_OPEN, v1::SEGMENT_STATE_SEALED},
      {v1::SEGMENT_STATE_OPEN, v1::SEGMENT_STATE_ORPHANED},
      {v1::SEGMENT_STATE_CLOSING, v1::SEGMENT_STATE_SEALED},
      {v1::SEGMENT_STATE_CLOSING, v1::SEGMENT_STATE_ORPHANED},
      {v1::SEGMENT_STATE_ORPHANED, v1::SEGMENT_STATE_SEALED},
      {v1::SEGMENT_STATE_ORPHANED, v1::SEGMENT_STATE_RETIRED},
      {v1::SEGMENT_STATE_SEALED, v1::SEGMENT_STATE_RETIRED}};
  for (int from = 0; from <= v1::SegmentState_MAX; ++from) {
    for (int to = 0; to <= v1::SegmentState_MAX; ++to) {
      const std::pair<S, S> pair(static_cast<S>(from), static_cast<S>(to));
      EXPECT_EQ(IsValidTransition(pair.first, pair.second),
                valid.contains(pair))
          << from << " to " << to;
    }
  }
}

TEST_F(TopicTest, AChainNeverHasTwoWritableSegments) {
  ASSERT_TRUE(lab_.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
  Image image = lab_.image();
  Editor editor(&image, nullptr);
  v1::Record opened;
  opened.mutable_segment_opened()->set_topic_id(1);
  opened.mutable_segment_opened()->mutable_segment()->set_epoch(UINT64_MAX);
  opened.mutable_segment_opened()->mutable_segment()->set_state(
      v1::SEGMENT_STATE_OPEN);
  EXPECT_FALSE(ApplyRecord(opened, &editor).ok());
  v1::Record sealed;
  sealed.mutable_segment_sealed()->set_topic_id(1);
  sealed.mutable_segment_sealed()->set_epoch(FirstEpoch(1).value());
  sealed.mutable_segment_sealed()->set_end_offset(9);
  EXPECT_TRUE(ApplyRecord(sealed, &editor).ok());
  EXPECT_TRUE(ApplyRecord(opened, &editor).ok());
  EXPECT_EQ(
      image.partition(TopicId(1), PartitionNumber(0))->chain[0].end_offset, 9u);
}

}  // namespace
}  // namespace kafed::federation
