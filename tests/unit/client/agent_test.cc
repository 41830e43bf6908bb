// What an agent reads, delivers and remembers, without Kafka.
#include "client/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace kafed::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

v1::SubscriptionsResponse OwnChain() {
  v1::SubscriptionsResponse response;
  v1::SubClusterRow& cluster = *response.add_sub_clusters();
  cluster.set_id(1);
  cluster.set_name("a");
  cluster.set_bootstrap_servers("a:1");
  v1::KafkaTopicRow& topic = *response.add_kafka_topics();
  topic.set_id(1);
  topic.set_name("nca.g1.0");
  topic.set_ready(true);
  v1::Subscription& own = *response.add_subscriptions();
  own.set_topic("nca");
  own.set_kind(v1::TOPIC_KIND_UNICAST);
  own.add_keys()->set_key("h1");
  v1::Segment& segment = *own.add_chain();
  segment.set_sub_cluster_id(1);
  segment.set_kafka_topic_id(1);
  segment.set_epoch(1);
  segment.set_state(v1::SEGMENT_STATE_OPEN);
  return response;
}

Record DataAt(uint64_t offset, const std::string& key, uint64_t sequence,
              const std::string& topic = "nca.g1.0") {
  Record record;
  record.sub_cluster = "a";
  record.kafka_topic = topic;
  record.offset = offset;
  record.key = key;
  record.payload = std::to_string(sequence);
  record.header = KafkaHeader{MessageKind::kData, 1, Source{1}, sequence};
  return record;
}

Record MarkerAt(uint64_t offset, MessageKind kind, const std::string& vpc,
                uint64_t version, uint64_t from) {
  v1::MembershipMarker marker;
  marker.set_host("h1");
  marker.set_vpc(vpc);
  marker.set_membership_version(version);
  if (kind == MessageKind::kSubscribe) {
    v1::MembershipChain& chain = *marker.add_chains();
    chain.set_topic("vpc");
    chain.set_epoch(1);
    chain.set_sub_cluster("a");
    chain.set_kafka_topic("vpc.g1.0");
    chain.set_from_offset(from);
  }
  Record record = DataAt(offset, "h1", 0);
  record.header->kind = kind;
  record.payload = marker.SerializeAsString();
  return record;
}

class AgentTest : public ::testing::Test {
 protected:
  AgentTest() : agent_("h1", 100) { agent_.Merge(OwnChain()); }
  // The payload delivered, or "".
  std::string Deliver(Record record, bool of_this_round = true) {
    if (of_this_round) {
      for (const ReadPlace& place : agent_.Reading()) {
        if (place.kafka_topic == record.kafka_topic) record.round = place.round;
      }
    }
    auto received = agent_.Receive(std::move(record));
    if (!received.message) return "";
    last_ = *received.message;
    return last_.payload;
  }
  uint64_t OffsetOf(const std::string& kafka_topic) {
    for (const ReadPlace& place : agent_.Reading()) {
      if (place.kafka_topic == kafka_topic) return place.offset;
    }
    return UINT64_MAX;
  }
  Agent agent_;
  Message last_;
};

TEST_F(AgentTest, DeliversOnlyWhatIsForItsHost) {
  EXPECT_EQ(Deliver(DataAt(0, "h1", 1)), "1");
  EXPECT_EQ(last_.key, "nca/h1");
  EXPECT_EQ(Deliver(DataAt(1, "h2", 2)), "");
  EXPECT_EQ(Deliver(DataAt(2, "h1", 3)), "3");
}

TEST_F(AgentTest, DropsRepeatsBySourceAndKey) {
  EXPECT_EQ(Deliver(DataAt(0, "h1", 5)), "5");
  EXPECT_EQ(Deliver(DataAt(1, "h1", 5)), "");
  EXPECT_EQ(Deliver(DataAt(2, "h1", 4)), "");
  Record other = DataAt(3, "h1", 5);
  other.header->source = Source{2};
  EXPECT_EQ(Deliver(other), "5");
}

TEST_F(AgentTest, DeliversMessagesWithoutTheHeader) {
  Record plain = DataAt(0, "h1", 1);
  plain.header.reset();
  EXPECT_EQ(Deliver(plain), "1");
  EXPECT_EQ(last_.sequence, 0u);
}

