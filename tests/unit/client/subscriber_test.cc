// Subscribers over an embedded Kafka cluster and a node in memory.
#include "client/subscriber.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "kafed/v1/markers.pb.h"
#include "tests/support/embedded_kafka_process.h"
#include "tests/unit/client/fake_node.h"
#include "tests/unit/client/kafka_reader.h"

namespace kafed::client {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAreArray;
using tests::EmbeddedKafkaProcess;

constexpr absl::Duration kPatience = absl::Seconds(60);

// What one subscriber was given.
class Inbox {
 public:
  void Take(const std::string& text) {
    absl::MutexLock lock(&mutex_);
    all_.push_back(text);
  }
  bool Wait(size_t count) const {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&] { return all_.size() >= count; };
    return mutex_.AwaitWithTimeout(absl::Condition(&enough), kPatience);
  }
  std::vector<std::string> all() const {
    absl::MutexLock lock(&mutex_);
    return all_;
  }

 private:
  mutable absl::Mutex mutex_;
  std::vector<std::string> all_;
};

class SubscriberTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto kafka = EmbeddedKafkaProcess::Start(1);
    ASSERT_TRUE(kafka.ok()) << kafka.status();
    kafka_ = *std::move(kafka);
    for (const char* topic : {"nca.g1.0", "vpc.g1.0", "elb.g1.0"}) {
      ASSERT_TRUE(kafka_->Create(topic, 4).ok());
    }
    node_ = FakeNode::Create();
    v1::SubscriptionsResponse own = Basics();
    Chain("nca", v1::TOPIC_KIND_UNICAST, 1, 2, 0, "h1", &own);
    node_->SetSubscriptions("h1", own);
    folder_ = std::filesystem::temp_directory_path() /
              ("kafed-subscriber-" + std::to_string(getpid()));
    std::filesystem::remove_all(folder_);
    options_.nodes = {"fake:1"};
    options_.connector = node_->connector();
    options_.host = "h1";
    options_.state_dir = folder_;
    options_.backoff_min = options_.backoff_max = milliseconds(50);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  v1::SubscriptionsResponse Basics() {
    v1::SubscriptionsResponse response;
    *response.add_sub_clusters() =
        SubClusterRowOf(1, "a", kafka_->bootstrap()).sub_cluster();
    *response.add_kafka_topics() =
        KafkaTopicRowOf(1, 1, "nca.g1.0").kafka_topic();
    *response.add_kafka_topics() =
        KafkaTopicRowOf(2, 1, "elb.g1.0").kafka_topic();
    response.mutable_position()->set_index(1);
    return response;
  }
  static void Chain(const std::string& topic, v1::TopicKind kind,
                    uint32_t kafka_topic, uint32_t kafka_partition,
                    uint32_t number, const std::string& key,
                    v1::SubscriptionsResponse* response) {
    v1::Subscription& each = *response->add_subscriptions();
    each.set_topic(topic);
    each.set_kind(kind);
    each.set_partition(number);
    each.add_keys()->set_key(key);
    each.set_epoch(1);
    v1::Segment& segment = *each.add_chain();
    segment.set_sub_cluster_id(1);
    segment.set_kafka_topic_id(kafka_topic);
    segment.set_kafka_partition(kafka_partition);
    segment.set_epoch(1);
    segment.set_state(v1::SEGMENT_STATE_OPEN);
  }
  int64_t Write(const std::string& topic, int partition, const std::string& key,
                const std::string& payload, uint64_t sequence,
                MessageKind kind = MessageKind::kData) {
    return WriteMessage(kafka_->bootstrap(), topic, partition, key, payload,
                        EncodeKafkaHeader({kind, 1, Source{1}, sequence}));
  }
  std::unique_ptr<Subscriber> Start(Inbox* inbox, bool commit = true) {
    auto holder = std::make_shared<std::atomic<Subscriber*>>(nullptr);
    SubscriberHandlers handlers;
    handlers.on_message = [=](const Message& message) {
      Subscriber* self = holder->load();
      // What another worker will get does not count as this one's.
      if (commit && self != nullptr && !self->Commit(message).ok()) return;
      inbox->Take(message.key + "=" + message.payload);
    };
    handlers.on_gap = [=](const std::vector<std::string>& keys) {
      for (const std::string& key : keys) inbox->Take("gap " + key);
    };
    auto subscriber = Subscriber::Create(options_, handlers);
    EXPECT_TRUE(subscriber.ok()) << subscriber.status();
    holder->store(subscriber->get());
    EXPECT_TRUE((*subscriber)->WaitReady(milliseconds(60'000)).ok());
    return *std::move(subscriber);
  }
  // Group mode over four resources.
  void BecomeAWorker() {
    v1::SubscriptionsResponse all = Basics();
    for (uint32_t i = 0; i < 4; ++i) {
      Chain("elb", v1::TOPIC_KIND_RESOURCE, 2, i, i, "lb-" + std::to_string(i),
            &all);
    }
    node_->SetSubscriptions("elb", all);
    options_.host.clear();
    options_.resource_topic = "elb";
    options_.group = "workers";
    options_.session_timeout = milliseconds(5'000);
  }
  std::string Marker(const std::string& vpc, uint64_t version, bool join,
                     uint64_t from) {
    v1::MembershipMarker marker;
    marker.set_host("h1");
    marker.set_vpc(vpc);
    marker.set_membership_version(version);
    if (join) {
      v1::MembershipChain& chain = *marker.add_chains();
      chain.set_topic("vpc");
      chain.set_epoch(1);
      chain.set_sub_cluster("a");
      chain.set_kafka_topic("vpc.g1.0");
      chain.set_kafka_partition(1);
      chain.set_from_offset(from);
    }
    return marker.SerializeAsString();
  }

  std::unique_ptr<EmbeddedKafkaProcess> kafka_;
  std::shared_ptr<FakeNode> node_;
  std::string folder_;
  SubscriberOptions options_;
};

TEST_F(SubscriberTest, HandsOverItsOwnMessagesOnceAndInOrder) {
  Write("nca.g1.0", 2, "h1", "1", 1);
  Write("nca.g1.0", 2, "h2", "foreign", 2);
  Inbox inbox;
  auto subscriber = Start(&inbox);
  ASSERT_TRUE(inbox.Wait(1));
  Write("nca.g1.0", 2, "h1", "1 again", 1);
  Write("nca.g1.0", 2, "h1", "2", 3);
  ASSERT_TRUE(inbox.Wait(2));
  EXPECT_THAT(inbox.all(), ElementsAre("nca/h1=1", "nca/h1=2"));
  const SubscriberStats stats = subscriber->stats();
  EXPECT_EQ(stats.repeats, 1u);
  EXPECT_EQ(stats.foreign, 1u);
}

TEST_F(SubscriberTest, JoinsAndLeavesInBandWithoutAskingANode) {
  Inbox inbox;
  auto subscriber = Start(&inbox);
  Write("vpc.g1.0", 1, "v1", "before the join", 1);
  const int64_t from = Write("vpc.g1.0", 1, "v1", "after the join", 2);
  Write("nca.g1.0", 2, "h1", Marker("v1", 1, true, from), 0,
        MessageKind::kSubscribe);
  ASSERT_TRUE(inbox.Wait(1));
  EXPECT_EQ(node_->subscription_requests().size(), 1u);
  Write("nca.g1.0", 2, "h1", Marker("v1", 2, false, 0), 0,
        MessageKind::kUnsubscribe);
  Write("nca.g1.0", 2, "h1", "behind the leave", 3);
  ASSERT_TRUE(inbox.Wait(2));
  Write("vpc.g1.0", 1, "v1", "after the leave", 4);
  Write("nca.g1.0", 2, "h1", "last", 5);
  ASSERT_TRUE(inbox.Wait(3));
  EXPECT_THAT(inbox.all(),
              ElementsAre("vpc/v1=after the join", "nca/h1=behind the leave",
                          "nca/h1=last"));
}

TEST_F(SubscriberTest, ResumesFromItsStateWithoutAnyNode) {
  Write("nca.g1.0", 2, "h1", "1", 1);
  {
    Inbox inbox;
    auto subscriber = Start(&inbox);
    ASSERT_TRUE(inbox.Wait(1));
    ASSERT_TRUE(subscriber->CommitAll().ok());
    subscriber->Stop();
  }
  node_->SetUp(false);
  Write("nca.g1.0", 2, "h1", "1 again", 1);
  Write("nca.g1.0", 2, "h1", "2", 2);
  Inbox inbox;
  auto subscriber = Start(&inbox);
  ASSERT_TRUE(inbox.Wait(1));
  EXPECT_THAT(inbox.all(), ElementsAre("nca/h1=2"));
}

TEST_F(SubscriberTest, HandsOverAgainWhatWasNotCommitted) {
  Write("nca.g1.0", 2, "h1", "1", 1);
  for (int i = 0; i < 2; ++i) {
    Inbox inbox;
    auto subscriber = Start(&inbox, false);
    ASSERT_TRUE(inbox.Wait(1));
    EXPECT_THAT(inbox.all(), ElementsAre("nca/h1=1"));
  }
}

TEST_F(SubscriberTest, WithoutAStateItStartsAtTheGroupsCommit) {
  options_.state_dir.clear();
  Write("nca.g1.0", 2, "h1", "1", 1);
  {
    Inbox inbox;
    auto subscriber = Start(&inbox);
    ASSERT_TRUE(inbox.Wait(1));
    ASSERT_TRUE(subscriber->CommitAll().ok());
  }
  Write("nca.g1.0", 2, "h1", "2", 2);
  Inbox inbox;
  auto subscriber = Start(&inbox);
  ASSERT_TRUE(inbox.Wait(1));
  EXPECT_THAT(inbox.all(), ElementsAre("nca/h1=2"));
}

TEST_F(SubscriberTest, ReportsAGapAndGoesOnAtTheLowWatermark) {
  // The state says more than Kafka has, as after a lost log.
  v1::SubscriptionsResponse own = Basics();
  Chain("nca", v1::TOPIC_KIND_UNICAST, 1, 2, 0, "h1", &own);
  own.mutable_subscriptions(0)->mutable_chain(0)->set_start_offset(500);
  node_->SetSubscriptions("h1", own);
  Write("nca.g1.0", 2, "h1", "left", 1);
  Inbox inbox;
  auto subscriber = Start(&inbox);
  ASSERT_TRUE(inbox.Wait(1));
  EXPECT_EQ(inbox.all()[0], "gap nca/h1");
}

TEST_F(SubscriberTest, EachMessageOfAGroupIsCommittedByOneWorker) {
  BecomeAWorker();
  std::vector<std::string> expected;
  uint64_t sequence = 0;
  const auto write = [&](const std::string& round) {
    for (int i = 0; i < 4; ++i) {
      const std::string key = "lb-" + std::to_string(i);
      Write("elb.g1.0", i, key, round, ++sequence);
      expected.push_back("elb/" + key + "=" + round);
    }
  };
  write("1");
  Inbox inbox;
  auto first = Start(&inbox);
  ASSERT_TRUE(inbox.Wait(4));
  {
    auto second = Start(&inbox);
    write("2");
    ASSERT_TRUE(inbox.Wait(8));
  }
  // The second worker is gone; the first goes on alone.
  write("3");
  ASSERT_TRUE(inbox.Wait(12));
  EXPECT_THAT(inbox.all(), UnorderedElementsAreArray(expected));
}

TEST_F(SubscriberTest, AWorkerThatStopsAtOnceEndsCleanly) {
  BecomeAWorker();
  Inbox inbox;
  auto first = Start(&inbox);
  for (int i = 0; i < 12; ++i) {
    auto second = Start(&inbox);
    // Not a wait for anything: each ends at another moment of its first
    // rebalance.
    absl::SleepFor(absl::Milliseconds(50 * i));
  }
  Write("elb.g1.0", 3, "lb-3", "still served", 1);
  ASSERT_TRUE(inbox.Wait(1));
}

TEST_F(SubscriberTest, NamesTheOptionThatIsWrong) {
  SubscriberHandlers handlers;
  EXPECT_TRUE(
      absl::IsInvalidArgument(Subscriber::Create(options_, handlers).status()));
  handlers.on_message = [](const Message&) {};
  options_.resource_topic = "elb";
  EXPECT_TRUE(
      absl::IsInvalidArgument(Subscriber::Create(options_, handlers).status()));
  options_.host.clear();
  EXPECT_TRUE(
      absl::IsInvalidArgument(Subscriber::Create(options_, handlers).status()));
}

}  // namespace
}  // namespace kafed::client
