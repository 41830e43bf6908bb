// The embedded cluster behaves as its protocol says, seen by real clients.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "tests/support/embedded_kafka_process.h"

namespace kafed::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr int kPollMs = 100;
constexpr int kTries = 300;

struct DestroyKafka {
  void operator()(rd_kafka_t* kafka) const { rd_kafka_destroy(kafka); }
};
using KafkaPtr = std::unique_ptr<rd_kafka_t, DestroyKafka>;

KafkaPtr MakeClient(rd_kafka_type_t type, const std::string& bootstrap) {
  char error[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap.c_str(), error,
                    sizeof(error));
  if (type == RD_KAFKA_CONSUMER) {
    rd_kafka_conf_set(conf, "group.id", "test", error, sizeof(error));
  }
  return KafkaPtr(rd_kafka_new(type, conf, error, sizeof(error)));
}

// Partitions of a topic as a client sees them; 0 if it does not.
int PartitionsSeenBy(rd_kafka_t* kafka, const char* name) {
  rd_kafka_topic_t* topic = rd_kafka_topic_new(kafka, name, nullptr);
  const rd_kafka_metadata_t* metadata = nullptr;
  int count = 0;
  if (rd_kafka_metadata(kafka, 0, topic, &metadata, kPollMs * kTries) ==
      RD_KAFKA_RESP_ERR_NO_ERROR) {
    if (metadata->topic_cnt == 1) count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
  }
  rd_kafka_topic_destroy(topic);
  return count;
}

void Produce(const std::string& bootstrap, const char* topic, int partition,
             const std::string& value) {
  KafkaPtr producer = MakeClient(RD_KAFKA_PRODUCER, bootstrap);
  ASSERT_EQ(rd_kafka_producev(
                producer.get(), RD_KAFKA_V_TOPIC(topic),
                RD_KAFKA_V_PARTITION(partition),
                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
                RD_KAFKA_V_END),
            RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_EQ(rd_kafka_flush(producer.get(), kPollMs * kTries),
            RD_KAFKA_RESP_ERR_NO_ERROR);
}

std::string ConsumeOne(const std::string& bootstrap, const char* topic,
                       int partition) {
  KafkaPtr consumer = MakeClient(RD_KAFKA_CONSUMER, bootstrap);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic, partition)->offset = 0;
  rd_kafka_assign(consumer.get(), list);
  rd_kafka_topic_partition_list_destroy(list);
  std::string value;
  for (int i = 0; i < kTries && value.empty(); ++i) {
    rd_kafka_message_t* message =
        rd_kafka_consumer_poll(consumer.get(), kPollMs);
    if (message == nullptr) continue;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      value.assign(static_cast<char*>(message->payload), message->len);
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_consumer_close(consumer.get());
  return value;
}

class EmbeddedKafkaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto kafka = EmbeddedKafkaProcess::Start(2);
    ASSERT_TRUE(kafka.ok()) << kafka.status();
    kafka_ = *std::move(kafka);
  }

  std::unique_ptr<EmbeddedKafkaProcess> kafka_;
};

TEST_F(EmbeddedKafkaTest, ListsOnlyWhatWasCreated) {
  ASSERT_TRUE(kafka_->Create("nca.g1.0", 50).ok());
  ASSERT_TRUE(kafka_->Create("elb.g1.0", 1).ok());
  KafkaPtr client = MakeClient(RD_KAFKA_PRODUCER, kafka_->bootstrap());
  EXPECT_EQ(PartitionsSeenBy(client.get(), "conjured"), 4);
  auto topics = kafka_->List();
  ASSERT_TRUE(topics.ok()) << topics.status();
  EXPECT_THAT(*topics, ElementsAre(Pair("elb.g1.0", 1), Pair("nca.g1.0", 50)));
  EXPECT_EQ(PartitionsSeenBy(client.get(), "nca.g1.0"), 50);
}

TEST_F(EmbeddedKafkaTest, RefusesToCreateTwiceOrWhatAClientConjuredUp) {
  ASSERT_TRUE(kafka_->Create("once", 3).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(kafka_->Create("once", 3)));
  KafkaPtr client = MakeClient(RD_KAFKA_PRODUCER, kafka_->bootstrap());
  ASSERT_EQ(PartitionsSeenBy(client.get(), "conjured"), 4);
  const absl::Status status = kafka_->Create("conjured", 3);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("a client asked"));
}

