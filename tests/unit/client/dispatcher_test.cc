// Order, waiting, buffers and breakers of the Dispatcher, with outlets in
// memory and a clock that stands still.
#include "client/dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <thread>

#include "client/monitor.h"
#include "tests/unit/client/fake_node.h"

namespace kafed::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// What one outlet was given, until the test says what became of it.
class FakeOutlet final : public Outlet {
 public:
  explicit FakeOutlet(OutletSink sink) : sink_(std::move(sink)) {}
  absl::Status Send(const OutgoingMessage& message) override {
    MonitorLock lock(&mutex_);
    if (refuse_) return absl::UnavailableError("not now");
    Sent sent;
    sent.where = std::string(message.kafka_topic) + "/" +
                 std::to_string(message.kafka_partition);
    sent.key = message.key;
    sent.payload = message.payload;
    sent.header = *DecodeKafkaHeader(message.kafed_header);
    sent.token = message.token;
    under_way_.push_back(sent);
    all_.push_back(sent);
    return absl::OkStatus();
  }

  struct Sent {
    std::string where, key, payload;
    KafkaHeader header;
    void* token;
  };
  // Reports the oldest `count` copies.
  void Report(size_t count, Outcome outcome = Outcome::kAcknowledged,
              bool unhealthy = false) {
    std::vector<OutletReport> reports;
    {
      MonitorLock lock(&mutex_);
      for (; count > 0 && !under_way_.empty(); --count) {
        OutletReport report;
        report.token = under_way_.front().token;
        report.outcome = outcome;
        report.offset = next_offset_++;
        report.unhealthy = unhealthy;
        if (outcome != Outcome::kAcknowledged) {
          report.status = absl::UnavailableError("as the test says");
        }
        reports.push_back(report);
        under_way_.pop_front();
      }
    }
    sink_(reports);
  }
  void Refuse(bool refuse) {
    MonitorLock lock(&mutex_);
    refuse_ = refuse;
  }
  std::vector<std::string> Payloads() const {
    MonitorLock lock(&mutex_);
    std::vector<std::string> payloads;
    for (const Sent& sent : all_) payloads.push_back(sent.payload);
    return payloads;
  }
  std::vector<Sent> all() const {
    MonitorLock lock(&mutex_);
    return all_;
  }

 private:
  const OutletSink sink_;
  mutable Monitor mutex_;
  bool refuse_ = false;
  int64_t next_offset_ = 0;
  std::deque<Sent> under_way_;
  std::vector<Sent> all_;
};

