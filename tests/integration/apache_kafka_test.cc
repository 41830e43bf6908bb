// KafkaCluster and the coordinator on Apache Kafka.
//
// Run by apache_kafka_test.py, which starts the clusters and says where they
// are: KAFED_TEST_KAFKA (bootstrap servers), KAFED_TEST_KAFKA_BROKERS (their
// number) and KAFED_TEST_KAFKA_PIDS (of the brokers, to stop and continue).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/controller/kafka_contract.h"
#include "tests/unit/controller/reconcile_bench.h"

namespace kafed::controller {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// A librdkafka producer as any other program would have one.
class OutsideClient {
 public:
  explicit OutsideClient(const std::string& bootstrap) {
    char error[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap.c_str(), error,
                      sizeof error);
    rd_kafka_conf_set_dr_msg_cb(conf, &OutsideClient::OnDelivery);
    rd_kafka_conf_set_opaque(conf, this);
    kafka_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
  }
  ~OutsideClient() { rd_kafka_destroy(kafka_); }

  // How the broker takes a message that was made at `timestamp_ms`.
  rd_kafka_resp_err_t Produce(const std::string& topic, int64_t timestamp_ms) {
    delivery_ = RD_KAFKA_RESP_ERR__IN_PROGRESS;
    const rd_kafka_resp_err_t queued = rd_kafka_producev(
        kafka_, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(0),
        RD_KAFKA_V_TIMESTAMP(timestamp_ms),
        RD_KAFKA_V_VALUE(const_cast<char*>("x"), 1),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (queued != RD_KAFKA_RESP_ERR_NO_ERROR) return queued;
    rd_kafka_flush(kafka_, static_cast<int>(kCallTimeout.count()));
    return delivery_;
  }

  void AddPartitions(const std::string& topic, size_t total) {
    char error[256];
    rd_kafka_NewPartitions_t* made =
        rd_kafka_NewPartitions_new(topic.c_str(), total, error, sizeof error);
    rd_kafka_queue_t* queue = rd_kafka_queue_new(kafka_);
    rd_kafka_CreatePartitions(kafka_, &made, 1, nullptr, queue);
    FinishAdmin(queue);
    rd_kafka_NewPartitions_destroy(made);
  }

  // Replaces all settings of a topic by one.
  void SetOnly(const std::string& topic, const char* name, const char* value) {
    rd_kafka_ConfigResource_t* resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str());
    rd_kafka_ConfigResource_set_config(resource, name, value);
    rd_kafka_queue_t* queue = rd_kafka_queue_new(kafka_);
    rd_kafka_AlterConfigs(kafka_, &resource, 1, nullptr, queue);
    FinishAdmin(queue);
    rd_kafka_ConfigResource_destroy(resource);
  }

 private:
  static void OnDelivery(rd_kafka_t* /*kafka*/,
                         const rd_kafka_message_t* message, void* self) {
    static_cast<OutsideClient*>(self)->delivery_ = message->err;
  }
  static void FinishAdmin(rd_kafka_queue_t* queue) {
    rd_kafka_event_t* event =
        rd_kafka_queue_poll(queue, static_cast<int>(kCallTimeout.count()));
    ASSERT_NE(event, nullptr);
    EXPECT_EQ(rd_kafka_event_error(event), RD_KAFKA_RESP_ERR_NO_ERROR)
        << rd_kafka_event_error_string(event);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
  }

  rd_kafka_t* kafka_ = nullptr;
  rd_kafka_resp_err_t delivery_ = RD_KAFKA_RESP_ERR_NO_ERROR;
};

class ApacheKafkaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_FALSE(bootstrap_.empty())
        << "KAFED_TEST_KAFKA is not set: run tests/integration/"
           "apache_kafka_test.py";
    std::istringstream pids(Environment("KAFED_TEST_KAFKA_PIDS"));
    for (pid_t pid = 0; pids >> pid;) pids_.push_back(pid);
    ASSERT_FALSE(pids_.empty());
    // Longer than one look takes on a machine that is busy.
    bench_.options.interval = milliseconds(100);
    bench_.options.settings_interval = milliseconds(100);
    KafkaClusterOptions options;
    options.name = "test";
    options.bootstrap_servers = bootstrap_;
    auto kafka = ConnectKafkaCluster(options);
    ASSERT_TRUE(kafka.ok()) << kafka.status();
    kafka_ = *std::move(kafka);
  }
  void TearDown() override { Signal(SIGCONT); }

  void Signal(int number) const {
    for (const pid_t pid : pids_) kill(pid, number);
  }
  uint32_t Brokers() const {
    return static_cast<uint32_t>(
        std::stoul(Environment("KAFED_TEST_KAFKA_BROKERS")));
  }
  // A sub-cluster with a logical topic whose Kafka topic is ready.
  void StartWith(const std::string& topic) {
    bench_.Start();
    bench_.AddCluster("a", bootstrap_);
    bench_.CreateTopic(topic, v1::TOPIC_KIND_UNICAST, 3);
    ASSERT_TRUE(bench_.AwaitReady(topic));
  }

  const std::string bootstrap_ = Environment("KAFED_TEST_KAFKA");
  std::vector<pid_t> pids_;
  std::unique_ptr<KafkaCluster> kafka_;
  ReconcileBench bench_;
};

TEST_F(ApacheKafkaTest, TopicLifeCycle) { CheckTopicLifeCycle(kafka_.get()); }

TEST_F(ApacheKafkaTest, WritesAndTellsTheEnd) {
  CheckWriteAndEndOffset(kafka_.get());
}

