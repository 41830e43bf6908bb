#include "tests/unit/metastore/loglet_contract.h"

#include <gmock/gmock.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

namespace kafed::metastore {
namespace {

using ::testing::HasSubstr;

constexpr size_t kEverything = 1 << 30;
constexpr milliseconds kLong{20'000};

TEST_P(LogletContractTest, AnEmptyLogHasTailZero) {
  EXPECT_EQ(log_->Tail().value(), LogIndex(0));
  EXPECT_EQ(log_->FirstKept().value(), LogIndex(1));
  EXPECT_EQ(log_->SizeBytes().value(), 0u);
  EXPECT_TRUE(log_->Read(LogIndex(1), kEverything).value().empty());
  EXPECT_TRUE(log_->Trim(LogIndex(9)).ok());
}

TEST_P(LogletContractTest, ReadsBackWhatWasAppendedInOrder) {
  AppendMany(3);
  EXPECT_EQ(log_->Tail().value(), LogIndex(3));
  EXPECT_EQ(log_->Read(LogIndex(1), kEverything).value(),
            AtIndex(1, MakeEntries(1, 3)));
  EXPECT_EQ(log_->Read(LogIndex(3), kEverything).value(),
            AtIndex(3, MakeEntries(3, 1)));
  EXPECT_TRUE(log_->Read(LogIndex(4), kEverything).value().empty());
  EXPECT_EQ(log_->SizeBytes().value(), 3 * MakeEntry(1).payload.size());
}

TEST_P(LogletContractTest, ASecondEntryAtAnIndexIsAConflictWithTheTail) {
  AppendMany(2);
  for (const uint64_t index : {1, 2, 4, 100}) {
    const AppendOutcome outcome =
        log_->AppendAt(LogIndex(index), MakeEntry(77));
    EXPECT_EQ(outcome.result, AppendResult::kConflict) << index;
    EXPECT_EQ(outcome.tail, LogIndex(2));
    EXPECT_EQ(outcome.detail.code(), absl::StatusCode::kAborted);
  }
  EXPECT_EQ(log_->Tail().value(), LogIndex(2));
}

TEST_P(LogletContractTest, TheSameIdAtTheSameIndexIsOkAgain) {
  AppendMany(3);
  EXPECT_TRUE(log_->AppendAt(LogIndex(2), MakeEntry(2)).ok());
  EXPECT_EQ(log_->AppendAt(LogIndex(3), MakeEntry(2)).result,
            AppendResult::kConflict);
  const auto batch = MakeEntries(1, 3);
  EXPECT_TRUE(log_->AppendBatchAt(LogIndex(1), batch).ok());
  EXPECT_EQ(log_->Tail().value(), LogIndex(3));
}

TEST_P(LogletContractTest, ABatchStandsAsAWholeOrNotAtAll) {
  AppendMany(2);
  const auto batch = MakeEntries(3, 4);
  const AppendOutcome outcome = log_->AppendBatchAt(LogIndex(3), batch);
  EXPECT_TRUE(outcome.ok());
  EXPECT_EQ(outcome.tail, LogIndex(6));
  // Begins like what stands, goes on beyond it: neither a retry nor next.
  const auto longer = MakeEntries(5, 4);
  EXPECT_EQ(log_->AppendBatchAt(LogIndex(5), longer).result,
            AppendResult::kConflict);
  EXPECT_EQ(log_->Tail().value(), LogIndex(6));
  EXPECT_EQ(log_->Read(LogIndex(3), kEverything).value(), AtIndex(3, batch));
}

TEST_P(LogletContractTest, WrongBatchesAreRefusedAndNamed) {
  struct Case {
    LogIndex at;
    std::vector<LogEntry> entries;
    const char* says;
  };
  const std::vector<Case> cases = {
      {LogIndex(0), MakeEntries(1, 1), "the first index is 1"},
      {LogIndex(1), {}, "empty batch"},
      {LogIndex(1), {MakeEntry(1, kMaxEntryBytes + 1)}, "limit is 524288"},
      {LogIndex(1), std::vector<LogEntry>(17, MakeEntry(1, kMaxEntryBytes)),
       "several batches"},
  };
  for (const Case& wrong : cases) {
    const AppendOutcome outcome = log_->AppendBatchAt(wrong.at, wrong.entries);
    EXPECT_EQ(outcome.result, AppendResult::kRefused);
    EXPECT_EQ(outcome.detail.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(outcome.detail.ToString(), HasSubstr(wrong.says));
  }
  EXPECT_EQ(log_->Tail().value(), LogIndex(0));
  EXPECT_TRUE(log_->AppendAt(LogIndex(1), MakeEntry(1, kMaxEntryBytes)).ok());
}

TEST_P(LogletContractTest, ASealedLogTakesNothingButRetries) {
  AppendMany(2);
  EXPECT_EQ(log_->Seal().value(), LogIndex(2));
  EXPECT_EQ(log_->Seal().value(), LogIndex(2));
  for (const uint64_t index : {1, 2, 3, 9}) {
    const AppendOutcome outcome =
        log_->AppendAt(LogIndex(index), MakeEntry(77));
    EXPECT_EQ(outcome.result, AppendResult::kSealed) << index;
    EXPECT_EQ(outcome.tail, LogIndex(2));
  }
  EXPECT_TRUE(log_->AppendAt(LogIndex(2), MakeEntry(2)).ok());
  EXPECT_EQ(log_->Read(LogIndex(1), kEverything).value().size(), 2u);
  EXPECT_EQ(log_->Tail().value(), LogIndex(2));
}

TEST_P(LogletContractTest, ReadsEndAtTheByteLimitButGiveAtLeastOne) {
  const std::vector<LogEntry> batch(10, MakeEntry(5, 1000));
  ASSERT_TRUE(log_->AppendBatchAt(LogIndex(1), batch).ok());
  EXPECT_EQ(log_->Read(LogIndex(1), 0).value().size(), 1u);
  EXPECT_EQ(log_->Read(LogIndex(1), 999).value().size(), 1u);
  EXPECT_EQ(log_->Read(LogIndex(1), 3000).value().size(), 3u);
  EXPECT_EQ(log_->Read(LogIndex(1), 3999).value().size(), 3u);
  EXPECT_EQ(log_->Read(LogIndex(9), kEverything).value().size(), 2u);
  EXPECT_EQ(log_->Read(LogIndex(0), kEverything).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_P(LogletContractTest, AWaiterIsWokenByTheAppend) {
  std::atomic<bool> done{false};
  absl::Status waited = absl::UnknownError("not yet");
  std::thread waiter([&] {
    waited = log_->WaitFor(LogIndex(3), In(kLong));
    done = true;
  });
  AppendMany(2);
  EXPECT_FALSE(done);
  ASSERT_TRUE(log_->AppendAt(LogIndex(3), MakeEntry(3)).ok());
  waiter.join();
  EXPECT_TRUE(waited.ok()) << waited;
  EXPECT_TRUE(log_->WaitFor(LogIndex(1), In(milliseconds(0))).ok());
  EXPECT_TRUE(log_->WaitFor(LogIndex(0), In(milliseconds(0))).ok());
}

TEST_P(LogletContractTest, AWaiterGivesUpAtItsDeadlineOnTheGivenClock) {
  FakeClock clock;
  Use(0, clock);
  const milliseconds deadline = clock.Steady() + milliseconds(100);
  absl::Status waited;
  std::thread waiter([&] { waited = log_->WaitFor(LogIndex(1), deadline); });
  clock.Advance(milliseconds(200));
  waiter.join();
  EXPECT_EQ(waited.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(log_->WaitFor(LogIndex(1), clock.Steady()).code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_P(LogletContractTest, ASealEndsAWaitForWhatWillNeverCome) {
  FakeClock clock;
  Use(0, clock);
  const milliseconds deadline = clock.Steady() + milliseconds(100);
  absl::Status waited;
  std::thread waiter([&] { waited = log_->WaitFor(LogIndex(1), deadline); });
  ASSERT_TRUE(log_->Seal().ok());
  clock.Advance(milliseconds(1000));  // for a log that waits for a successor
  waiter.join();
  EXPECT_THAT(waited.code(),
              ::testing::AnyOf(absl::StatusCode::kFailedPrecondition,
                               absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(log_->WaitFor(LogIndex(1), clock.Steady() - kLong).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_P(LogletContractTest, TrimmedEntriesAreNamedAndTheNewestStays) {
  AppendMany(10);
  ASSERT_TRUE(log_->Trim(LogIndex(4)).ok());
  ASSERT_TRUE(log_->Trim(LogIndex(2)).ok());
  EXPECT_EQ(log_->FirstKept().value(), LogIndex(4));
  EXPECT_EQ(log_->Tail().value(), LogIndex(10));
  const auto trimmed = log_->Read(LogIndex(3), kEverything);
  EXPECT_EQ(trimmed.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(trimmed.status().ToString(), HasSubstr("first one kept is 4"));
  EXPECT_EQ(log_->Read(LogIndex(4), kEverything).value(),
            AtIndex(4, MakeEntries(4, 7)));
  // 4 to 9, and "entry-10".
  EXPECT_EQ(log_->SizeBytes().value(), 6 * 7 + 8u);

  // A retry of what is gone cannot be judged any more.
  const AppendOutcome retried = log_->AppendAt(LogIndex(2), MakeEntry(2));
  EXPECT_EQ(retried.result, AppendResult::kUnknown);
  EXPECT_EQ(retried.detail.code(), absl::StatusCode::kOutOfRange);

  ASSERT_TRUE(log_->Trim(LogIndex(1000)).ok());
  EXPECT_EQ(log_->FirstKept().value(), LogIndex(10));
  EXPECT_EQ(log_->Read(LogIndex(10), kEverything).value(),
            AtIndex(10, MakeEntries(10, 1)));
  EXPECT_TRUE(log_->AppendAt(LogIndex(11), MakeEntry(11)).ok());
}

TEST_P(LogletContractTest, AFullBudgetRefusesUntilHistoryIsTrimmed) {
  Use(2500);
  for (uint64_t i = 1; i <= 2; ++i) {
    ASSERT_TRUE(log_->AppendAt(LogIndex(i), MakeEntry(i, 1000)).ok());
  }
  const AppendOutcome full = log_->AppendAt(LogIndex(3), MakeEntry(3, 1000));
  EXPECT_EQ(full.result, AppendResult::kRefused);
  EXPECT_EQ(full.detail.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(full.detail.ToString(), HasSubstr("budget of 2500"));
  EXPECT_EQ(full.tail, LogIndex(2));
  EXPECT_TRUE(log_->AppendAt(LogIndex(2), MakeEntry(2, 1000)).ok());
  ASSERT_TRUE(log_->Trim(LogIndex(2)).ok());
  EXPECT_TRUE(log_->AppendAt(LogIndex(3), MakeEntry(3, 1000)).ok());
}

TEST_P(LogletContractTest, RacingWritersMakeALogWithoutGapsOrDoubles) {
  constexpr uint64_t kThreads = 4;
  constexpr uint64_t kEach = 50;
  std::vector<std::thread> writers;
  std::atomic<uint64_t> conflicts{0};
  for (uint64_t t = 0; t < kThreads; ++t) {
    writers.emplace_back([&, t] {
      LogIndex at(1);
      for (uint64_t i = 0; i < kEach;) {
        const AppendOutcome outcome =
            log_->AppendAt(at, MakeEntry(t * kEach + i));
        if (outcome.ok()) ++i;
        if (!outcome.ok()) ++conflicts;
        at = Next(outcome.tail);
      }
    });
  }
  // A reader follows meanwhile, and sees every index once.
  std::vector<LogEntry> read;
  while (read.size() < kThreads * kEach) {
    const LogIndex from(read.size() + 1);
    ASSERT_TRUE(log_->WaitFor(from, In(kLong)).ok());
    auto more = log_->Read(from, 4096);
    ASSERT_TRUE(more.ok()) << more.status();
    for (LogEntry& entry : *more) read.push_back(std::move(entry));
  }
  for (std::thread& writer : writers) writer.join();
  ASSERT_EQ(log_->Tail().value(), LogIndex(kThreads * kEach));
  std::vector<uint64_t> next(kThreads, 0);
  for (size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].index, LogIndex(i + 1));
    uint64_t number = 0;
    std::memcpy(&number, read[i].id.data(), sizeof(number));
    const uint64_t writer = number / kEach;
    EXPECT_EQ(number % kEach, next[writer]++) << "order of one writer";
  }
  EXPECT_EQ(log_->Read(LogIndex(1), kEverything).value(), read);
}

}  // namespace
}  // namespace kafed::metastore