TEST_F(EmbeddedKafkaTest, AnswersBadCommandsWithWhatWouldBeRight) {
  for (const char* line : {"CREATE", "CREATE a b", "CREATE a 0", "CREATE a/b 1",
                           "DOWN 3", "RTT 1 -5", "what"}) {
    auto answer = kafka_->Command(line);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_THAT(*answer, HasSubstr("ERROR ")) << line;
  }
  auto topics = kafka_->List();
  ASSERT_TRUE(topics.ok());
  EXPECT_THAT(*topics, SizeIs(0));
}

TEST_F(EmbeddedKafkaTest, KeepsItsClusterId) {
  auto first = kafka_->ClusterId();
  auto second = kafka_->ClusterId();
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_THAT(*first, SizeIs(22));
  EXPECT_EQ(*first, *second);
  auto other = EmbeddedKafkaProcess::Start();
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_NE(*(*other)->ClusterId(), *first);
}

TEST_F(EmbeddedKafkaTest, CarriesAMessageToTheNamedPartition) {
  ASSERT_TRUE(kafka_->Create("vpc.g1.0", 8).ok());
  Produce(kafka_->bootstrap(), "vpc.g1.0", 6, "hello");
  EXPECT_EQ(ConsumeOne(kafka_->bootstrap(), "vpc.g1.0", 6), "hello");
}

TEST_F(EmbeddedKafkaTest, CarriesAMessageAfterABrokerCameBack) {
  ASSERT_TRUE(kafka_->Create("vpc.g1.0", 2).ok());
  ASSERT_TRUE(kafka_->SetRoundTripMs(1, 1).ok());
  ASSERT_TRUE(kafka_->SetDown(1).ok());
  ASSERT_TRUE(kafka_->SetUp(1).ok());
  Produce(kafka_->bootstrap(), "vpc.g1.0", 0, "again");
  EXPECT_EQ(ConsumeOne(kafka_->bootstrap(), "vpc.g1.0", 0), "again");
}

TEST_F(EmbeddedKafkaTest, IsGoneAfterKill) {
  const pid_t pid = kafka_->pid();
  kafka_->Kill();
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_TRUE(absl::IsUnavailable(kafka_->Create("late", 1)));
}

TEST_F(EmbeddedKafkaTest, EndsOnQuit) {
  auto answer = kafka_->Command("QUIT");
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(*answer, "OK");
  // The end of the stream is the end of the process.
  EXPECT_TRUE(absl::IsUnavailable(kafka_->Command("ID").status()));
}

// In a child: starts one, writes down its folder, and waits to be killed.
[[noreturn]] void BeKilledWithOne(int report) {
  auto kafka = EmbeddedKafkaProcess::Start();
  if (!kafka.ok()) _exit(1);
  const std::string folder =
      std::filesystem::path((*kafka)->control_path()).parent_path();
  if (write(report, folder.data(), folder.size()) < 0) _exit(1);
  close(report);
  while (true) pause();
}

TEST(EmbeddedKafkaProcessTest, LeavesNoFolderWhenItsParentIsKilled) {
  int report[2];
  ASSERT_EQ(pipe(report), 0);
  const pid_t child = fork();
  if (child == 0) BeKilledWithOne(report[1]);
  close(report[1]);
  std::array<char, 256> text{};
  const ssize_t size = read(report[0], text.data(), text.size());
  close(report[0]);
  ASSERT_EQ(kill(child, SIGKILL), 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  ASSERT_GT(size, 0);
  const std::filesystem::path folder(
      std::string(text.data(), static_cast<size_t>(size)));
  for (int i = 0; i < kTries && std::filesystem::exists(folder); ++i) {
    poll(nullptr, 0, kPollMs);
  }
  EXPECT_FALSE(std::filesystem::exists(folder)) << folder;
}

TEST(EmbeddedKafkaProcessTest, LeavesNoFolderAtTheEnd) {
  std::filesystem::path folder;
  for (const bool killed : {false, true}) {
    auto kafka = EmbeddedKafkaProcess::Start();
    ASSERT_TRUE(kafka.ok()) << kafka.status();
    folder = std::filesystem::path((*kafka)->control_path()).parent_path();
    EXPECT_TRUE(std::filesystem::exists(folder));
    if (killed) (*kafka)->Kill();
    kafka->reset();
    EXPECT_FALSE(std::filesystem::exists(folder)) << folder;
  }
}

}  // namespace
}  // namespace kafed::tests
