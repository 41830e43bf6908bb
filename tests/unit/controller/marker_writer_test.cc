// Membership markers: what they say, where they go, and when they are settled.
#include "controller/reconcile/marker_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/controller/kafka_contract.h"
#include "tests/unit/controller/reconcile_bench.h"

namespace kafed::controller {
namespace {

struct SeenMarker {
  KafkaHeader header;
  v1::MembershipMarker value;
  std::string key;
  std::string place;
};

// name0, name1 and on.
std::vector<std::string> Numbered(const std::string& name, size_t count) {
  std::vector<std::string> names(count);
  for (size_t i = 0; i < count; ++i) names[i] = name + std::to_string(i);
  return names;
}

class MarkerWriterTest : public ::testing::Test, protected ReconcileBench {
 protected:
  void SetUp() override {
    AddCluster("a", "a:1");
    CreateTopic("nca", v1::TOPIC_KIND_UNICAST);
    CreateTopic("vpc", v1::TOPIC_KIND_MULTICAST);
    AddHosts({"host-1", "host-2", "host-3"});
    CreateVpc("blue");
  }

  // Every control message in Kafka.
  std::vector<SeenMarker> Markers() {
    return kafka_.With([](FakeKafkaState& state) {
      std::vector<SeenMarker> markers;
      for (const auto& [name, topic] : state.topics) {
        for (const auto& [partition, messages] : topic.messages) {
          for (const ControlMessage& message : messages) {
            SeenMarker marker;
            marker.header = *DecodeKafkaHeader(message.header);
            EXPECT_TRUE(marker.value.ParseFromString(message.value));
            marker.key = message.key;
            marker.place = name + "/" + std::to_string(partition);
            markers.push_back(std::move(marker));
          }
        }
      }
      return markers;
    });
  }
  size_t Pending() const {
    return replica->image()->table(federation::Table::kPendingMarkers).size();
  }

