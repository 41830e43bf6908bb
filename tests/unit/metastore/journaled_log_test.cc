// A node's own copy of a log that others keep: never ahead, never in the way.
#include "metastore/log/journaled_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <vector>

#include "metastore/log/memory_loglet.h"
#include "tests/unit/metastore/log_test_support.h"
#include "tests/unit/metastore/temp_directory.h"

namespace kafed::metastore {
namespace {

using ::testing::HasSubstr;

constexpr size_t kEverything = 1 << 30;
constexpr milliseconds kLong{20'000};

class JournaledLogTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    const absl::Status opened = TryReopen();
    ASSERT_TRUE(opened.ok()) << opened;
  }
  absl::Status TryReopen() {
    log_.reset();
    store_.reset();
    store_ = OpenStore(directory_.path(), [this](WriteStage) {
      return failing_ ? absl::UnavailableError("the disk is gone")
                      : absl::OkStatus();
    });
    auto log = JournaledLog::Open(shared_.get(), store_.get());
    if (!log.ok()) return log.status();
    log_ = *std::move(log);
    return absl::OkStatus();
  }
  void AppendElsewhere(uint64_t first, size_t count) {
    ASSERT_TRUE(
        shared_->AppendBatchAt(LogIndex(first), MakeEntries(first, count))
            .ok());
  }
  std::vector<LogEntry> Copy(uint64_t first, uint64_t last) {
    auto read =
        store_->log().Read(LogIndex(first), LogIndex(last), kEverything);
    EXPECT_TRUE(read.ok()) << read.status();
    return read.ok() ? *std::move(read) : std::vector<LogEntry>();
  }