TEST_F(ApacheKafkaTest, RefusesATopicWithItsReason) {
  const NewKafkaTopic topic{"bad.g1.0", 1, 1, {{"no.such.setting", "1"}}};
  const auto created = kafka_->CreateTopics({{topic}}, kCallTimeout);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_TRUE(absl::IsInvalidArgument(created->front())) << created->front();
  EXPECT_THAT(std::string(created->front().message()),
              ::testing::HasSubstr("no.such.setting"));
}

TEST_F(ApacheKafkaTest, SettingsAreReallySet) {
  StartWith("settings");
  const std::vector<std::string> names = {"settings.g1.0"};
  const auto configs = kafka_->DescribeConfigs(names, kCallTimeout);
  ASSERT_TRUE(configs.ok()) << configs.status();
  auto config = configs->at("settings.g1.0");
  EXPECT_EQ(config["message.timestamp.type"], "CreateTime");
  EXPECT_EQ(config["message.timestamp.before.max.ms"], "60000");
  EXPECT_EQ(config["message.timestamp.after.max.ms"], "30000");
  EXPECT_EQ(config["retention.ms"], "604800000");
  EXPECT_EQ(config["cleanup.policy"], "delete");
  EXPECT_EQ(config["unclean.leader.election.enable"], "false");
  EXPECT_EQ(config["min.insync.replicas"], Brokers() >= 3 ? "2" : "1");
  const auto seen = kafka_->Describe(kCallTimeout);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_EQ(seen->brokers, Brokers());
  EXPECT_EQ(seen->topics.at("settings.g1.0").replication,
            std::min(3u, Brokers()));
}

TEST_F(ApacheKafkaTest, TheBrokerRefusesWhatAZombieWrites) {
  StartWith("fence");
  OutsideClient client(bootstrap_);
  const int64_t now = RealClock().Wall().count();
  EXPECT_EQ(client.Produce("fence.g1.0", now - 120'000),
            RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP);
  EXPECT_EQ(client.Produce("fence.g1.0", now + 120'000),
            RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP);
  EXPECT_EQ(client.Produce("fence.g1.0", now), RD_KAFKA_RESP_ERR_NO_ERROR);
}

TEST_F(ApacheKafkaTest, FindsWhatAnOutsideAdminChanged) {
  StartWith("drift");
  OutsideClient admin(bootstrap_);
  admin.AddPartitions("drift.g1.0", 5);
  ASSERT_TRUE(bench_.AwaitDrift("drift.g1.0", "has 5 partitions, wanted 3"));
  admin.SetOnly("drift.g1.0", "retention.ms", "1000000");
  EXPECT_TRUE(bench_.Await([&](const federation::Image& image) {
    bool found = false;
    image.table(federation::Table::kKafkaTopics)
        .ForEach([&](std::string_view, std::string_view value) {
          const auto row = DecodeRow<federation::KafkaTopic>(value);
          found |= row.drift.find("message.timestamp.before.max.ms is") !=
                   std::string::npos;
        });
    return found;
  }));
}

TEST_F(ApacheKafkaTest, DeletesWhatIsDoomed) {
  StartWith("doomed");
  bench_.DeleteTopic("doomed");
  ASSERT_TRUE(bench_.Await([](const federation::Image& image) {
    return image.table(federation::Table::kKafkaTopics).empty();
  }));
  EXPECT_TRUE(Eventually([&] {
    const auto seen = kafka_->Describe(kCallTimeout);
    return seen.ok() && !seen->topics.contains("doomed.g1.0");
  }));
}

TEST_F(ApacheKafkaTest, WritesMarkers) {
  StartWith("nca");
  bench_.CreateTopic("vpc", v1::TOPIC_KIND_MULTICAST);
  bench_.AddHosts({"host-1"});
  bench_.CreateVpc("blue");
  bench_.Join("blue", {"host-1"});
  ASSERT_TRUE(bench_.AwaitNoMarkers());
  const auto image = bench_.replica->image();
  const auto topic = image->FindTopic("nca");
  const auto target = image->binding(topic, "host-1")->targets.front();
  const auto end = kafka_->EndOffset(
      "nca.g1.0",
      image->partition(topic, target.partition)->Writable()->kafka_partition,
      kCallTimeout);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(*end, 1u);
}

TEST_F(ApacheKafkaTest, AnotherClusterThanExpectedIsLeftAlone) {
  bench_.Start();
  bench_.AddCluster("a", bootstrap_, "", "kNotThisClusterAtAllxx");
  bench_.CreateTopic("mismatch", v1::TOPIC_KIND_UNICAST);
  ASSERT_TRUE(bench_.AwaitState("a", v1::SUB_CLUSTER_STATE_MISMATCHED));
  const auto seen = kafka_->Describe(kCallTimeout);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_FALSE(seen->topics.contains("mismatch.g1.0"));
  EXPECT_EQ(bench_.Find("a"), nullptr);
}

TEST_F(ApacheKafkaTest, UnreachableThenBack) {
  bench_.options.call_timeout = milliseconds(1'000);
  bench_.Start();
  bench_.AddCluster("a", bootstrap_);
  ASSERT_TRUE(bench_.AwaitState("a", v1::SUB_CLUSTER_STATE_ACTIVE));
  Signal(SIGSTOP);
  ASSERT_TRUE(bench_.AwaitState("a", v1::SUB_CLUSTER_STATE_UNREACHABLE));
  Signal(SIGCONT);
  EXPECT_TRUE(bench_.AwaitState("a", v1::SUB_CLUSTER_STATE_ACTIVE));
}

}  // namespace
}  // namespace kafed::controller
