// The coordinator over fake Kafka clusters: health, topics and sessions.
#include "controller/reconcile/coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/controller/kafka_contract.h"
#include "tests/unit/controller/reconcile_bench.h"

namespace kafed::controller {
namespace {

using ::testing::HasSubstr;

class CoordinatorTest : public ::testing::Test, protected ReconcileBench {
 protected:
  FakeKafka& kafka_ = AddFake("a:1");
};

TEST_F(CoordinatorTest, LearnsTheClusterIdAndBecomesActive) {
  Start();
  AddCluster("a", "a:1");
  ASSERT_TRUE(AwaitState("a", v1::SUB_CLUSTER_STATE_ACTIVE));
  const auto row = Row(*replica->image(), "a");
  EXPECT_EQ(row.kafka_cluster_id, "id-of-a:1");
  EXPECT_EQ(row.brokers, 3u);
  EXPECT_TRUE(Eventually([&] { return Find("a") != nullptr; }));
  EXPECT_EQ(coordinator->Find(federation::SubClusterId(99)), nullptr);
}

TEST_F(CoordinatorTest, OnlyTransitionsAreRecords) {
  Start();
  AddCluster("a", "a:1");
  ASSERT_TRUE(AwaitState("a", v1::SUB_CLUSTER_STATE_ACTIVE));
  const Position before = replica->position();
  const int looks = kafka_.With([](auto& state) { return state.describes; });
  ASSERT_TRUE(Eventually([&] {
    return kafka_.With([](auto& state) { return state.describes; }) > looks + 5;
  }));
  EXPECT_EQ(replica->position(), before);
}

TEST_F(CoordinatorTest, CreatesKafkaTopicsWithTheirSettings) {
  Start();
  AddCluster("a", "a:1");
  CreateTopic("nca", v1::TOPIC_KIND_UNICAST, 5);
  ASSERT_TRUE(AwaitReady("nca"));
  kafka_.With([](FakeKafkaState& state) {
    ASSERT_TRUE(state.topics.contains("nca.g1.0"));
    const FakeTopic& topic = state.topics["nca.g1.0"];
    EXPECT_EQ(topic.partitions, 5u);
    EXPECT_EQ(topic.replication, 3u);
    const std::map<std::string, std::string> expected = {
        {"cleanup.policy", "delete"},
        {"message.timestamp.after.max.ms", "30000"},
        {"message.timestamp.before.max.ms", "60000"},
        {"message.timestamp.type", "CreateTime"},
        {"min.insync.replicas", "2"},
        {"retention.ms", "604800000"},
        {"unclean.leader.election.enable", "false"}};
    EXPECT_EQ(topic.config, expected);
  });
  // Counted after the record is out.
  EXPECT_TRUE(
      Eventually([&] { return coordinator->stats().topics_created == 1; }));
}

TEST_F(CoordinatorTest, SpellsTheFenceAsOldBrokersDo) {
  kafka_.With([](FakeKafkaState& state) {
    state.brokers = 1;
    state.unknown_settings = {"message.timestamp.before.max.ms",
                              "message.timestamp.after.max.ms"};
  });
  Start();
  AddCluster("a", "a:1");
  CreateTopic("nca", v1::TOPIC_KIND_UNICAST);
  ASSERT_TRUE(AwaitReady("nca"));
  kafka_.With([](FakeKafkaState& state) {
    auto& config = state.topics["nca.g1.0"].config;
    EXPECT_EQ(config["message.timestamp.difference.max.ms"], "60000");
    EXPECT_FALSE(config.contains("message.timestamp.before.max.ms"));
    EXPECT_EQ(config["min.insync.replicas"], "1");
  });
}

TEST_F(CoordinatorTest, CreatesInBatches) {
  Start();
  AddCluster("a", "a:1");
  // 50 partitions a Kafka topic: 45 Kafka topics.
  CreateTopic("orders", v1::TOPIC_KIND_HASHED, 45 * 50);
  ASSERT_TRUE(AwaitReady("orders"));
  kafka_.With([](FakeKafkaState& state) {
    EXPECT_EQ(state.topics.size(), 45u);
    EXPECT_EQ(state.largest_batch, TopicReconciler::kBatch);
  });
}

TEST_F(CoordinatorTest, ResumesWhereACrashCameBeforeTheRecord) {
  AddCluster("a", "a:1");
  CreateTopic("nca", v1::TOPIC_KIND_UNICAST, 2);
  kafka_.With([](FakeKafkaState& state) {
    state.topics["nca.g1.0"] = {2, 3, {}, {}};
  });
  Start();
  ASSERT_TRUE(AwaitReady("nca"));
  EXPECT_EQ(kafka_.With([](auto& state) { return state.creates; }), 0);
}

TEST_F(CoordinatorTest, DoesNotTakeATopicOfAnotherShape) {
  AddCluster("a", "a:1");
  CreateTopic("nca", v1::TOPIC_KIND_UNICAST, 2);
  kafka_.With([](FakeKafkaState& state) {
    state.topics["nca.g1.0"] = {9, 3, {}, {}};
  });
  Start();
  ASSERT_TRUE(AwaitDrift("nca.g1.0", "has 9 partitions, wanted 2"));
  const auto image = replica->image();
  EXPECT_EQ(image->topic_counters(image->FindTopic("nca")).kafka_topics_ready,
            0u);
  EXPECT_EQ(
      kafka_.With([](auto& s) { return s.topics["nca.g1.0"].partitions; }), 9u);
}

TEST_F(CoordinatorTest, ShowsWhyATopicCannotBeCreated) {
  kafka_.With([](FakeKafkaState& state) {
    state.refuse_create = absl::PermissionDeniedError("not allowed");
  });
  Start();
  AddCluster("a", "a:1");
  CreateTopic("nca", v1::TOPIC_KIND_UNICAST);
  ASSERT_TRUE(AwaitDrift("nca.g1.0", "can't be created: not allowed"));
  kafka_.With(
      [](FakeKafkaState& state) { state.refuse_create = absl::OkStatus(); });
  ASSERT_TRUE(AwaitReady("nca"));
  EXPECT_TRUE(AwaitDrift("nca.g1.0", ""));
}

TEST_F(CoordinatorTest, ReportsDriftAndItsEndAndOverridesNothing) {
  Start();
  AddCluster("a", "a:1");
  CreateTopic("nca", v1::TOPIC_KIND_UNICAST, 2);
  ASSERT_TRUE(AwaitReady("nca"));
  FakeTopic kept;
  kafka_.With([&](FakeKafkaState& state) {
    kept = state.topics["nca.g1.0"];
    state.topics["nca.g1.0"].partitions = 4;
    state.topics["nca.g1.0"].replication = 2;
  });
  ASSERT_TRUE(AwaitDrift("nca.g1.0",
                         "has 4 partitions, wanted 2; has replication 2, "
                         "wanted 3"));
  kafka_.With([](FakeKafkaState& state) { state.topics.erase("nca.g1.0"); });
  ASSERT_TRUE(AwaitDrift("nca.g1.0", "is missing in Kafka"));
  kafka_.With([&](FakeKafkaState& state) {
    EXPECT_TRUE(state.topics.empty());
    state.topics["nca.g1.0"] = kept;
    state.topics["nca.g1.0"].config["message.timestamp.before.max.ms"] =
        "9223372036854775807";
  });
  ASSERT_TRUE(AwaitDrift(
      "nca.g1.0",
      "message.timestamp.before.max.ms is 9223372036854775807, wanted at most "
      "60000"));
  kafka_.With([&](FakeKafkaState& state) { state.topics["nca.g1.0"] = kept; });
  ASSERT_TRUE(AwaitDrift("nca.g1.0", ""));
  EXPECT_GE(coordinator->stats().drift_found, 3u);
}

TEST_F(CoordinatorTest, DeletesDoomedTopics) {
  Start();
  AddCluster("a", "a:1");
  CreateTopic("nca", v1::TOPIC_KIND_UNICAST);
  ASSERT_TRUE(AwaitReady("nca"));
  DeleteTopic("nca");
  ASSERT_TRUE(Await([](const federation::Image& image) {
    return image.table(federation::Table::kKafkaTopics).empty();
  }));
  EXPECT_TRUE(kafka_.With([](auto& state) { return state.topics.empty(); }));
}

TEST_F(CoordinatorTest, AnotherKafkaIsLeftAlone) {
  Start();
  AddCluster("a", "a:1", "", "another-id");
  CreateTopic("nca", v1::TOPIC_KIND_UNICAST);
  ASSERT_TRUE(AwaitState("a", v1::SUB_CLUSTER_STATE_MISMATCHED));
  EXPECT_EQ(Row(*replica->image(), "a").reason,
            "Kafka cluster id is id-of-a:1, expected another-id");
  const int looks = kafka_.With([](auto& state) { return state.describes; });
  ASSERT_TRUE(Eventually([&] {
    return kafka_.With([](auto& state) { return state.describes; }) > looks + 3;
  }));
  EXPECT_EQ(Find("a"), nullptr);
  kafka_.With([](FakeKafkaState& state) {
    EXPECT_EQ(state.creates, 0);
    state.id = "another-id";
  });
  EXPECT_TRUE(AwaitState("a", v1::SUB_CLUSTER_STATE_ACTIVE));
  EXPECT_TRUE(AwaitReady("nca"));
}

TEST_F(CoordinatorTest, TwoNamesForOneKafkaAreAMismatch) {
  FakeKafka& other = AddFake("b:1");
  other.With([](FakeKafkaState& state) { state.id = "id-of-a:1"; });
  Start();
  AddCluster("a", "a:1");
  ASSERT_TRUE(AwaitState("a", v1::SUB_CLUSTER_STATE_ACTIVE));
  AddCluster("b", "b:1");
  ASSERT_TRUE(AwaitState("b", v1::SUB_CLUSTER_STATE_MISMATCHED));
  EXPECT_EQ(Row(*replica->image(), "b").reason,
            "Kafka cluster id-of-a:1 is registered as a already");
  EXPECT_EQ(Row(*replica->image(), "a").state, v1::SUB_CLUSTER_STATE_ACTIVE);
}

TEST_F(CoordinatorTest, UnreachableAndBack) {
  Start();
  AddCluster("a", "a:1");
  ASSERT_TRUE(AwaitState("a", v1::SUB_CLUSTER_STATE_ACTIVE));
  kafka_.With([](FakeKafkaState& state) {
    state.down = absl::UnavailableError("connection refused");
  });
  ASSERT_TRUE(AwaitState("a", v1::SUB_CLUSTER_STATE_UNREACHABLE));
  EXPECT_THAT(Row(*replica->image(), "a").reason,
              HasSubstr("connection refused"));
  EXPECT_TRUE(Eventually([&] { return Find("a") == nullptr; }));
  EXPECT_GE(coordinator->stats().failures, 3u);
  kafka_.With([](FakeKafkaState& state) { state.down = absl::OkStatus(); });
  EXPECT_TRUE(AwaitState("a", v1::SUB_CLUSTER_STATE_ACTIVE));
  EXPECT_TRUE(Eventually([&] { return Find("a") != nullptr; }));
  // Credentials are read again: the connection was made anew.
  EXPECT_GE(kafka_.With([](auto& state) { return state.connections; }), 2);
}

TEST_F(CoordinatorTest, PendingSaysWhyItIs) {
  Start();
  AddCluster("c", "nowhere:1");
  ASSERT_TRUE(Await([](const federation::Image& image) {
    return Row(image, "c").reason == "no such host";
  }));
  EXPECT_EQ(Row(*replica->image(), "c").state, v1::SUB_CLUSTER_STATE_PENDING);
}

// Sub-cluster b, whose Kafka was asked and does not answer.
class HangingClusterTest : public CoordinatorTest {
 protected:
  FakeKafka& AddHangingCluster() {
    FakeKafka& hanging = AddFake("b:1");
    hanging.With([](FakeKafkaState& state) { state.hang = true; });
    Start();
    AddCluster("b", "b:1");
    EXPECT_TRUE(Eventually([&] {
      return hanging.With([](auto& state) { return state.describes; }) > 0;
    }));
    return hanging;
  }
};

TEST_F(HangingClusterTest, AHangingOneDelaysNoOther) {
  FakeKafka& hanging = AddHangingCluster();
  AddCluster("a", "a:1");
  ASSERT_TRUE(AwaitState("a", v1::SUB_CLUSTER_STATE_ACTIVE));
  // Also while its worker is on its way out.
  v1::RemoveSubClusterRequest remove;
  remove.set_name("b");
  Commit(federation::PlanRemoveSubCluster, remove);
  AddFake("c:1");
  AddCluster("c", "c:1");
  EXPECT_TRUE(AwaitState("c", v1::SUB_CLUSTER_STATE_ACTIVE));
  hanging.With([](FakeKafkaState& state) { state.hang = false; });
}

// What changes while an image is held takes memory twice.
TEST_F(HangingClusterTest, AHangingOneHoldsNoImage) {
  FakeKafka& hanging = AddHangingCluster();
  const std::weak_ptr<const federation::Image> then = replica->image();
  AddCluster("a", "a:1");
  EXPECT_TRUE(Eventually([&] { return then.expired(); }));
  hanging.With([](FakeKafkaState& state) { state.hang = false; });
}

TEST_F(CoordinatorTest, NewBootstrapServersAreUsedAtOnce) {
  options.first_backoff = options.max_backoff = milliseconds(3'600'000);
  Start();
  AddCluster("c", "nowhere:1");
  ASSERT_TRUE(
      Eventually([&] { return coordinator->stats().failures.load() > 0; }));
  v1::UpdateSubClusterRequest update;
  update.set_name("c");
  update.set_bootstrap_servers("a:1");
  Commit(federation::PlanUpdateSubCluster, update);
  EXPECT_TRUE(AwaitState("c", v1::SUB_CLUSTER_STATE_ACTIVE));
}

TEST_F(CoordinatorTest, NewWorkIsDoneAtOnce) {
  options.interval = milliseconds(3'600'000);
  Start();
  AddCluster("a", "a:1");
  ASSERT_TRUE(AwaitState("a", v1::SUB_CLUSTER_STATE_ACTIVE));
  CreateTopic("nca", v1::TOPIC_KIND_UNICAST);
  EXPECT_TRUE(AwaitReady("nca"));
}

TEST_F(CoordinatorTest, PlansTheNextKafkaTopicAheadOfNeed) {
  Start();
  AddCluster("a", "a:1");
  CreateTopic("nca", v1::TOPIC_KIND_UNICAST, 2);  // room for 20 hosts each
  std::vector<std::string> hosts;
  hosts.reserve(17);
  for (int i = 0; i < 17; ++i) hosts.push_back("host-" + std::to_string(i));
  AddHosts(hosts);
  EXPECT_TRUE(Eventually([&] {
    return kafka_.With([](auto& s) { return s.topics.contains("nca.g1.1"); });
  }));
}

TEST_F(CoordinatorTest, EndsSessionsWhoseLeasesAreOver) {
  v1::OpenSessionRequest request;
  request.set_source(std::string(16, 's'));
  uint64_t session = 0;
  const auto opened =
      writer->Run([&](federation::Draft* draft) -> absl::StatusOr<std::string> {
        const auto answer =
            federation::PlanOpenSession(request, 1'000, 1'000, draft);
        if (!answer.ok()) return answer.status();
        session = answer->session_id();
        return std::string();
      });
  ASSERT_TRUE(opened.ok()) << opened.status();
  leases->Connected(session);
  leases->Disconnected(session);
  Start();
  EXPECT_EQ(replica->image()->table(federation::Table::kSessions).size(), 1u);
  lease_clock.Advance(LeaseOptions().session_ttl + milliseconds(1));
  ASSERT_TRUE(Await([](const federation::Image& image) {
    return image.table(federation::Table::kSessions).empty();
  }));
  EXPECT_TRUE(Eventually([&] { return leases->List().empty(); }));
  EXPECT_EQ(coordinator->stats().sessions_expired, 1u);
}

TEST_F(CoordinatorTest, PublishingAfterItsEndIsHarmless) {
  Start();
  AddCluster("a", "a:1");
  Stop();
  AddCluster("b", "b:1");
}

}  // namespace
}  // namespace kafed::controller
