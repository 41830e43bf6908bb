// The Producer over embedded Kafka clusters and a node behind a real port.
#include "client/producer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "tests/support/embedded_kafka_process.h"
#include "tests/unit/client/fake_routing_server.h"
#include "tests/unit/client/kafka_reader.h"

namespace kafed::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using tests::EmbeddedKafkaProcess;

constexpr milliseconds kPatience{60'000};

class ProducerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"a", "b"}) {
      auto kafka = EmbeddedKafkaProcess::Start(1);
      ASSERT_TRUE(kafka.ok()) << kafka.status();
      kafka_[name] = *std::move(kafka);
      ASSERT_TRUE(kafka_[name]->Create("nca.g1.0", 4).ok());
    }
    node_ = FakeNode::Create();
    node_->Apply({SubClusterRowOf(1, "a", kafka_["a"]->bootstrap()),
                  SubClusterRowOf(2, "b", kafka_["b"]->bootstrap()),
                  TopicRowOf(1, "nca", v1::TOPIC_KIND_UNICAST),
                  TopicRowOf(2, "vpc", v1::TOPIC_KIND_MULTICAST),
                  KafkaTopicRowOf(1, 1, "nca.g1.0"),
                  KafkaTopicRowOf(2, 2, "nca.g1.0"),
                  PartitionRowOf(1, 0, 1, 1, 0), PartitionRowOf(1, 1, 2, 2, 1),
                  KeyRowOf(1, "h1", {0}), KeyRowOf(1, "h2", {1}),
                  PartitionRowOf(2, 0, 1, 1, 2), PartitionRowOf(2, 1, 2, 2, 2),
                  KeyRowOf(2, "v1", {0, 1})});
    server_ = std::make_unique<FakeRoutingServer>(node_);
    options_.mirror.nodes = {server_->address()};
    options_.mirror.backoff_max = milliseconds(50);
  }
  void Start() {
    auto producer = Producer::Create(options_);
    ASSERT_TRUE(producer.ok()) << producer.status();
    producer_ = *std::move(producer);
  }
  absl::Status Send(const std::string& key, const std::string& payload) {
    return producer_->Produce(key, payload, {},
                              [this](const DeliveryReport& report) {
                                absl::MutexLock lock(&mutex_);
                                reports_.push_back(report);
                              });
  }
  std::vector<std::string> Payloads(const char* name, int partition,
                                    size_t count) {
    std::vector<std::string> payloads;
    for (const KafkaMessage& message : ReadPartition(
             kafka_[name]->bootstrap(), "nca.g1.0", partition, count)) {
      payloads.push_back(message.payload);
    }
    return payloads;
  }

  std::map<std::string, std::unique_ptr<EmbeddedKafkaProcess>> kafka_;
  std::shared_ptr<FakeNode> node_;
  std::unique_ptr<FakeRoutingServer> server_;
  ProducerOptions options_;
  std::unique_ptr<Producer> producer_;
  absl::Mutex mutex_;
  std::vector<DeliveryReport> reports_;
};

TEST_F(ProducerTest, WritesKeyHeaderAndUserHeadersToTheNamedPartition) {
  Start();
  ASSERT_TRUE(producer_->Produce("nca/h2", "hello", {{"trace", "t1"}}).ok());
  ASSERT_TRUE(producer_->Flush(kPatience).ok());
  const auto messages =
      ReadPartition(kafka_["b"]->bootstrap(), "nca.g1.0", 1, 1);
  ASSERT_THAT(messages, SizeIs(1));
  EXPECT_EQ(messages[0].key, "h2");
  EXPECT_EQ(messages[0].payload, "hello");
  EXPECT_THAT(messages[0].headers, SizeIs(2));
  EXPECT_EQ(messages[0].header.source, producer_->source());
  EXPECT_EQ(messages[0].header.sequence, 1u);
}

