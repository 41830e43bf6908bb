// The contract of the log on a quorum's servers, and what only several clients
// of it show. Run by quorum_log_test.py, which starts the servers and names
// them in KAFED_ZOOKEEPER or KAFED_ETCD; what is about one kind only is in
// zookeeper_quorum_test.cc and etcd_quorum_test.cc.
#include <gmock/gmock.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <iostream>
#include <thread>

#include "common/log.h"
#include "metastore/log/virtual_log.h"
#include "tests/integration/quorum_client.h"
#include "tests/unit/metastore/loglet_contract.h"

namespace kafed::metastore {
namespace {

using ::testing::HasSubstr;

constexpr size_t kEverything = 1 << 30;
constexpr milliseconds kLong{20'000};

class QuorumBed : public Bed {
 public:
  std::unique_ptr<SharedLog> Open(uint64_t budget_bytes,
                                  const Clock& clock) override {
    return client_->OpenLoglet({NewPath(), LogIndex(1), budget_bytes}, clock);
  }

 private:
  std::unique_ptr<QuorumClient> client_ = NewClient();
};

INSTANTIATE_TEST_SUITE_P(Quorum, LogletContractTest,
                         ::testing::Values(BedParam{
                             QuorumName(),
                             [] { return std::make_unique<QuorumBed>(); }}),
                         BedName);

// Two nodes with a session each, on one log.
class TwoNodesTest : public ::testing::Test {
 protected:
  const std::string path_ = NewPath();
  const std::unique_ptr<QuorumClient> node_a_ = NewClient();
  const std::unique_ptr<QuorumClient> node_b_ = NewClient();
  std::unique_ptr<QuorumLoglet> a_ = node_a_->OpenLoglet({path_});
  std::unique_ptr<QuorumLoglet> b_ = node_b_->OpenLoglet({path_});
};

TEST_F(TwoNodesTest, OneSeesWhatTheOtherAppends) {
  ASSERT_TRUE(a_->AppendAt(LogIndex(1), MakeEntry(1)).ok());
  ASSERT_TRUE(b_->WaitFor(LogIndex(1), In(kLong)).ok());
  EXPECT_EQ(b_->Read(LogIndex(1), kEverything).value(),
            AtIndex(1, MakeEntries(1, 1)));
  EXPECT_EQ(b_->AppendAt(LogIndex(1), MakeEntry(7)).result,
            AppendResult::kConflict);
  ASSERT_TRUE(b_->AppendAt(LogIndex(2), MakeEntry(2)).ok());
  EXPECT_EQ(a_->Tail().value(), LogIndex(2));
  // Another node retries what the first had sent.
  EXPECT_TRUE(b_->AppendAt(LogIndex(1), MakeEntry(1)).ok());
}

TEST_F(TwoNodesTest, AFollowerIsWokenByEachEntry) {
  constexpr uint64_t kEntries = 20;
  const auto begun = std::chrono::steady_clock::now();
  for (uint64_t i = 1; i <= kEntries; ++i) {
    ASSERT_TRUE(a_->AppendAt(LogIndex(i), MakeEntry(i)).ok());
    ASSERT_TRUE(b_->WaitFor(LogIndex(i), In(kLong)).ok());
  }
  // A follower that only looked every second would need as many seconds.
  EXPECT_LT(std::chrono::steady_clock::now() - begun,
            std::chrono::seconds(kEntries) / 2);
  EXPECT_EQ(b_->Read(LogIndex(1), kEverything).value(),
            AtIndex(1, MakeEntries(1, kEntries)));
}

TEST_F(TwoNodesTest, AFollowerLearnsOfAllThatCameAtOnce) {
  uint64_t tail = 0;
  for (uint64_t count = 1; count <= 6; ++count) {
    const auto batch = MakeEntries(tail + 1, count);
    ASSERT_TRUE(a_->AppendBatchAt(LogIndex(tail + 1), batch).ok());
    tail += count;
    ASSERT_TRUE(b_->WaitFor(LogIndex(tail), In(kLong)).ok());
  }
  EXPECT_EQ(b_->Read(LogIndex(1), kEverything).value(),
            AtIndex(1, MakeEntries(1, tail)));
}

// The writer does not look again at what it has written itself.
TEST_F(TwoNodesTest, ASealBehindAnEntryOfOnesOwnIsNoticed) {
  constexpr int kRounds = 30;
  for (int round = 0; round < kRounds; ++round) {
    const std::string path = NewPath();
    const auto writer = node_a_->OpenLoglet({path});
    const auto sealer = node_b_->OpenLoglet({path});
    ASSERT_TRUE(writer->AppendAt(LogIndex(1), MakeEntry(1)).ok());
    ASSERT_EQ(sealer->Seal().value(), LogIndex(1));
    EXPECT_EQ(writer->WaitFor(LogIndex(2), In(kLong)).code(),
              absl::StatusCode::kFailedPrecondition);
  }
}

TEST_F(TwoNodesTest, WritersWithOldTailsGetConflictsAndNoGaps) {
  constexpr uint64_t kEach = 100;
  const auto write = [&](QuorumLoglet* log, uint64_t base) {
    LogIndex at(1);
    for (uint64_t i = 0; i < kEach;) {
      const AppendOutcome outcome = log->AppendAt(at, MakeEntry(base + i));
      if (outcome.ok()) ++i;
      at = Next(outcome.tail);
    }
  };
  std::thread other([&] { write(b_.get(), 1'000); });
  write(a_.get(), 0);
  other.join();
  const auto read = a_->Read(LogIndex(1), kEverything).value();
  ASSERT_EQ(read.size(), 2 * kEach);
  EXPECT_EQ(b_->Read(LogIndex(1), kEverything).value(), read);
  uint64_t next_a = 0;
  uint64_t next_b = 1'000;
  for (const LogEntry& entry : read) {
    uint64_t number = 0;
    std::memcpy(&number, entry.id.data(), sizeof(number));
    EXPECT_EQ(number, number < 1'000 ? next_a++ : next_b++);
  }
}

TEST_F(TwoNodesTest, ASealOfOneStopsTheOther) {
  ASSERT_TRUE(a_->AppendAt(LogIndex(1), MakeEntry(1)).ok());
  ASSERT_TRUE(b_->WaitFor(LogIndex(1), In(kLong)).ok());
  EXPECT_EQ(b_->Seal().value(), LogIndex(1));
  const AppendOutcome late = a_->AppendAt(LogIndex(2), MakeEntry(2));
  EXPECT_EQ(late.result, AppendResult::kSealed);
  EXPECT_EQ(late.tail, LogIndex(1));
  EXPECT_TRUE(a_->CheckTail().value().sealed);
  EXPECT_EQ(a_->WaitFor(LogIndex(2), In(kLong)).code(),
            absl::StatusCode::kFailedPrecondition);
}

// The writer has not heard of the seal when it appends: the gate must tell.
TEST_F(TwoNodesTest, NothingStandsBehindTheTailThatASealGave) {
  constexpr int kRounds = 30;
  for (int round = 0; round < kRounds; ++round) {
    const std::string path = NewPath();
    const auto writer_log = node_a_->OpenLoglet({path});
    const auto sealer_log = node_b_->OpenLoglet({path});
    std::atomic<uint64_t> acknowledged{0};
    std::thread writer([&] {
      AppendOutcome outcome = OkOutcome(LogIndex(0));
      while (outcome.ok()) {
        const uint64_t next = acknowledged + 1;
        outcome = writer_log->AppendAt(LogIndex(next), MakeEntry(next));
        if (outcome.ok()) acknowledged = next;
      }
      EXPECT_EQ(outcome.result, AppendResult::kSealed) << outcome.detail;
    });
    while (acknowledged < 5) std::this_thread::yield();
    const LogIndex sealed_at = sealer_log->Seal().value();
    writer.join();
    EXPECT_EQ(LogIndex(acknowledged), sealed_at);
    EXPECT_EQ(node_b_->OpenLoglet({path})->Tail().value(), sealed_at);
  }
}

TEST_F(TwoNodesTest, OneMayTrimWhileTheOtherIsFarBehind) {
  constexpr uint64_t kCount = 2'500;
  const auto entries = MakeEntries(1, kCount);
  for (uint64_t i = 0; i < kCount; i += 125) {
    ASSERT_TRUE(
        a_->AppendBatchAt(LogIndex(i + 1), std::span(&entries[i], 125)).ok());
  }
  ASSERT_TRUE(a_->Trim(LogIndex(2'200)).ok());
  EXPECT_EQ(b_->Tail().value(), LogIndex(kCount));
  EXPECT_EQ(b_->FirstKept().value(), LogIndex(2'200));
  EXPECT_EQ(b_->AppendAt(LogIndex(7), MakeEntry(7)).detail.code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(b_->Read(LogIndex(1), kEverything).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(b_->Read(LogIndex(2'200), kEverything).value().size(), 301u);
  EXPECT_EQ(b_->SizeBytes().value(), 301 * MakeEntry(2'200).payload.size());
  // Begun again it finds the same, and both may go on.
  b_.reset();
  b_ = node_b_->OpenLoglet({path_});
  EXPECT_TRUE(b_->AppendAt(LogIndex(kCount + 1), MakeEntry(1)).ok());
  EXPECT_TRUE(a_->WaitFor(LogIndex(kCount + 1), In(kLong)).ok());
}

TEST_F(TwoNodesTest, WhatIsDamagedIsNamed) {
  ASSERT_TRUE(a_->AppendAt(LogIndex(1), MakeEntry(1)).ok());
  ASSERT_TRUE(a_->AppendAt(LogIndex(2), MakeEntry(2)).ok());
  ASSERT_TRUE(node_a_->Damage(path_, LogIndex(1)).ok());
  b_.reset();
  b_ = node_b_->OpenLoglet({path_});
  const auto read = b_->Read(LogIndex(1), kEverything);
  EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(read.status().ToString(), HasSubstr("log entry 1"));
}

TEST_F(TwoNodesTest, ABatchOfMoreThanAMessageIsRefused) {
  const std::vector<LogEntry> batch(4, MakeEntry(1, 300'000));
  const AppendOutcome outcome = a_->AppendBatchAt(LogIndex(1), batch);
  EXPECT_EQ(outcome.result, AppendResult::kRefused);
  EXPECT_THAT(outcome.detail.ToString(), HasSubstr("several batches"));
}

TEST_F(TwoNodesTest, APathOfSomethingElseIsRefused) {
  EXPECT_THAT(
      node_a_->Open({path_, LogIndex(5)}, RealClock()).status().ToString(),
      HasSubstr("has 'v1 1', expected 'v1 5'"));
}

// A node: a session, the chain, and loglets of the ensemble by name.
class ChainNode {
 public:
  explicit ChainNode(const std::string& path)
      : register_(client_->OpenChain(path + "/chain")) {
    auto log = VirtualLog::Open(
        register_.get(),
        [this, path](
            const ChainLink& link) -> absl::StatusOr<std::shared_ptr<Loglet>> {
          return client_->Open({path + "/" + link.loglet, link.first},
                               RealClock());
        },
        {"a", LogIndex(1)});
    if (!log.ok()) Fault("no log", {{"why", log.status()}});
    log_ = *std::move(log);
  }
  VirtualLog& log() { return *log_; }

 private:
  const std::unique_ptr<QuorumClient> client_ = NewClient();
  const std::unique_ptr<ChainRegister> register_;
  std::unique_ptr<VirtualLog> log_;
};

TEST(QuorumChainTest, OneOfTwoChangesOfTheSameVersionWins) {
  const auto client = NewClient();
  const std::string path = NewPath() + "/chain";
  const auto one = client->OpenChain(path);
  const auto other = client->OpenChain(path);
  EXPECT_EQ(one->Read().value(), Chain());
  const std::vector<ChainLink> links = {{"a", LogIndex(1)}};
  EXPECT_EQ(one->CompareAndSet(0, links).value(), (Chain{1, links}));
  const auto late = other->CompareAndSet(0, links);
  EXPECT_EQ(late.status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(late.status().ToString(), HasSubstr("has version 1, not 0"));
  EXPECT_EQ(other->CompareAndSet(1, links).value().version, 2u);
  EXPECT_EQ(one->Read().value(), (Chain{2, links}));
  EXPECT_EQ(one->CompareAndSet(2, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(QuorumChainTest, TheLogMovesTwiceWhileTwoNodesWrite) {
  constexpr uint64_t kEach = 150;
  const std::string path = NewPath();
  ChainNode one(path);
  ChainNode other(path);
  ChainNode mover(path);
  std::atomic<uint64_t> written{0};
  const auto write = [&](VirtualLog* log, uint64_t base) {
    LogIndex at(1);
    for (uint64_t i = 0; i < kEach;) {
      const AppendOutcome outcome = log->AppendAt(at, MakeEntry(base + i));
      if (outcome.ok()) ++i, ++written;
      at = Next(outcome.tail);
    }
  };
  std::thread first([&] { write(&one.log(), 0); });
  std::thread second([&] { write(&other.log(), 1'000); });
  for (const char* name : {"b", "c"}) {
    const uint64_t before = written;
    while (written < before + kEach / 3) std::this_thread::yield();
    ASSERT_TRUE(mover.log().Extend(name).ok());
  }
  first.join();
  second.join();
  EXPECT_EQ(mover.log().CurrentChain().links.size(), 3u);
  EXPECT_EQ(mover.log().Tail().value(), LogIndex(2 * kEach));
  std::vector<LogEntry> read;
  while (read.size() < 2 * kEach) {
    const auto more = mover.log().Read(LogIndex(read.size() + 1), kEverything);
    ASSERT_TRUE(more.ok()) << more.status();
    ASSERT_FALSE(more->empty());
    read.insert(read.end(), more->begin(), more->end());
  }
  uint64_t next_first = 0;
  uint64_t next_second = 1'000;
  for (size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].index, LogIndex(i + 1));
    uint64_t number = 0;
    std::memcpy(&number, read[i].id.data(), sizeof(number));
    EXPECT_EQ(number, number < 1'000 ? next_first++ : next_second++);
  }
}

// Whether the driver has closed this program's standard input.
bool ToldToEnd() {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  return poll(&input, 1, 0) > 0;
}

// Appends while the driver kills servers; its name is in the driver's filter,
// and the driver waits for its lines.
TEST(UnderFaults, EveryEntryStandsOnceAndInOrder) {
  constexpr uint64_t kLine = 100;
  const auto client = NewClient();
  const auto follower_client = NewClient();
  const std::string path = NewPath();
  const auto log = client->OpenLoglet({path});
  const auto follower = follower_client->OpenLoglet({path});
  uint64_t unknown = 0;
  uint64_t count = 0;
  while (count % kLine != 0 || !ToldToEnd()) {
    ++count;
    while (true) {
      const AppendOutcome outcome =
          log->AppendAt(LogIndex(count), MakeEntry(count));
      if (outcome.ok()) break;
      // Nobody else writes.
      ASSERT_NE(outcome.result, AppendResult::kConflict) << outcome.detail;
      ++unknown;
    }
    if (count % kLine == 0) std::cout << "appended " << count << std::endl;
  }
  ASSERT_TRUE(follower->WaitFor(LogIndex(count), In(kLong)).ok());
  std::vector<LogEntry> read;
  while (read.size() < count) {
    auto more = follower->Read(LogIndex(read.size() + 1), kEverything);
    if (absl::IsUnavailable(more.status())) continue;
    ASSERT_TRUE(more.ok()) << more.status();
    read.insert(read.end(), more->begin(), more->end());
  }
  EXPECT_EQ(read, AtIndex(1, MakeEntries(1, count)));
  std::cout << "unknown outcomes: " << unknown << std::endl;
}

}  // namespace
}  // namespace kafed::metastore
