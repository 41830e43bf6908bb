// The rules of a log that several nodes share, under faults of its servers:
// on the servers in memory, the twin of the real ones
// (tests/integration/quorum_log_test.py runs these on them).
#include "metastore/log/quorum_loglet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "metastore/log/memory_quorum.h"
#include "tests/unit/metastore/log_test_support.h"

namespace kafed::metastore {
namespace {

using Fault = MemoryServers::Fault;

std::unique_ptr<MemoryQuorumLoglet> Open(MemoryServers* servers) {
  while (true) {
    auto log = MemoryQuorumLoglet::Open(servers, {"/log"});
    if (log.ok()) return *std::move(log);
    EXPECT_TRUE(absl::IsUnavailable(log.status())) << log.status();
  }
}

// `in` calls of 100 fail, half of them after they were carried out.
MemoryServers::Faults Often(unsigned in_hundred, unsigned seed) {
  struct State {
    std::mutex mutex;
    std::mt19937 random;
  };
  auto state = std::make_shared<State>();
  state->random.seed(seed);
  return [state, in_hundred] {
    std::lock_guard lock(state->mutex);
    auto* const random = &state->random;
    if ((*random)() % 100 >= in_hundred) return Fault::kNone;
    return (*random)() % 2 == 0 ? Fault::kUnreachable : Fault::kLostReply;
  };
}

TEST(QuorumLogletTest, AnAppendWhoseReplyIsLostStandsOnceWhenItIsRetried) {
  MemoryServers servers;
  const auto log = Open(&servers);
  std::atomic<int> calls{0};
  servers.SetFaults(
      [&] { return ++calls == 1 ? Fault::kLostReply : Fault::kNone; });
  const LogEntry entry = MakeEntry(1);
  // The follower's calls meet the fault too; then it was no append that did.
  AppendOutcome outcome = log->AppendAt(LogIndex(1), entry);
  for (int i = 0; i < 10 && outcome.result == AppendResult::kUnknown; ++i) {
    outcome = log->AppendAt(LogIndex(1), entry);
  }
  EXPECT_TRUE(outcome.ok()) << outcome.detail;
  EXPECT_EQ(*log->Tail(), LogIndex(1));
  EXPECT_EQ(log->AppendAt(LogIndex(1), MakeEntry(2)).result,
            AppendResult::kConflict);
}

TEST(QuorumLogletTest, NothingIsAcknowledgedWhileTheServersAreAway) {
  MemoryServers servers;
  const auto log = Open(&servers);
  servers.SetFaults([] { return Fault::kUnreachable; });
  const AppendOutcome outcome = log->AppendAt(LogIndex(1), MakeEntry(1));
  EXPECT_EQ(outcome.result, AppendResult::kUnknown);
  EXPECT_TRUE(absl::IsUnavailable(log->Tail().status()));
  EXPECT_TRUE(absl::IsUnavailable(log->Seal().status()));
  servers.SetFaults(nullptr);
  EXPECT_EQ(*log->Tail(), LogIndex(0));
  EXPECT_TRUE(log->AppendAt(LogIndex(1), MakeEntry(1)).ok());
}

// Several writers, each with a loglet of its own; one entry each at a time,
// retried until it is known to stand or to have lost its index.
class Racers {
 public:
  Racers(MemoryServers* servers, uint64_t writers, uint64_t entries) {
    for (uint64_t w = 0; w < writers; ++w) {
      threads_.emplace_back([=] {
        const auto log = Open(servers);
        for (uint64_t n = 1; n <= entries; ++n) {
          AppendOne(log.get(), MakeEntry(w * entries + n));
        }
      });
    }
  }
  ~Racers() {
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  static void AppendOne(SharedLog* log, const LogEntry& entry) {
    LogIndex at(1);
    bool open = false;  // whether it may stand at `at`
    while (true) {
      if (!open) {
        const auto tail = log->Tail();
        if (!tail.ok()) continue;
        at = Next(*tail);
      }
      const AppendOutcome outcome = log->AppendAt(at, entry);
      if (outcome.ok()) return;
      open = outcome.result == AppendResult::kUnknown;
    }
  }

  std::vector<std::thread> threads_;
};

std::vector<LogEntry> ReadAll(SharedLog* log) {
  std::vector<LogEntry> all;
  while (true) {
    auto some = log->Read(LogIndex(all.size() + 1), 1 << 20);
    if (!some.ok()) continue;
    if (some->empty()) return all;
    for (LogEntry& entry : *some) all.push_back(std::move(entry));
  }
}

class QuorumFaultsTest : public testing::TestWithParam<unsigned> {};

TEST_P(QuorumFaultsTest, RacingWritersLeaveEachEntryOnceAndNoGap) {
  constexpr uint64_t kWriters = 3;
  constexpr uint64_t kEntries = 60;
  MemoryServers servers;
  servers.SetFaults(Often(20, GetParam()));
  { const Racers racers(&servers, kWriters, kEntries); }
  servers.SetFaults(nullptr);
  const auto log = Open(&servers);
  EXPECT_EQ(*log->Tail(), LogIndex(kWriters * kEntries));
  std::vector<std::string> found;
  for (const LogEntry& entry : ReadAll(log.get())) {
    EXPECT_EQ(entry.index, LogIndex(found.size() + 1));
    found.push_back(entry.payload);
  }
  std::vector<std::string> wanted;
  for (uint64_t n = 1; n <= kWriters * kEntries; ++n) {
    wanted.push_back(MakeEntry(n).payload);
  }
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(wanted));
}

TEST_P(QuorumFaultsTest, WhatASealLeavesIsTheSameForAll) {
  MemoryServers servers;
  const auto one = Open(&servers);
  const auto other = Open(&servers);
  servers.SetFaults(Often(30, GetParam()));
  std::thread writer([&] {
    for (uint64_t n = 1;; ++n) {
      AppendOutcome outcome;
      do {
        outcome = one->AppendAt(LogIndex(n), MakeEntry(n));
      } while (outcome.result == AppendResult::kUnknown);
      if (!outcome.ok()) {
        EXPECT_EQ(outcome.result, AppendResult::kSealed);
        return;
      }
    }
  });
  while (other->WaitFor(LogIndex(20), In(milliseconds(10'000))).ok() == false) {
  }
  absl::StatusOr<LogIndex> last = other->Seal();
  while (!last.ok()) last = other->Seal();
  writer.join();
  servers.SetFaults(nullptr);
  EXPECT_EQ(*one->Tail(), *last);
  EXPECT_EQ(*other->Tail(), *last);
  EXPECT_EQ(ReadAll(one.get()).size(), last->value());
}

INSTANTIATE_TEST_SUITE_P(Seeds, QuorumFaultsTest, testing::Range(1u, 6u));

}  // namespace
}  // namespace kafed::metastore