TEST_F(ProducerTest, AMessageThatIsTooLargeFailsAloneAndAtOnce) {
  Start();
  ASSERT_TRUE(Send("nca/h1", "1").ok());
  const absl::Status refused = Send("nca/h1", std::string(1'100'000, 'x'));
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_THAT(refused.ToString(), testing::HasSubstr("at most 1000000"));
  // Right by our count, too large by Kafka's: its report says so.
  std::vector<Header> headers(5'000, {"n", "v"});
  ASSERT_TRUE(producer_
                  ->Produce("nca/h1", std::string(985'000, 'x'), headers,
                            [this](const DeliveryReport& report) {
                              absl::MutexLock lock(&mutex_);
                              reports_.push_back(report);
                            })
                  .ok());
  ASSERT_TRUE(Send("nca/h1", "2").ok());
  ASSERT_TRUE(producer_->Flush(kPatience).ok());
  EXPECT_THAT(Payloads("a", 0, 2), ElementsAre("1", "2"));
  ASSERT_THAT(reports_, SizeIs(3));
  EXPECT_EQ(std::count_if(reports_.begin(), reports_.end(),
                          [](const DeliveryReport& report) {
                            return absl::IsInvalidArgument(report.status);
                          }),
            1);
}

TEST_F(ProducerTest, KeepsTheOrderOfAKeyUnderFourThreads) {
  Start();
  constexpr int kEach = 2'000;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        ASSERT_TRUE(Send(i % 2 ? "nca/h1" : "nca/h2",
                         std::to_string(t) + ":" + std::to_string(i))
                        .ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(producer_->Flush(kPatience).ok());
  const auto messages =
      ReadPartition(kafka_["a"]->bootstrap(), "nca.g1.0", 0, 2 * kEach);
  ASSERT_THAT(messages, SizeIs(2 * kEach));
  std::map<int, int> last;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (i > 0) {
      ASSERT_LT(messages[i - 1].header.sequence, messages[i].header.sequence);
    }
    int thread = 0;
    int number = 0;
    ASSERT_EQ(
        std::sscanf(messages[i].payload.c_str(), "%d:%d", &thread, &number), 2);
    ASSERT_LE(last[thread], number);
    last[thread] = number;
  }
  EXPECT_EQ(producer_->stats().acknowledged, 4u * kEach);
  ASSERT_TRUE(producer_->Close(kPatience).ok());
  const auto closed = node_->closed();
  ASSERT_THAT(closed, SizeIs(1));
  uint64_t counted = 0;
  for (const auto& count : closed[0].counts()) {
    counted += count.acknowledged();
  }
  EXPECT_EQ(counted, 4u * kEach);
}

TEST_F(ProducerTest, SendsAMulticastMessageOnceToEachHome) {
  Start();
  ASSERT_TRUE(Send("vpc/v1", "m").ok());
  ASSERT_TRUE(producer_->Flush(kPatience).ok());
  EXPECT_THAT(Payloads("a", 2, 1), ElementsAre("m"));
  EXPECT_THAT(Payloads("b", 2, 1), ElementsAre("m"));
  ASSERT_THAT(reports_, SizeIs(1));
  EXPECT_THAT(reports_[0].targets, SizeIs(2));
}

TEST_F(ProducerTest, HoldsAKeyAndGoesOnInOrderElsewhere) {
  Start();
  ASSERT_TRUE(Send("nca/h1", "1").ok());
  node_->Apply({PartitionRowOf(1, 0, 1, 1, 0, 1, v1::SEGMENT_STATE_CLOSING)});
  ASSERT_TRUE(node_->WaitAcknowledged(2));
  ASSERT_TRUE(Send("nca/h1", "2").ok());
  ASSERT_TRUE(Send("nca/h1", "3").ok());
  EXPECT_EQ(producer_->stats().waiting, 2u);
  node_->Apply({PartitionRowOf(1, 0, 2, 2, 3, 2)});
  ASSERT_TRUE(producer_->Flush(kPatience).ok());
  EXPECT_THAT(Payloads("a", 0, 1), ElementsAre("1"));
  EXPECT_THAT(Payloads("b", 3, 2), ElementsAre("2", "3"));
}

