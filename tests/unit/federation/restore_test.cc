// The first record of a restored incarnation.
#include <gmock/gmock.h>

#include "tests/unit/federation/lab.h"

namespace kafed::federation {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class RestoreTest : public testing::Test {
 protected:
  RestoreTest() {
    EXPECT_TRUE(lab_.AddCluster("a", "eu", {"z1"}).ok());
    EXPECT_TRUE(lab_.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
    EXPECT_TRUE(lab_.CreateTopic("vpc", v1::TOPIC_KIND_MULTICAST).ok());
    EXPECT_TRUE(lab_.CreateTopic("elb", v1::TOPIC_KIND_RESOURCE).ok());
    EXPECT_TRUE(lab_.AddHosts("h", 20, "eu").ok());
    EXPECT_TRUE(lab_.CreateVpc("v").ok());
    EXPECT_TRUE(lab_.Join("v", {"h1", "h2"}).ok());
    EXPECT_TRUE(AddResource("lb-1").ok());
    v1::OpenSessionRequest open;
    open.set_source(std::string(16, 's'));
    EXPECT_TRUE(lab_.Commit([&](Draft* draft) {
                      return PlanOpenSession(open, 1, 1, draft).status();
                    })
                    .ok());
  }
  absl::Status AddResource(const std::string& id) {
    v1::AddResourceRequest request;
    request.set_topic("elb");
    request.set_id(id);
    request.set_region("eu");
    return lab_.Run(PlanAddResource, request);
  }
  Segment SegmentOfResource(const std::string& id) {
    const TopicId topic = lab_.image().FindTopic("elb");
    const auto binding = lab_.image().binding(topic, id);
    return *lab_.image()
                .partition(topic, binding->targets.at(0).partition)
                ->Writable();
  }
  std::string KafkaTopicOf(const Segment& segment) {
    return lab_.image().kafka_topic(segment.kafka_topic)->name;
  }
  Lab lab_;
};

TEST_F(RestoreTest, RaisesEveryEpochAndKeepsEveryPlace) {
  const Segment before = lab_.SegmentOfHost("nca", "h7");
  ASSERT_TRUE(lab_.Restore(2).ok());
  const Segment after = lab_.SegmentOfHost("nca", "h7");
  EXPECT_EQ(after.epoch, FirstEpoch(2));
  EXPECT_GT(after.epoch, before.epoch);
  EXPECT_EQ(after.kafka_topic, before.kafka_topic);
  EXPECT_EQ(after.kafka_partition, before.kafka_partition);
  EXPECT_EQ(lab_.image().position().incarnation, 2u);
}

TEST_F(RestoreTest, RaisesVersionsSoThatAgentsTakeThem) {
  const uint64_t before = lab_.image().vpc("v")->membership_version;
  ASSERT_TRUE(lab_.Restore(2).ok());
  EXPECT_EQ(lab_.image().vpc("v")->membership_version,
            (uint64_t{2} << 32) + before);
  ASSERT_TRUE(lab_.Join("v", {"h3"}).ok());
  EXPECT_EQ(lab_.image().vpc("v")->membership_version,
            (uint64_t{2} << 32) + before + 1);
}

TEST_F(RestoreTest, MembersReadOnWhereTheyBegan) {
  const TopicId topic = lab_.image().FindTopic("vpc");
  const auto row = [&] {
    return lab_.image().Get<VpcMember>(Table::kVpcMembers, KeyOf("v", "h1"));
  };
  ASSERT_TRUE(row().has_value());
  const VpcMember before = *row();
  ASSERT_FALSE(before.from.empty());
  ASSERT_TRUE(lab_.Restore(2).ok());
  const VpcMember after = *row();
  EXPECT_EQ(after.from.at(0).epoch, FirstEpoch(2));
  EXPECT_EQ(after.from.at(0).offset, before.from.at(0).offset);
  EXPECT_EQ(after.from.at(0).topic, topic);
}

TEST_F(RestoreTest, NewKafkaTopicsHaveNamesOfTheirOwn) {
  ASSERT_TRUE(lab_.Restore(3).ok());
  EXPECT_EQ(KafkaTopicOf(lab_.SegmentOfHost("nca", "h7")), "nca.g1.0");
  ASSERT_TRUE(lab_.AddHosts("more", 600, "eu").ok());
  EXPECT_THAT(KafkaTopicOf(lab_.SegmentOfHost("nca", "more599")),
              HasSubstr("nca.g3000001."));
  ASSERT_TRUE(lab_.CreateTopic("other", v1::TOPIC_KIND_UNICAST).ok());
  ASSERT_TRUE(lab_.AddHosts("last", 1, "eu").ok());
  EXPECT_THAT(KafkaTopicOf(lab_.SegmentOfHost("other", "last0")),
              HasSubstr("other.g3000001."));
}

TEST_F(RestoreTest, FreePartitionsOfResourcesAreGivenUp) {
  const Segment before = SegmentOfResource("lb-1");
  ASSERT_TRUE(lab_.Restore(2).ok());
  ASSERT_TRUE(AddResource("lb-2").ok());
  const Segment after = SegmentOfResource("lb-2");
  EXPECT_NE(after.kafka_topic, before.kafka_topic);
  EXPECT_THAT(KafkaTopicOf(after), HasSubstr("elb.g2000001."));
  EXPECT_EQ(SegmentOfResource("lb-1").kafka_topic, before.kafka_topic);
}

TEST_F(RestoreTest, EndsSessionsAndBeginsTheirNumbersAnew) {
  ASSERT_TRUE(lab_.Restore(2).ok());
  EXPECT_TRUE(lab_.image().table(Table::kSessions).empty());
  EXPECT_TRUE(lab_.image().table(Table::kSessionSources).empty());
  EXPECT_EQ(lab_.image().counters().next_session, (uint64_t{2} << 32) + 1);
}

TEST_F(RestoreTest, RestoringTwiceRaisesAgain) {
  ASSERT_TRUE(lab_.Restore(2).ok());
  ASSERT_TRUE(lab_.Restore(7).ok());
  EXPECT_EQ(lab_.SegmentOfHost("nca", "h7").epoch, FirstEpoch(7));
  EXPECT_THAT(FindViolations(lab_.image()), IsEmpty());
}

TEST_F(RestoreTest, AnIncarnationBeginsWithItsRecordAndOnlyThen) {
  v1::Entry entry;
  entry.mutable_header()->mutable_position()->set_incarnation(2);
  entry.mutable_header()->mutable_position()->set_index(
      lab_.image().head().index.value() + 1);
  entry.mutable_header()->set_predecessor_hash(lab_.image().head().header_hash);
  entry.mutable_header()->set_time_ms(lab_.image().head().time_ms);
  Image image = lab_.image();
  EXPECT_THAT(ApplyEntry(entry, &image, nullptr).ToString(),
              HasSubstr("must be the first record"));
  entry.mutable_header()->mutable_position()->set_incarnation(1);
  entry.mutable_header()->mutable_position()->set_nonce(7);
  entry.add_records()->mutable_incarnation_began()->set_reason("restore");
  image = lab_.image();
  EXPECT_THAT(ApplyEntry(entry, &image, nullptr).ToString(),
              HasSubstr("must be the first record"));
}

}  // namespace
}  // namespace kafed::federation
