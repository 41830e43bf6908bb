#include "metastore/log/virtual_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "metastore/log/local_loglet.h"
#include "metastore/log/memory_loglet.h"
#include "tests/unit/metastore/log_test_support.h"
#include "tests/unit/metastore/temp_directory.h"

namespace kafed::metastore {
namespace {

using ::testing::HasSubstr;

constexpr size_t kEverything = 1 << 30;
constexpr milliseconds kLong{20'000};

// Memory loglets that several nodes share, as they would share a quorum.
class SharedLoglets {
 public:
  LogletFactory Factory() {
    return [this](const ChainLink& link)
               -> absl::StatusOr<std::shared_ptr<Loglet>> {
      std::lock_guard lock(mutex_);
      auto& loglet = loglets_[link.loglet];
      if (loglet == nullptr) {
        loglet =
            std::make_shared<MemoryLoglet>(MemoryLogletOptions{link.first, 0});
      }
      return loglet;
    };
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Loglet>> loglets_;
};

class VirtualLogTest : public ::testing::Test {
 protected:
  std::unique_ptr<VirtualLog> OpenNode() {
    auto log =
        VirtualLog::Open(&register_, loglets_.Factory(), {"a", LogIndex(1)});
    EXPECT_TRUE(log.ok()) << log.status();
    return *std::move(log);
  }
  static void Append(SharedLog& log, uint64_t from, uint64_t to) {
    for (uint64_t i = from; i <= to; ++i) {
      ASSERT_TRUE(log.AppendAt(LogIndex(i), MakeEntry(i)).ok()) << i;
    }
  }
  static std::vector<LogEntry> ReadAll(SharedLog& log, uint64_t from) {
    std::vector<LogEntry> all;
    while (true) {
      auto more = log.Read(LogIndex(from + all.size()), 100);
      EXPECT_TRUE(more.ok()) << more.status();
      if (!more.ok() || more->empty()) return all;
      for (LogEntry& entry : *more) all.push_back(std::move(entry));
    }
  }

  MemoryChainRegister register_;
  SharedLoglets loglets_;
};

TEST_F(VirtualLogTest, GoesOnAcrossASealedLoglet) {
  auto log = OpenNode();
  EXPECT_EQ(log->CurrentChain(), (Chain{1, {{"a", LogIndex(1)}}}));
  Append(*log, 1, 5);
  ASSERT_TRUE(log->Extend("b").ok());
  EXPECT_EQ(log->CurrentChain(),
            (Chain{2, {{"a", LogIndex(1)}, {"b", LogIndex(6)}}}));
  EXPECT_EQ(log->Tail().value(), LogIndex(5));
  Append(*log, 6, 9);
  EXPECT_EQ(ReadAll(*log, 1), AtIndex(1, MakeEntries(1, 9)));
  EXPECT_EQ(ReadAll(*log, 6), AtIndex(6, MakeEntries(6, 4)));
  EXPECT_EQ(log->Tail().value(), LogIndex(9));
  EXPECT_EQ(log->FirstKept().value(), LogIndex(1));
}

TEST_F(VirtualLogTest, AppendsBehindTheLastLogletAreRetriesOrConflicts) {
  auto log = OpenNode();
  Append(*log, 1, 5);
  ASSERT_TRUE(log->Extend("b").ok());
  Append(*log, 6, 7);
  const AppendOutcome retried = log->AppendAt(LogIndex(5), MakeEntry(5));
  EXPECT_TRUE(retried.ok());
  EXPECT_EQ(retried.tail, LogIndex(7));
  const AppendOutcome other = log->AppendAt(LogIndex(5), MakeEntry(99));
  EXPECT_EQ(other.result, AppendResult::kConflict);
  EXPECT_EQ(other.tail, LogIndex(7));
  // Across the border: it cannot be one atomic batch of what stands.
  const auto across = MakeEntries(5, 2);
  EXPECT_EQ(log->AppendBatchAt(LogIndex(5), across).result,
            AppendResult::kConflict);
}

TEST_F(VirtualLogTest, ANodeThatMeetsASealFollowsTheChain) {
  auto one = OpenNode();
  auto other = OpenNode();
  auto reader = OpenNode();
  auto asked = OpenNode();
  Append(*one, 1, 3);
  ASSERT_TRUE(one->Extend("b").ok());
  EXPECT_TRUE(other->AppendAt(LogIndex(4), MakeEntry(4)).ok());
  EXPECT_EQ(ReadAll(*reader, 1), AtIndex(1, MakeEntries(1, 4)));
  EXPECT_EQ(asked->Tail().value(), LogIndex(4));
  EXPECT_EQ(other->CurrentChain(), one->CurrentChain());
}

TEST_F(VirtualLogTest, AWaiterOutlastsAMove) {
  auto one = OpenNode();
  auto other = OpenNode();
  Append(*one, 1, 1);
  absl::Status waited;
  std::thread waiter([&] { waited = other->WaitFor(LogIndex(2), In(kLong)); });
  ASSERT_TRUE(one->Extend("b").ok());
  Append(*one, 2, 2);
  waiter.join();
  EXPECT_TRUE(waited.ok()) << waited;
  EXPECT_TRUE(one->WaitFor(LogIndex(1), In(milliseconds(0))).ok());
}

TEST_F(VirtualLogTest, ExtendLosesAgainstAnotherNodesExtend) {
  auto log = OpenNode();
  Append(*log, 1, 2);
  // Another node set the chain between this one's seal and its own set: here,
  // a register that is changed while the seal happens.
  ASSERT_TRUE(log->Seal().ok());
  ASSERT_TRUE(
      register_.CompareAndSet(1, {{"a", LogIndex(1)}, {"c", LogIndex(3)}})
          .ok());
  EXPECT_TRUE(log->AppendAt(LogIndex(3), MakeEntry(3)).ok());
  EXPECT_EQ(log->CurrentChain().links.back().loglet, "c");
  EXPECT_EQ(register_.CompareAndSet(1, {{"a", LogIndex(1)}}).status().code(),
            absl::StatusCode::kAborted);
}

TEST_F(VirtualLogTest, AMoveThatStoppedAfterTheSealIsFinishedByAnother) {
  auto log = OpenNode();
  Append(*log, 1, 2);
  ASSERT_TRUE(log->Seal().ok());
  EXPECT_EQ(log->AppendAt(LogIndex(3), MakeEntry(3)).result,
            AppendResult::kSealed);
  auto other = OpenNode();
  ASSERT_TRUE(other->Extend("b").ok());
  EXPECT_TRUE(log->AppendAt(LogIndex(3), MakeEntry(3)).ok());
}

TEST_F(VirtualLogTest, TrimsAcrossLoglets) {
  auto log = OpenNode();
  Append(*log, 1, 5);
  ASSERT_TRUE(log->Extend("b").ok());
  ASSERT_TRUE(log->Trim(LogIndex(3)).ok());
  EXPECT_EQ(log->FirstKept().value(), LogIndex(3));
  Append(*log, 6, 9);
  EXPECT_EQ(ReadAll(*log, 3), AtIndex(3, MakeEntries(3, 7)));
  ASSERT_TRUE(log->Trim(LogIndex(8)).ok());
  EXPECT_EQ(log->FirstKept().value(), LogIndex(8));
  // The first loglet still holds its newest, but there is a gap behind it.
  const auto read = log->Read(LogIndex(5), kEverything);
  EXPECT_EQ(read.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(read.status().ToString(), HasSubstr("first one kept is 8"));
}

TEST_F(VirtualLogTest, AChainWithAHoleIsAFault) {
  auto log = OpenNode();
  Append(*log, 1, 5);
  ASSERT_TRUE(log->Seal().ok());
  ASSERT_TRUE(
      register_.CompareAndSet(1, {{"a", LogIndex(1)}, {"b", LogIndex(8)}})
          .ok());
  auto broken = OpenNode();
  EXPECT_EQ(broken->Read(LogIndex(6), kEverything).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(VirtualLogTest, LivesOnTheDataDirectoryAcrossRestarts) {
  TempDirectory directory;
  for (uint64_t start = 1; start <= 2; ++start) {
    auto store = OpenStore(directory.path());
    StoreChainRegister reg(store.get());
    auto log = VirtualLog::Open(
        &reg,
        [&store](
            const ChainLink& link) -> absl::StatusOr<std::shared_ptr<Loglet>> {
          auto loglet =
              LocalLoglet::Open(store.get(), {link.loglet, link.first, 0});
          if (!loglet.ok()) return loglet.status();
          return std::shared_ptr<Loglet>(*std::move(loglet));
        },
        {"local", LogIndex(1)});
    ASSERT_TRUE(log.ok()) << log.status();
    Append(**log, start * 3 - 2, start * 3);
    EXPECT_EQ(ReadAll(**log, 1), AtIndex(1, MakeEntries(1, start * 3)));
    ASSERT_TRUE((*log)->Extend("local-" + std::to_string(start)).ok());
    EXPECT_EQ((*log)->CurrentChain().version, start + 1);
  }
}

// Model: a vector, and the lowest index kept. Two nodes act on one log.
RC_GTEST_PROP(VirtualLogProperty, BehavesLikeAVector, ()) {
  MemoryChainRegister reg;
  SharedLoglets loglets;
  std::vector<std::unique_ptr<VirtualLog>> nodes;
  for (int i = 0; i < 2; ++i) {
    nodes.push_back(
        *VirtualLog::Open(&reg, loglets.Factory(), {"l0", LogIndex(1)}));
  }
  std::vector<LogEntry> model;
  uint64_t next_id = 1;
  int extended = 0;
  const auto steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 10), rc::gen::inRange(0, 8)));
  for (const auto& [action, amount] : steps) {
    VirtualLog& node = *nodes[static_cast<size_t>(amount) % 2];
    const uint64_t tail = model.size();
    if (action < 5) {  // append at or near the tail
      const uint64_t at = action < 4 ? tail + 1 : tail + amount / 2;
      const auto batch = MakeEntries(next_id, 1 + amount / 2);
      next_id += batch.size();
      const AppendOutcome outcome = node.AppendBatchAt(LogIndex(at), batch);
      if (at == 0) {
        RC_ASSERT(outcome.result == AppendResult::kRefused);
      } else if (at != tail + 1) {
        RC_ASSERT(outcome.result == AppendResult::kConflict ||
                  outcome.result == AppendResult::kUnknown);
        RC_ASSERT(outcome.tail == LogIndex(tail));
      } else {
        RC_ASSERT(outcome.ok());
        for (const LogEntry& entry : AtIndex(at, batch)) model.push_back(entry);
      }
    } else if (action == 5) {
      RC_ASSERT(node.Extend("l" + std::to_string(++extended)).ok());
    } else if (action == 6) {
      RC_ASSERT(node.Trim(LogIndex(static_cast<uint64_t>(amount))).ok());
    } else if (tail > 0) {
      const uint64_t from = 1 + static_cast<uint64_t>(amount) % tail;
      const LogIndex kept = node.FirstKept().value();
      const auto read = node.Read(LogIndex(from), 20);
      if (LogIndex(from) < kept) {
        RC_ASSERT(read.status().code() == absl::StatusCode::kOutOfRange);
      } else {
        RC_ASSERT(read.ok());
        RC_ASSERT(!read->empty());
        for (size_t i = 0; i < read->size(); ++i) {
          RC_ASSERT((*read)[i] == model[from - 1 + i]);
        }
      }
    }
    for (const auto& each : nodes) {
      RC_ASSERT(each->Tail().value() == LogIndex(model.size()));
    }
  }
}

}  // namespace
}  // namespace kafed::metastore