class DispatcherTest : public ::testing::Test {
 protected:
  DispatcherTest() {
    options_.mirror.clock = &clock_;
    options_.breaker_failures = 2;
    options_.max_message_bytes = size_t{1} << 30;  // buffers are looked at
    lease_ = {clock_.Steady() + milliseconds(60'000),
              clock_.Steady() + milliseconds(60'000)};
  }
  void SetUp() override {
    dispatcher_ = std::make_unique<Dispatcher>(
        options_, Source{1},
        [this](const v1::SubClusterRow& row, milliseconds,
               OutletSink sink) -> absl::StatusOr<std::shared_ptr<Outlet>> {
          auto outlet = std::make_shared<FakeOutlet>(std::move(sink));
          outlets_[row.name()] = outlet;
          return std::shared_ptr<Outlet>(outlet);
        },
        [this] { return lease_; });
    Apply({SubClusterRowOf(1, "a", "a:1"), SubClusterRowOf(2, "b", "b:1"),
           TopicRowOf(1, "nca", v1::TOPIC_KIND_UNICAST),
           TopicRowOf(2, "vpc", v1::TOPIC_KIND_MULTICAST),
           TopicRowOf(3, "orders", v1::TOPIC_KIND_HASHED,
                      v1::ON_LEASE_END_CONTINUE),
           KafkaTopicRowOf(1, 1, "nca.g1.0"), KafkaTopicRowOf(2, 2, "nca.g1.1"),
           PartitionRowOf(1, 0, 1, 1, 0), PartitionRowOf(1, 1, 2, 2, 0),
           KeyRowOf(1, "h1", {0}), KeyRowOf(1, "h2", {1}),
           PartitionRowOf(2, 0, 1, 1, 5), PartitionRowOf(2, 1, 2, 2, 5),
           KeyRowOf(2, "v1", {0, 1}), Hashed(0, 0, 0x3fffffff, 1, 1, 8),
           Hashed(1, 0x40000000, 0x7fffffff, 2, 2, 8)});
  }
  void TearDown() override {
    dispatcher_->Close();
    // As a real outlet does before it ends.
    for (auto& [name, outlet] : outlets_) outlet->Report(SIZE_MAX);
    EXPECT_TRUE(dispatcher_->Flush(milliseconds(0)).ok());
    EXPECT_EQ(dispatcher_->stats().buffered_bytes, 0u);
  }

  static v1::Row Hashed(uint32_t number, uint32_t low, uint32_t high,
                        uint32_t cluster, uint32_t topic, uint32_t partition) {
    v1::Row row = PartitionRowOf(3, number, cluster, topic, partition);
    row.mutable_partition()->set_low(low);
    row.mutable_partition()->set_high(high);
    return row;
  }
  void Apply(const std::vector<v1::Row>& rows) {
    for (const v1::Row& row : rows) ASSERT_TRUE(view_.Apply(row).ok());
    v1::Position at;
    at.set_incarnation(1);
    at.set_index(++index_);
    dispatcher_->SetView(
        std::make_shared<const PublishedView>(PublishedView{view_, at}));
  }
  absl::Status Produce(const std::string& key, const std::string& payload) {
    return dispatcher_->Produce(key, payload, {},
                                [this](const DeliveryReport& report) {
                                  MonitorLock lock(&mutex_);
                                  reports_.push_back(report);
                                });
  }
  std::vector<DeliveryReport> reports() {
    MonitorLock lock(&mutex_);
    return reports_;
  }
  void Pass(milliseconds time) {
    clock_.Advance(time);
    dispatcher_->Tick();
  }

  FakeClock clock_;
  ProducerOptions options_;
  LeaseState lease_;
  federation::RouteView view_;
  uint64_t index_ = 0;
  std::map<std::string, std::shared_ptr<FakeOutlet>> outlets_;
  std::unique_ptr<Dispatcher> dispatcher_;
  Monitor mutex_;
  std::vector<DeliveryReport> reports_;
};

TEST_F(DispatcherTest, SendsTheIdAsKeyWithARisingSequence) {
  ASSERT_TRUE(Produce("nca/h1", "one").ok());
  ASSERT_TRUE(Produce("nca/h2", "two").ok());
  ASSERT_TRUE(Produce("nca/h1", "three").ok());
  const auto sent = outlets_["a"]->all();
  ASSERT_THAT(sent, SizeIs(2));
  EXPECT_EQ(sent[0].key, "h1");
  EXPECT_EQ(sent[0].where, "nca.g1.0/0");
  EXPECT_EQ(sent[0].header.epoch, 1u);
  EXPECT_EQ(sent[0].header.sequence, 1u);
  EXPECT_EQ(sent[1].header.sequence, 3u);
  outlets_["a"]->Report(2);
  ASSERT_THAT(reports(), SizeIs(2));
  EXPECT_EQ(reports()[1].targets[0].offset, 1);
  EXPECT_EQ(reports()[1].topic, "nca");
  const auto counts = dispatcher_->Counts();
  ASSERT_THAT(counts, SizeIs(1));
  EXPECT_EQ(counts[0].acknowledged(), 2u);
}

TEST_F(DispatcherTest, NamesWhatIsWrongWithAKey) {
  EXPECT_TRUE(absl::IsInvalidArgument(Produce("nca", "x")));
  EXPECT_TRUE(absl::IsInvalidArgument(Produce("nca/", "x")));
  EXPECT_TRUE(absl::IsNotFound(Produce("what/h1", "x")));
  EXPECT_TRUE(absl::IsNotFound(Produce("nca/h9", "x")));
  EXPECT_TRUE(absl::IsInvalidArgument(
      dispatcher_->Produce("nca/h1", "x", {{"kafed", ""}}, nullptr)));
  EXPECT_EQ(dispatcher_->stats().buffered_bytes, 0u);
}

TEST_F(DispatcherTest, ReportsAMulticastMessageOnceWhenAllTargetsAreDone) {
  ASSERT_TRUE(Produce("vpc/v1", "m").ok());
  EXPECT_THAT(outlets_["a"]->Payloads(), ElementsAre("m"));
  EXPECT_THAT(outlets_["b"]->Payloads(), ElementsAre("m"));
  EXPECT_EQ(outlets_["a"]->all()[0].header, outlets_["b"]->all()[0].header);
  outlets_["b"]->Report(1);
  EXPECT_THAT(reports(), IsEmpty());
  outlets_["a"]->Report(1);
  ASSERT_THAT(reports(), SizeIs(1));
  EXPECT_THAT(reports()[0].targets, SizeIs(2));
  EXPECT_TRUE(reports()[0].status.ok());
}

TEST_F(DispatcherTest, HoldsAKeyWhileItsSegmentCloses) {
  ASSERT_TRUE(Produce("nca/h1", "0").ok());
  Apply({PartitionRowOf(1, 0, 1, 1, 0, 1, v1::SEGMENT_STATE_CLOSING)});
  ASSERT_TRUE(Produce("nca/h1", "1").ok());
  ASSERT_TRUE(Produce("nca/h1", "2").ok());
  ASSERT_TRUE(Produce("nca/h2", "other").ok());
  EXPECT_THAT(outlets_["a"]->Payloads(), ElementsAre("0"));
  EXPECT_THAT(outlets_["b"]->Payloads(), ElementsAre("other"));
  EXPECT_EQ(dispatcher_->stats().waiting, 2u);
  // The switch came, but a message is still under way to the old segment.
  Apply({PartitionRowOf(1, 0, 2, 2, 3, 2)});
  EXPECT_THAT(outlets_["b"]->Payloads(), ElementsAre("other"));
  outlets_["a"]->Report(1);
  EXPECT_THAT(outlets_["b"]->Payloads(), ElementsAre("other", "1", "2"));
  EXPECT_EQ(outlets_["b"]->all()[1].header.epoch, 2u);
  EXPECT_EQ(outlets_["b"]->all()[1].where, "nca.g1.1/3");
}

TEST_F(DispatcherTest, WaitsForAKafkaTopicUntilTheMessageTimeout) {
  Apply({KafkaTopicRowOf(1, 1, "nca.g1.0", false)});
  ASSERT_TRUE(Produce("nca/h1", "1").ok());
  Pass(milliseconds(10'000));
  ASSERT_TRUE(Produce("nca/h1", "2").ok());
  lease_.session_until += milliseconds(60'000);
  Pass(milliseconds(25'000));
  ASSERT_THAT(reports(), SizeIs(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(reports()[0].status));
  EXPECT_THAT(std::string(reports()[0].status.message()),
              HasSubstr("being created"));
  Apply({KafkaTopicRowOf(1, 1, "nca.g1.0", true)});
  EXPECT_THAT(outlets_["a"]->Payloads(), ElementsAre("2"));
}

TEST_F(DispatcherTest, StopsWithANamedErrorWhenTheLeaseIsOver) {
  lease_.multicast_until = clock_.Steady() + milliseconds(10);
  ASSERT_TRUE(Produce("vpc/v1", "1").ok());
  Pass(milliseconds(10));
  const absl::Status stopped = Produce("vpc/v1", "2");
  EXPECT_TRUE(absl::IsFailedPrecondition(stopped));
  EXPECT_THAT(std::string(stopped.message()), HasSubstr("lease"));
  EXPECT_TRUE(Produce("nca/h1", "unicast goes on").ok());
  lease_ = {};
  EXPECT_TRUE(absl::IsFailedPrecondition(Produce("nca/h1", "3")));
  EXPECT_TRUE(Produce("orders/42", "its topic goes on without").ok());
}

TEST_F(DispatcherTest, SendsRefusedCopiesAgainInOrder) {
  for (const char* payload : {"1", "2", "3"}) {
    ASSERT_TRUE(Produce("nca/h1", payload).ok());
  }
  outlets_["a"]->Report(2, Outcome::kRefused);
  ASSERT_TRUE(Produce("nca/h1", "4").ok());
  EXPECT_THAT(outlets_["a"]->Payloads(), ElementsAre("1", "2", "3"));
  outlets_["a"]->Report(1, Outcome::kRefused);
  EXPECT_THAT(outlets_["a"]->Payloads(),
              ElementsAre("1", "2", "3", "1", "2", "3", "4"));
  outlets_["a"]->Report(4);
  EXPECT_EQ(dispatcher_->stats().acknowledged, 4u);
  EXPECT_EQ(dispatcher_->stats().buffered_bytes, 0u);
}

TEST_F(DispatcherTest, NeverSendsARefusedCopyBehindALaterOne) {
  for (const char* payload : {"1", "2", "3"}) {
    ASSERT_TRUE(Produce("nca/h1", payload).ok());
  }
  outlets_["a"]->Report(1, Outcome::kRefused);
  outlets_["a"]->Report(1);
  outlets_["a"]->Report(1, Outcome::kRefused);
  // "1" would come after "2"; "3" may be repeated.
  EXPECT_THAT(outlets_["a"]->Payloads(), ElementsAre("1", "2", "3", "3"));
  outlets_["a"]->Report(1);
  ASSERT_THAT(reports(), SizeIs(3));
  EXPECT_EQ(dispatcher_->stats().failed, 1u);
}

TEST_F(DispatcherTest, TriesAgainWhatAnOutletDidNotTake) {
  ASSERT_TRUE(Produce("nca/h1", "0").ok());
  outlets_["a"]->Report(1);
  outlets_["a"]->Refuse(true);
  ASSERT_TRUE(Produce("nca/h1", "1").ok());
  ASSERT_TRUE(Produce("nca/h1", "2").ok());
  Pass(milliseconds(500));
  EXPECT_THAT(outlets_["a"]->Payloads(), ElementsAre("0"));
  outlets_["a"]->Refuse(false);
  Pass(milliseconds(500));
  EXPECT_THAT(outlets_["a"]->Payloads(), ElementsAre("0", "1", "2"));
}

TEST_F(DispatcherTest, OpensABreakerAndLetsOneProbePass) {
  ASSERT_TRUE(Produce("nca/h1", "1").ok());
  ASSERT_TRUE(Produce("nca/h1", "2").ok());
  outlets_["a"]->Report(2, Outcome::kPossiblyPersisted, true);
  ASSERT_TRUE(Produce("nca/h1", "3").ok());
  ASSERT_TRUE(Produce("nca/h1", "4").ok());
  EXPECT_THAT(outlets_["a"]->Payloads(), SizeIs(2));
  Pass(options_.breaker_pause);
  EXPECT_THAT(outlets_["a"]->Payloads(), ElementsAre("1", "2", "3"));
  outlets_["a"]->Report(1);
  Pass(milliseconds(0));
  EXPECT_THAT(outlets_["a"]->Payloads(), ElementsAre("1", "2", "3", "4"));
  EXPECT_EQ(dispatcher_->Counts()[0].possibly_persisted(), 2u);
}

TEST_F(DispatcherTest, FailsFastWhenAnOpenBreakersQueueIsFull) {
  ASSERT_TRUE(Produce("nca/h1", "1").ok());
  ASSERT_TRUE(Produce("nca/h1", "2").ok());
  outlets_["a"]->Report(2, Outcome::kPossiblyPersisted, true);
  const std::string large(options_.open_breaker_bytes / 2, 'x');
  ASSERT_TRUE(Produce("nca/h1", large).ok());
  const absl::Status full = Produce("nca/h1", large);
  EXPECT_TRUE(absl::IsUnavailable(full));
  EXPECT_THAT(std::string(full.message()), HasSubstr("partition nca/0"));
  EXPECT_TRUE(Produce("nca/h2", large).ok());
}

TEST_F(DispatcherTest, SteersMessagesWithoutAnIdAroundAnOpenBreaker) {
  std::set<std::string> where;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Produce("orders/", "x").ok());
  EXPECT_THAT(outlets_["a"]->all(), SizeIs(5));
  EXPECT_THAT(outlets_["b"]->all(), SizeIs(5));
  EXPECT_EQ(outlets_["a"]->all()[0].key, "");
  outlets_["a"]->Report(5, Outcome::kPossiblyPersisted, true);
  outlets_["b"]->Report(5);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Produce("orders/", "y").ok());
  EXPECT_THAT(outlets_["a"]->all(), SizeIs(5));
  EXPECT_THAT(outlets_["b"]->all(), SizeIs(15));
}

TEST_F(DispatcherTest, LimitsBuffersBySubCluster) {
  const std::string half(options_.sub_cluster_buffer_bytes / 2, 'x');
  ASSERT_TRUE(Produce("nca/h1", half).ok());
  const absl::Status full = Produce("nca/h1", half);
  EXPECT_TRUE(absl::IsResourceExhausted(full));
  EXPECT_THAT(std::string(full.message()), HasSubstr("sub-cluster a"));
  EXPECT_TRUE(Produce("nca/h2", half).ok());
  outlets_["a"]->Report(1);
  EXPECT_TRUE(Produce("nca/h1", half).ok());
}

TEST_F(DispatcherTest, ReportsWhatWaitsAsCancelledWhenClosed) {
  Apply({KafkaTopicRowOf(1, 1, "nca.g1.0", false)});
  ASSERT_TRUE(Produce("nca/h1", "1").ok());
  dispatcher_->Close();
  ASSERT_THAT(reports(), SizeIs(1));
  EXPECT_TRUE(absl::IsCancelled(reports()[0].status));
  EXPECT_THAT(reports()[0].status.ToString(),
              HasSubstr("closed before the message was sent: its Kafka topic "
                        "is still being created"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Produce("nca/h1", "2")));
  EXPECT_TRUE(dispatcher_->Flush(milliseconds(0)).ok());
}

TEST_F(DispatcherTest, KeepsTheOrderOfAKeyUnderManyThreadsAndMoves) {
  constexpr int kThreads = 4;
  constexpr int kEach = 500;
  ASSERT_TRUE(Produce("nca/h1", "first").ok());
  ASSERT_TRUE(Produce("nca/h2", "first").ok());
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < kEach; ++i) {
        EXPECT_TRUE(Produce("nca/h1", "x").ok());
      }
    });
  }
  for (uint64_t epoch = 2; epoch < 40; ++epoch) {
    const uint32_t place = 1 + epoch % 2;
    Apply({PartitionRowOf(1, 0, place, place, 0, epoch)});
    outlets_["a"]->Report(100);
    outlets_["b"]->Report(100);
  }
  for (std::thread& thread : threads) thread.join();
  while (dispatcher_->stats().acknowledged < kThreads * kEach + 2) {
    outlets_["a"]->Report(100);
    outlets_["b"]->Report(100);
  }
  // By epoch and then by place in its segment, sequences rise.
  std::map<uint64_t, std::vector<uint64_t>> by_epoch;
  for (const char* name : {"a", "b"}) {
    for (const auto& sent : outlets_[name]->all()) {
      if (sent.key == "h1") {
        by_epoch[sent.header.epoch].push_back(sent.header.sequence);
      }
    }
  }
  std::vector<uint64_t> sequences;
  for (const auto& [epoch, each] : by_epoch) {
    sequences.insert(sequences.end(), each.begin(), each.end());
  }
  EXPECT_THAT(sequences, SizeIs(kThreads * kEach + 1));
  EXPECT_TRUE(std::is_sorted(sequences.begin(), sequences.end()));
}

}  // namespace
}  // namespace kafed::client