  TempDirectory directory_;
  std::atomic<bool> failing_{false};
  std::unique_ptr<MemoryLoglet> shared_ = std::make_unique<MemoryLoglet>();
  std::unique_ptr<Store> store_;
  std::unique_ptr<JournaledLog> log_;
};

TEST_F(JournaledLogTest, HoldsWhatWasAppendedAndWhatWasRead) {
  ASSERT_TRUE(log_->AppendBatchAt(LogIndex(1), MakeEntries(1, 3)).ok());
  AppendElsewhere(4, 5);
  EXPECT_EQ(log_->Read(LogIndex(4), kEverything).value(),
            AtIndex(4, MakeEntries(4, 5)));
  ASSERT_TRUE(log_->WaitJournaled(LogIndex(8), kLong));
  EXPECT_EQ(Copy(1, 8), AtIndex(1, MakeEntries(1, 8)));
  EXPECT_EQ(log_->Tail().value(), LogIndex(8));
}

TEST_F(JournaledLogTest, AnAppendThatWasRefusedIsNotInTheCopy) {
  AppendElsewhere(1, 2);
  EXPECT_EQ(log_->AppendAt(LogIndex(2), MakeEntry(77)).result,
            AppendResult::kConflict);
  ASSERT_TRUE(log_->Read(LogIndex(1), kEverything).ok());
  ASSERT_TRUE(log_->WaitJournaled(LogIndex(2), kLong));
  EXPECT_EQ(Copy(1, 2), AtIndex(1, MakeEntries(1, 2)));
}

TEST_F(JournaledLogTest, ServesHistoryThatTheQuorumHasTrimmed) {
  ASSERT_TRUE(log_->AppendBatchAt(LogIndex(1), MakeEntries(1, 10)).ok());
  ASSERT_TRUE(log_->WaitJournaled(LogIndex(10), kLong));
  ASSERT_TRUE(shared_->Trim(LogIndex(9)).ok());
  EXPECT_EQ(log_->FirstKept().value(), LogIndex(1));
  EXPECT_EQ(log_->Read(LogIndex(3), kEverything).value(),
            AtIndex(3, MakeEntries(3, 8)));
  // Its own trim is of the copy only.
  ASSERT_TRUE(log_->Trim(LogIndex(5)).ok());
  EXPECT_EQ(log_->FirstKept().value(), LogIndex(5));
  EXPECT_EQ(shared_->FirstKept().value(), LogIndex(9));
  EXPECT_TRUE(
      absl::IsOutOfRange(log_->Read(LogIndex(3), kEverything).status()));
}

TEST_F(JournaledLogTest, GoesOnWhereItWasAfterARestart) {
  ASSERT_TRUE(log_->AppendBatchAt(LogIndex(1), MakeEntries(1, 3)).ok());
  ASSERT_TRUE(log_->WaitJournaled(LogIndex(3), kLong));
  log_.reset();
  AppendElsewhere(4, 3);
  Reopen();
  EXPECT_EQ(log_->journaled(), LogIndex(3));
  ASSERT_TRUE(log_->AppendAt(LogIndex(7), MakeEntry(7)).ok());
  // 4 to 6 were never read here: it fetches them.
  ASSERT_TRUE(log_->WaitJournaled(LogIndex(7), kLong));
  EXPECT_EQ(Copy(1, 7), AtIndex(1, MakeEntries(1, 7)));
}

TEST_F(JournaledLogTest, BeginsAnewBehindWhatIsTrimmed) {
  ASSERT_TRUE(log_->AppendBatchAt(LogIndex(1), MakeEntries(1, 3)).ok());
  ASSERT_TRUE(log_->WaitJournaled(LogIndex(3), kLong));
  log_.reset();
  AppendElsewhere(4, 10);
  ASSERT_TRUE(shared_->Trim(LogIndex(10)).ok());
  Reopen();
  EXPECT_EQ(log_->FirstKept().value(), LogIndex(10));  // there is a gap
  ASSERT_TRUE(log_->Read(LogIndex(10), kEverything).ok());
  ASSERT_TRUE(log_->WaitJournaled(LogIndex(13), kLong));
  EXPECT_EQ(Copy(10, 13), AtIndex(10, MakeEntries(10, 4)));
  Reopen();
  EXPECT_EQ(log_->journaled(), LogIndex(13));
  EXPECT_EQ(log_->FirstKept().value(), LogIndex(10));
}

TEST_F(JournaledLogTest, AFailingDiskDelaysNothingAndIsMadeUpFor) {
  failing_ = true;
  for (uint64_t index = 1; index <= 5; ++index) {
    ASSERT_TRUE(log_->AppendAt(LogIndex(index), MakeEntry(index)).ok());
  }
  EXPECT_FALSE(log_->WaitJournaled(LogIndex(1), milliseconds(100)));
  EXPECT_EQ(log_->Read(LogIndex(2), kEverything).value(),
            AtIndex(2, MakeEntries(2, 4)));
  failing_ = false;
  // Although nothing new comes.
  ASSERT_TRUE(log_->WaitJournaled(LogIndex(5), kLong));
  EXPECT_EQ(Copy(1, 5), AtIndex(1, MakeEntries(1, 5)));
}

TEST_F(JournaledLogTest, ACopyThatGoesFurtherThanTheLogIsRefused) {
  ASSERT_TRUE(log_->AppendBatchAt(LogIndex(1), MakeEntries(1, 5)).ok());
  ASSERT_TRUE(log_->WaitJournaled(LogIndex(5), kLong));
  log_.reset();
  shared_ = std::make_unique<MemoryLoglet>();  // its data is lost
  AppendElsewhere(1, 4);
  const absl::Status opened = TryReopen();
  EXPECT_TRUE(absl::IsFailedPrecondition(opened)) << opened;
  EXPECT_THAT(std::string(opened.message()),
              HasSubstr("the log ends at 4, but this node's copy at 5"));
}

TEST_F(JournaledLogTest, ACopyOfAnotherLogIsRefused) {
  ASSERT_TRUE(log_->AppendBatchAt(LogIndex(1), MakeEntries(1, 5)).ok());
  ASSERT_TRUE(log_->WaitJournaled(LogIndex(5), kLong));
  log_.reset();
  shared_ = std::make_unique<MemoryLoglet>();
  ASSERT_TRUE(shared_->AppendBatchAt(LogIndex(1), MakeEntries(101, 9)).ok());
  const absl::Status opened = TryReopen();
  EXPECT_TRUE(absl::IsFailedPrecondition(opened)) << opened;
  EXPECT_THAT(std::string(opened.message()), HasSubstr("entry 5"));
}

}  // namespace
}  // namespace kafed::metastore
