// End to end on the embedded Kafka: what an operator wants appears in Kafka,
// and a plain Kafka client reads the marker of a host that joined a VPC.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include "tests/support/embedded_kafka_process.h"
#include "tests/unit/controller/kafka_contract.h"
#include "tests/unit/controller/reconcile_bench.h"

namespace kafed::controller {
namespace {

// The first message of a Kafka partition: header and value.
std::pair<std::string, std::string> FirstMessage(const std::string& bootstrap,
                                                 const std::string& topic,
                                                 uint32_t partition) {
  char error[256];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap.c_str(), error,
                    sizeof error);
  rd_kafka_conf_set(conf, "group.id", "test", error, sizeof error);
  rd_kafka_t* consumer =
      rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic.c_str(),
                                    static_cast<int32_t>(partition))
      ->offset = 0;
  rd_kafka_assign(consumer, list);
  rd_kafka_topic_partition_list_destroy(list);
  std::pair<std::string, std::string> found;
  for (int i = 0; i < 300 && found.first.empty(); ++i) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, 100);
    if (message == nullptr) continue;
    rd_kafka_headers_t* headers = nullptr;
    const void* header = nullptr;
    size_t size = 0;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR &&
        rd_kafka_message_headers(message, &headers) ==
            RD_KAFKA_RESP_ERR_NO_ERROR &&
        rd_kafka_header_get_last(headers, kKafkaHeaderName, &header, &size) ==
            RD_KAFKA_RESP_ERR_NO_ERROR) {
      found = {{static_cast<const char*>(header), size},
               {static_cast<const char*>(message->payload), message->len}};
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
  return found;
}

TEST(ReconcileEmbeddedTest, TopicsAppearAndMarkersAreRead) {
  auto process = tests::EmbeddedKafkaProcess::Start(3);
  ASSERT_TRUE(process.ok()) << process.status();
  ReconcileBench bench;
  bench.Start();
  bench.AddCluster("a", (*process)->bootstrap(),
                   "embedded:" + (*process)->control_path());
  bench.CreateTopic("nca", v1::TOPIC_KIND_UNICAST, 5);
  bench.CreateTopic("vpc", v1::TOPIC_KIND_MULTICAST, 3);
  bench.AddHosts({"host-1", "host-2"});
  bench.CreateVpc("blue");
  bench.Join("blue", {"host-1"});
  ASSERT_TRUE(bench.AwaitReady("nca"));
  ASSERT_TRUE(bench.AwaitReady("vpc"));
  EXPECT_EQ(bench.Row(*bench.replica->image(), "a").kafka_cluster_id,
            *(*process)->ClusterId());
  const auto topics = (*process)->List();
  ASSERT_TRUE(topics.ok()) << topics.status();
  EXPECT_EQ(topics->at("nca.g1.0"), 5);
  EXPECT_EQ(topics->at("vpc.g1.0"), 3);

  ASSERT_TRUE(bench.AwaitNoMarkers());
  const auto image = bench.replica->image();
  const auto topic = image->FindTopic("nca");
  const auto target = image->binding(topic, "host-1")->targets.front();
  const auto partition = image->partition(topic, target.partition);
  const auto [header, value] =
      FirstMessage((*process)->bootstrap(), "nca.g1.0",
                   partition->Writable()->kafka_partition);
  const auto decoded = DecodeKafkaHeader(header);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->kind, MessageKind::kSubscribe);
  v1::MembershipMarker marker;
  ASSERT_TRUE(marker.ParseFromString(value));
  EXPECT_EQ(marker.host(), "host-1");
  EXPECT_EQ(marker.vpc(), "blue");
  ASSERT_EQ(marker.chains_size(), 1);
  EXPECT_EQ(marker.chains(0).kafka_topic(), "vpc.g1.0");
  EXPECT_EQ(marker.chains(0).sub_cluster(), "a");

  // What AddVpcHosts asks before it plans.
  const auto kafka = bench.Find("a");
  ASSERT_NE(kafka, nullptr);
  const auto end = kafka->EndOffset(
      "nca.g1.0", partition->Writable()->kafka_partition, kCallTimeout);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(*end, 1u);
}

TEST(ReconcileEmbeddedTest, APausedKafkaIsUnreachableAndComesBack) {
  auto process = tests::EmbeddedKafkaProcess::Start(1);
  ASSERT_TRUE(process.ok()) << process.status();
  ReconcileBench bench;
  bench.options.call_timeout = milliseconds(300);
  bench.Start();
  bench.AddCluster("a", (*process)->bootstrap(),
                   "embedded:" + (*process)->control_path());
  ASSERT_TRUE(bench.AwaitState("a", v1::SUB_CLUSTER_STATE_ACTIVE));
  (*process)->Pause();
  ASSERT_TRUE(bench.AwaitState("a", v1::SUB_CLUSTER_STATE_UNREACHABLE));
  (*process)->Resume();
  ASSERT_TRUE(bench.AwaitState("a", v1::SUB_CLUSTER_STATE_ACTIVE));
}

}  // namespace
}  // namespace kafed::controller