TEST_F(ProducerTest, StopsWithANamedErrorWhenItsLeaseEnds) {
  node_->SetLeases(milliseconds(300), milliseconds(300));
  Start();
  ASSERT_TRUE(Send("nca/h1", "1").ok());
  node_->AnswerLeases(false);
  absl::Status status;
  const milliseconds start = RealClock().Steady();
  while (status.ok() && RealClock().Steady() - start < kPatience) {
    status = Send("nca/h1", "2");
    std::this_thread::yield();
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("lease"));
  node_->AnswerLeases(true);
  while (!status.ok() && RealClock().Steady() - start < kPatience) {
    status = Send("nca/h1", "3");
    std::this_thread::yield();
  }
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(producer_->Flush(kPatience).ok());
}

TEST_F(ProducerTest, ADeadSubClusterStopsOnlyItsOwnKeys) {
  options_.message_timeout = milliseconds(1'500);
  options_.sub_cluster_buffer_bytes = 20'000;
  Start();
  ASSERT_TRUE(Send("nca/h1", "before").ok());
  ASSERT_TRUE(producer_->Flush(kPatience).ok());
  kafka_["a"]->Kill();
  absl::Status full;
  while (full.ok()) full = Send("nca/h1", std::string(1'000, 'x'));
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(Send("nca/h2", std::to_string(i)).ok());
  }
  EXPECT_THAT(Payloads("b", 1, 10), SizeIs(10));
  ASSERT_TRUE(producer_->Flush(kPatience).ok());
  const ProducerStats stats = producer_->stats();
  EXPECT_EQ(stats.acknowledged, 11u);
  EXPECT_EQ(stats.failed, stats.accepted - 11);
}

TEST_F(ProducerTest, GoesOnWhileTheNodeIsDown) {
  Start();
  server_.reset();
  ASSERT_TRUE(Send("nca/h1", "1").ok());
  ASSERT_TRUE(producer_->Flush(kPatience).ok());
  EXPECT_THAT(Payloads("a", 0, 1), ElementsAre("1"));
}

TEST_F(ProducerTest, GoesOnAtANodeThatTheFirstOneNamed) {
  const FakeRoutingServer second(node_);
  node_->SetNodes(NodesOf(1, {{second.address(), ""}}));
  // Nobody is at the other one.
  options_.mirror.nodes = {"127.0.0.1:1", server_->address()};
  options_.mirror.nodes_interval = milliseconds(10);
  Start();
  // Asked again: the first answer is known.
  ASSERT_TRUE(node_->WaitNodesAsked(2));
  server_.reset();
  node_->Apply({KeyRowOf(1, "h3", {0})});
  ASSERT_TRUE(node_->WaitAcknowledged(node_->index()));
  EXPECT_EQ(node_->sessions_opened(), 1u);
  ASSERT_TRUE(Send("nca/h3", "1").ok());
  ASSERT_TRUE(producer_->Flush(kPatience).ok());
  EXPECT_THAT(Payloads("a", 0, 1), ElementsAre("1"));
  EXPECT_TRUE(producer_->Close(kPatience).ok());
  EXPECT_EQ(node_->closed().size(), 1u);
}

TEST_F(ProducerTest, SaysWhatIsMissingAtTheStart) {
  options_.mirror.nodes = {"127.0.0.1:1"};
  options_.start_timeout = milliseconds(100);
  const auto producer = Producer::Create(options_);
  EXPECT_TRUE(absl::IsDeadlineExceeded(producer.status()));
  options_.mirror.nodes.clear();
  EXPECT_TRUE(absl::IsInvalidArgument(Producer::Create(options_).status()));
}

}  // namespace
}  // namespace kafed::client