  FakeKafka& kafka_ = AddFake("a:1");
};

TEST_F(MarkerWriterTest, TellsWhoJoinedWhereToRead) {
  Join("blue", {"host-1"});
  Start();
  ASSERT_TRUE(AwaitNoMarkers());
  const auto markers = Markers();
  ASSERT_EQ(markers.size(), 1u);
  const SeenMarker& marker = markers[0];
  EXPECT_EQ(marker.header.kind, MessageKind::kSubscribe);
  EXPECT_EQ(marker.header.epoch, federation::FirstEpoch(1).value());
  EXPECT_EQ(marker.header.sequence, 1u);
  EXPECT_EQ(marker.key, "host-1");
  EXPECT_EQ(marker.value.host(), "host-1");
  EXPECT_EQ(marker.value.vpc(), "blue");
  EXPECT_EQ(marker.value.membership_version(), 1u);
  ASSERT_EQ(marker.value.chains_size(), 1);
  const v1::MembershipChain& chain = marker.value.chains(0);
  EXPECT_EQ(chain.topic(), "vpc");
  EXPECT_EQ(chain.sub_cluster(), "a");
  EXPECT_EQ(chain.kafka_topic(), "vpc.g1.0");
  EXPECT_EQ(chain.epoch(), federation::FirstEpoch(1).value());

  // It stands in the partition that the host is bound to.
  const auto image = replica->image();
  const auto topic = image->FindTopic("nca");
  const auto target = image->binding(topic, "host-1")->targets.front();
  const auto partition = image->partition(topic, target.partition);
  EXPECT_EQ(
      marker.place,
      "nca.g1.0/" + std::to_string(partition->Writable()->kafka_partition));
}

TEST_F(MarkerWriterTest, TellsWhoLeft) {
  Start();
  Join("blue", {"host-1", "host-2"});
  ASSERT_TRUE(AwaitNoMarkers());
  Leave("blue", {"host-2"});
  ASSERT_TRUE(AwaitNoMarkers());
  const auto markers = Markers();
  ASSERT_EQ(markers.size(), 3u);
  const auto left = std::find_if(
      markers.begin(), markers.end(), [](const SeenMarker& marker) {
        return marker.header.kind == MessageKind::kUnsubscribe;
      });
  ASSERT_NE(left, markers.end());
  EXPECT_EQ(left->value.host(), "host-2");
  EXPECT_EQ(left->value.membership_version(), 2u);
  EXPECT_EQ(left->value.chains_size(), 0);
  // One source, a rising sequence.
  EXPECT_EQ(left->header.sequence, 3u);
  for (const SeenMarker& marker : markers) {
    EXPECT_EQ(marker.header.source, markers[0].header.source);
  }
  EXPECT_EQ(coordinator->stats().markers_written, 3u);
}

TEST_F(MarkerWriterTest, JoinThenLeaveTellsOnlyTheLast) {
  Join("blue", {"host-1"});
  Leave("blue", {"host-1"});
  Start();
  ASSERT_TRUE(AwaitNoMarkers());
  const auto markers = Markers();
  ASSERT_EQ(markers.size(), 1u);
  EXPECT_EQ(markers[0].header.kind, MessageKind::kUnsubscribe);
}

TEST_F(MarkerWriterTest, WaitsForTheKafkaTopic) {
  kafka_.With([](FakeKafkaState& state) {
    state.refuse_create = absl::PermissionDeniedError("no");
  });
  Join("blue", {"host-1"});
  Start();
  ASSERT_TRUE(AwaitDrift("nca.g1.0", "can't be created: no"));
  EXPECT_EQ(Pending(), 1u);
  kafka_.With(
      [](FakeKafkaState& state) { state.refuse_create = absl::OkStatus(); });
  EXPECT_TRUE(AwaitNoMarkers());
  EXPECT_EQ(Markers().size(), 1u);
}

TEST_F(MarkerWriterTest, RetriesWhatCouldNotBeWritten) {
  kafka_.With([](FakeKafkaState& state) {
    state.refuse_write = absl::UnknownError("it may have been persisted");
  });
  Start();
  ASSERT_TRUE(AwaitReady("nca"));
  Join("blue", {"host-1"});
  ASSERT_TRUE(Eventually([&] {
    return kafka_.With([](auto& state) { return state.refused_writes; }) > 1;
  }));
  EXPECT_EQ(Pending(), 1u);
  kafka_.With(
      [](FakeKafkaState& state) { state.refuse_write = absl::OkStatus(); });
  EXPECT_TRUE(AwaitNoMarkers());
  EXPECT_EQ(Markers().size(), 1u);
}

TEST_F(MarkerWriterTest, ABadPartitionDoesNotHoldUpOthers) {
  CreateTopic("other", v1::TOPIC_KIND_RESOURCE);
  Start();
  ASSERT_TRUE(AwaitReady("nca"));
  const std::vector<std::string> hosts = Numbered("h", 40);
  AddHosts(hosts);
  ASSERT_TRUE(AwaitReady("nca"));
  // The first 20 hosts are on nca.g1.0, the others on later ones.
  kafka_.With([](FakeKafkaState& state) { state.bad_topic = "nca.g1.0"; });
  Join("blue", hosts);
  ASSERT_TRUE(Await([&](const federation::Image& image) {
    return image.table(federation::Table::kPendingMarkers).size() <= 20;
  }));
  EXPECT_GT(Pending(), 0u);
  kafka_.With([](FakeKafkaState& state) { state.bad_topic.clear(); });
  EXPECT_TRUE(AwaitNoMarkers());
}

TEST_F(MarkerWriterTest, MarkersOfRemovedHostsAreSettled) {
  kafka_.With([](FakeKafkaState& state) {
    state.down = absl::UnavailableError("down");
  });
  Start();
  Join("blue", {"host-1", "host-2"});
  const auto removed =
      writer->Run([](federation::Draft* draft) -> absl::StatusOr<std::string> {
        const std::vector<std::string> ids = {"host-1"};
        const absl::Status status =
            federation::PlanRemoveHosts(ids, true, draft);
        if (!status.ok()) return status;
        return std::string();
      });
  ASSERT_TRUE(removed.ok()) << removed.status();
  // Although Kafka is down: there is nobody to tell.
  EXPECT_TRUE(Await([](const federation::Image& image) {
    return image.table(federation::Table::kPendingMarkers).size() == 1;
  }));
}

TEST_F(MarkerWriterTest, ThousandsAreWrittenInBatches) {
  Start();
  const std::vector<std::string> hosts = Numbered("many-", 2'500);
  AddHosts(hosts);
  ASSERT_TRUE(AwaitReady("nca"));
  Join("blue", hosts);
  ASSERT_TRUE(AwaitNoMarkers());
  EXPECT_EQ(Markers().size(), 2'500u);
}

TEST(MarkersWrittenOfTest, GroupsByVpcAndVersion) {
  std::vector<PlacedMarker> markers;
  for (const auto& [vpc, host, version] :
       {std::tuple{"blue", "h1", 1}, std::tuple{"blue", "h2", 2},
        std::tuple{"red", "h1", 1}, std::tuple{"blue", "h3", 1}}) {
    PlacedMarker marker;
    marker.vpc = vpc;
    marker.host = host;
    marker.marker.version = static_cast<uint64_t>(version);
    markers.push_back(marker);
  }
  const auto records = MarkersWrittenOf(markers);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].markers_written().hosts_size(), 2);
  EXPECT_EQ(records[1].markers_written().membership_version(), 2u);
  EXPECT_EQ(records[2].markers_written().vpc(), "red");
}

}  // namespace
}  // namespace kafed::controller
