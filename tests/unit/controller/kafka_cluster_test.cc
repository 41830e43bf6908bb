// KafkaCluster on the embedded Kafka, and how it is made and refused.
#include "controller/kafka/kafka_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include "controller/kafka/kafka_handle.h"
#include "controller/kafka/librdkafka_cluster.h"
#include "tests/support/embedded_kafka_process.h"
#include "tests/unit/controller/kafka_contract.h"

namespace kafed::controller {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Text(const absl::Status& status) { return status.ToString(); }

class EmbeddedKafkaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto process = tests::EmbeddedKafkaProcess::Start(3);
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
    options_.name = "test";
    options_.bootstrap_servers = process_->bootstrap();
    options_.admin = "embedded:" + process_->control_path();
    auto kafka = ConnectKafkaCluster(options_);
    ASSERT_TRUE(kafka.ok()) << kafka.status();
    kafka_ = *std::move(kafka);
  }

  std::unique_ptr<tests::EmbeddedKafkaProcess> process_;
  KafkaClusterOptions options_;
  std::unique_ptr<KafkaCluster> kafka_;
};

TEST_F(EmbeddedKafkaTest, TopicLifeCycle) { CheckTopicLifeCycle(kafka_.get()); }

TEST_F(EmbeddedKafkaTest, WritesAndTellsTheEnd) {
  CheckWriteAndEndOffset(kafka_.get());
}

TEST_F(EmbeddedKafkaTest, DescribesIdAndBrokers) {
  const auto seen = kafka_->Describe(kCallTimeout);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_EQ(seen->cluster_id, *process_->ClusterId());
  EXPECT_EQ(seen->brokers, 3u);
  EXPECT_TRUE(seen->topics.empty());
}

TEST_F(EmbeddedKafkaTest, NeverConjuresUpATopic) {
  EXPECT_TRUE(absl::IsNotFound(
      kafka_->EndOffset("later.g1.0", 0, kCallTimeout).status()));
  const auto written =
      kafka_->Write({{MakeControlMessage("later.g1.0", 0, 1)}}, kCallTimeout);
  ASSERT_EQ(written.size(), 1u);
  EXPECT_TRUE(absl::IsNotFound(written[0].status()));
  // A topic that a client had asked for could not be created any more.
  EXPECT_TRUE(process_->Create("later.g1.0", 7).ok());
  const auto seen = kafka_->Describe(kCallTimeout);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_EQ(seen->topics.at("later.g1.0").partitions, 7u);
  EXPECT_TRUE(kafka_->EndOffset("later.g1.0", 6, kCallTimeout).ok());
  EXPECT_TRUE(absl::IsNotFound(
      kafka_->EndOffset("later.g1.0", 7, kCallTimeout).status()));
}

TEST_F(EmbeddedKafkaTest, EndsInTimeWhenNobodyAnswers) {
  process_->Pause();
  const milliseconds before = RealClock().Steady();
  const auto seen = kafka_->Describe(milliseconds(300));
  EXPECT_TRUE(absl::IsDeadlineExceeded(seen.status())) << seen.status();
  EXPECT_LT(RealClock().Steady() - before, milliseconds(10'000));
  process_->Resume();
  EXPECT_TRUE(Eventually([&] { return kafka_->Describe(kCallTimeout).ok(); }));
}

TEST_F(EmbeddedKafkaTest, SaysUnavailableWhenItIsGone) {
  process_->Kill();
  const auto seen = kafka_->Describe(milliseconds(500));
  EXPECT_TRUE(absl::IsUnavailable(seen.status())) << seen.status();
  KafkaClusterOptions plain = options_;
  plain.admin.clear();
  auto kafka = ConnectKafkaCluster(plain);
  ASSERT_TRUE(kafka.ok()) << kafka.status();
  const auto unseen = (*kafka)->Describe(milliseconds(500));
  EXPECT_TRUE(absl::IsUnavailable(unseen.status()) ||
              absl::IsDeadlineExceeded(unseen.status()))
      << unseen.status();
}

TEST_F(EmbeddedKafkaTest, UnreportedMessagesAreOfUnknownOutcome) {
  ASSERT_TRUE(process_->Create("slow.g1.0", 1).ok());
  ASSERT_TRUE(
      kafka_->Write({{MakeControlMessage("slow.g1.0", 0, 1)}}, kCallTimeout)[0]
          .ok());
  process_->Pause();
  const auto written = kafka_->Write({{MakeControlMessage("slow.g1.0", 0, 2)}},
                                     milliseconds(200));
  ASSERT_EQ(written.size(), 1u);
  EXPECT_EQ(written[0].status().code(), absl::StatusCode::kUnknown)
      << written[0].status();
  process_->Resume();
  EXPECT_TRUE(
      kafka_->Write({{MakeControlMessage("slow.g1.0", 0, 3)}}, kCallTimeout)[0]
          .ok());
}

TEST_F(EmbeddedKafkaTest, ADeadHandleIsKnown) {
  auto handle = KafkaHandle::Make(options_);
  ASSERT_TRUE(handle.ok()) << handle.status();
  EXPECT_FALSE((*handle)->dead());
  rd_kafka_test_fatal_error(
      (*handle)->get(), RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "test");
  EXPECT_TRUE((*handle)->dead());
}

TEST(ConnectTest, NamesWhatIsRefused) {
  KafkaClusterOptions options;
  options.name = "test";
  EXPECT_THAT(Text(ConnectKafkaCluster(options).status()),
              HasSubstr("bootstrap_servers: is empty"));
  options.bootstrap_servers = "127.0.0.1:1";
  options.admin = "zookeeper:x";
  EXPECT_THAT(Text(ConnectKafkaCluster(options).status()),
              HasSubstr("admin: 'zookeeper:x' is neither"));
}

TEST(ConnectTest, NamesThePropertyAndNotItsValue) {
  KafkaClusterOptions options;
  options.name = "test";
  options.bootstrap_servers = "127.0.0.1:1";
  options.security = {{"sasl.pasword", "hunter-two"}};
  absl::Status status = ConnectKafkaCluster(options).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(Text(status), HasSubstr("sasl.pasword: is not a property"));
  EXPECT_THAT(Text(status), Not(HasSubstr("hunter-two")));
  options.security = {{"security.protocol", "hunter-two"}};
  status = ConnectKafkaCluster(options).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(Text(status), HasSubstr("security.protocol: has a value that"));
  EXPECT_THAT(Text(status), Not(HasSubstr("hunter-two")));
}

TEST(KafkaHandleTest, ScrubsSecrets) {
  KafkaClusterOptions options;
  options.name = "test";
  options.bootstrap_servers = "127.0.0.1:1";
  options.security = {{"sasl.password", "hunter-two"},
                      {"sasl.username", "kafed"}};
  const auto handle = KafkaHandle::Make(options);
  ASSERT_TRUE(handle.ok()) << handle.status();
  EXPECT_EQ((*handle)->Scrub("a hunter-two b hunter-two"), "a *** b ***");
  EXPECT_EQ((*handle)->Scrub("user kafed"), "user kafed");
}

}  // namespace
}  // namespace kafed::controller