TEST_F(AgentTest, JoinsAtTheMarkersOffsetAndLeaves) {
  EXPECT_TRUE(agent_.Receive(MarkerAt(0, MessageKind::kSubscribe, "v1", 3, 7))
                  .message == std::nullopt);
  EXPECT_EQ(OffsetOf("vpc.g1.0"), UINT64_MAX);  // another round: dropped
  Deliver(MarkerAt(0, MessageKind::kSubscribe, "v1", 3, 7));
  EXPECT_EQ(OffsetOf("vpc.g1.0"), 7u);
  EXPECT_EQ(Deliver(DataAt(7, "v1", 1, "vpc.g1.0")), "1");
  EXPECT_EQ(last_.key, "vpc/v1");
  EXPECT_EQ(Deliver(DataAt(8, "v2", 2, "vpc.g1.0")), "");
  Deliver(MarkerAt(1, MessageKind::kUnsubscribe, "v1", 4, 0));
  EXPECT_EQ(OffsetOf("vpc.g1.0"), UINT64_MAX);
}

TEST_F(AgentTest, IgnoresMarkersOfOldVersionsAndOfOthers) {
  Deliver(MarkerAt(0, MessageKind::kUnsubscribe, "v1", 5, 0));
  Deliver(MarkerAt(1, MessageKind::kSubscribe, "v1", 4, 7));
  EXPECT_THAT(agent_.Reading(), SizeIs(1));
  Record foreign = MarkerAt(2, MessageKind::kSubscribe, "v1", 6, 7);
  v1::MembershipMarker marker;
  ASSERT_TRUE(marker.ParseFromString(foreign.payload));
  marker.set_host("h2");
  foreign.payload = marker.SerializeAsString();
  Deliver(foreign);
  EXPECT_THAT(agent_.Reading(), SizeIs(1));
}

TEST_F(AgentTest, GoesBackForAJoinThatLiesBeforeWhatItHasRead) {
  Deliver(MarkerAt(0, MessageKind::kSubscribe, "v1", 1, 5));
  EXPECT_EQ(Deliver(DataAt(5, "v1", 1, "vpc.g1.0")), "1");
  EXPECT_EQ(Deliver(DataAt(6, "v2", 2, "vpc.g1.0")), "");
  EXPECT_EQ(Deliver(DataAt(7, "v1", 3, "vpc.g1.0")), "3");
  Record fetched_before = DataAt(8, "v1", 4, "vpc.g1.0");
  fetched_before.round = agent_.Reading()[1].round;
  Deliver(MarkerAt(1, MessageKind::kSubscribe, "v2", 1, 6));
  EXPECT_EQ(OffsetOf("vpc.g1.0"), 6u);
  EXPECT_EQ(Deliver(fetched_before, false), "");
  EXPECT_EQ(Deliver(DataAt(6, "v2", 2, "vpc.g1.0")), "2");
  EXPECT_EQ(Deliver(DataAt(7, "v1", 3, "vpc.g1.0")), "");
  EXPECT_EQ(Deliver(DataAt(8, "v1", 4, "vpc.g1.0")), "4");
}

TEST_F(AgentTest, HopsToTheNextSegmentAtTheMovedMarker) {
  v1::MovedMarker marker;
  marker.set_topic("nca");
  marker.set_epoch(1);
  marker.set_next_epoch(2);
  marker.set_next_sub_cluster("b");
  marker.set_next_kafka_topic("nca.g1.9");
  EXPECT_EQ(Deliver(DataAt(0, "h1", 1)), "1");
  Record moved = DataAt(1, "", 0);
  moved.header->kind = MessageKind::kMoved;
  moved.payload = marker.SerializeAsString();
  Deliver(moved);
  // Sub-cluster b is not known: a node must say where it is.
  EXPECT_THAT(agent_.Reading(), IsEmpty());
  EXPECT_TRUE(agent_.NeedsNode());
  v1::SubscriptionsResponse response = OwnChain();
  response.mutable_subscriptions(0)->clear_chain();
  v1::SubClusterRow& cluster = *response.add_sub_clusters();
  cluster.set_id(2);
  cluster.set_name("b");
  agent_.Merge(response);
  ASSERT_THAT(agent_.Reading(), SizeIs(1));
  EXPECT_EQ(agent_.Reading()[0].kafka_topic, "nca.g1.9");
  EXPECT_FALSE(agent_.NeedsNode());
}

TEST_F(AgentTest, GoesOnInPlaceWhenARestoreRaisesTheEpoch) {
  EXPECT_EQ(Deliver(DataAt(0, "h1", 1)), "1");
  EXPECT_EQ(Deliver(DataAt(1, "h1", 2)), "2");
  v1::SubscriptionsResponse restored = OwnChain();
  restored.mutable_subscriptions(0)->mutable_chain(0)->set_epoch(2ull << 32);
  agent_.Merge(restored);
  EXPECT_EQ(OffsetOf("nca.g1.0"), 2u);
  EXPECT_FALSE(agent_.NeedsNode());
  EXPECT_EQ(Deliver(DataAt(2, "h1", 3)), "3");
  EXPECT_EQ(agent_.Known().at(0).epoch(), 2ull << 32);
  EXPECT_THAT(agent_.State().chains.at(0).segments, SizeIs(1));
}

TEST_F(AgentTest, AJoinAfterARestoreGoesOnInPlaceToo) {
  Deliver(MarkerAt(0, MessageKind::kSubscribe, "v1", 1, 5));
  EXPECT_EQ(Deliver(DataAt(5, "v1", 1, "vpc.g1.0")), "1");
  const uint64_t ticket = last_.ticket;
  // Another VPC that shares the partition, told with the raised epoch.
  Record marker = MarkerAt(1, MessageKind::kSubscribe, "v2", 2ull << 32, 6);
  v1::MembershipMarker parsed;
  ASSERT_TRUE(parsed.ParseFromString(marker.payload));
  parsed.mutable_chains(0)->set_epoch(2ull << 32);
  marker.payload = parsed.SerializeAsString();
  Deliver(marker);
  EXPECT_EQ(Deliver(DataAt(6, "v1", 2, "vpc.g1.0")), "2");
  EXPECT_EQ(Deliver(DataAt(7, "v2", 3, "vpc.g1.0")), "3");
  EXPECT_TRUE(agent_.Commit(ticket));
  EXPECT_TRUE(agent_.CommitAll());
}

TEST_F(AgentTest, RemembersOnlyWhatWasCommitted) {
  EXPECT_EQ(Deliver(DataAt(0, "h1", 1)), "1");
  const uint64_t first = last_.ticket;
  EXPECT_EQ(Deliver(DataAt(1, "h1", 2)), "2");
  EXPECT_TRUE(agent_.Commit(first));
  EXPECT_FALSE(agent_.Commit(first));
  const std::string path = std::filesystem::temp_directory_path() /
                           ("kafed-agent-" + std::to_string(getpid()));
  ASSERT_TRUE(SaveAgentState(agent_.State(), path).ok());
  const auto state = LoadAgentState(path);
  ASSERT_TRUE(state.ok()) << state.status();
  Agent again("h1", 100);
  again.Restore(*state);
  ASSERT_THAT(again.Reading(), SizeIs(1));
  EXPECT_EQ(again.Reading()[0].offset, 1u);
  EXPECT_TRUE(again.Receive(DataAt(1, "h1", 2)).message.has_value());
  // A repeat of what was committed, written again by a retry.
  EXPECT_FALSE(again.Receive(DataAt(2, "h1", 1)).message.has_value());
  std::ofstream(path, std::ios::app) << "x";
  EXPECT_TRUE(absl::IsDataLoss(LoadAgentState(path).status()));
  std::filesystem::remove(path);
  EXPECT_TRUE(absl::IsNotFound(LoadAgentState(path).status()));
}

TEST_F(AgentTest, NamesTheKeysOfAGapAndGoesOnBehindIt) {
  const ReadPlace place = agent_.Reading()[0];
  EXPECT_THAT(agent_.Gap(place, 40), ElementsAre("nca/h1"));
  EXPECT_EQ(OffsetOf("nca.g1.0"), 40u);
  EXPECT_THAT(agent_.Gap(place, 40), IsEmpty());  // reported once
}

TEST_F(AgentTest, WaitsForAKafkaTopicThatIsStillBeingMade) {
  v1::SubscriptionsResponse response = OwnChain();
  response.mutable_kafka_topics(0)->set_ready(false);
  Agent agent("h1", 100);
  agent.Merge(response);
  EXPECT_THAT(agent.Reading(), IsEmpty());
  EXPECT_TRUE(agent.NeedsNode());
  agent.Merge(OwnChain());
  EXPECT_THAT(agent.Reading(), SizeIs(1));
}

TEST(RepeatFilter, ForgetsTheLongestUnusedFirst) {
  RepeatFilter filter(2);
  EXPECT_TRUE(filter.Take("a", 1));
  EXPECT_TRUE(filter.Take("b", 1));
  EXPECT_FALSE(filter.Take("a", 1));
  EXPECT_TRUE(filter.Take("c", 1));
  EXPECT_EQ(filter.size(), 2u);
  EXPECT_FALSE(filter.Take("a", 1));
  EXPECT_TRUE(filter.Take("b", 1));  // was forgotten
}

}  // namespace
}  // namespace kafed::client
