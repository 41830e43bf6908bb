// What only the loglet on disk promises: restarts, damage, failed writes.
#include "metastore/log/local_loglet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/unit/metastore/log_test_support.h"
#include "tests/unit/metastore/temp_directory.h"

namespace kafed::metastore {
namespace {

using ::testing::HasSubstr;

constexpr size_t kEverything = 1 << 30;

class LocalLogletTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen(LocalLogletOptions options = {}) {
    loglet_.reset();
    store_.reset();
    store_ = OpenStore(directory_.path(), [this](WriteStage stage) {
      return failing_ && stage == failing_stage_ ? failure_ : absl::OkStatus();
    });
    auto loglet = LocalLoglet::Open(store_.get(), options);
    ASSERT_TRUE(loglet.ok()) << loglet.status();
    loglet_ = *std::move(loglet);
  }

  TempDirectory directory_;
  bool failing_ = false;
  WriteStage failing_stage_ = WriteStage::kBefore;
  absl::Status failure_ = absl::UnavailableError("the disk is gone");
  std::unique_ptr<Store> store_;
  std::unique_ptr<LocalLoglet> loglet_;
};

TEST_F(LocalLogletTest, ReopeningKeepsEntriesTrimSealAndSizes) {
  const auto batch = MakeEntries(1, 20);
  ASSERT_TRUE(loglet_->AppendBatchAt(LogIndex(1), batch).ok());
  ASSERT_TRUE(loglet_->Trim(LogIndex(6)).ok());
  const uint64_t bytes = loglet_->SizeBytes().value();
  Reopen();
  EXPECT_EQ(loglet_->Tail().value(), LogIndex(20));
  EXPECT_EQ(loglet_->FirstKept().value(), LogIndex(6));
  EXPECT_EQ(loglet_->SizeBytes().value(), bytes);
  EXPECT_EQ(loglet_->Read(LogIndex(6), kEverything).value(),
            AtIndex(6, MakeEntries(6, 15)));
  EXPECT_TRUE(loglet_->AppendAt(LogIndex(20), MakeEntry(20)).ok());
  EXPECT_TRUE(loglet_->AppendAt(LogIndex(21), MakeEntry(21)).ok());
  ASSERT_TRUE(loglet_->Seal().ok());
  Reopen();
  EXPECT_EQ(loglet_->AppendAt(LogIndex(22), MakeEntry(22)).result,
            AppendResult::kSealed);
  EXPECT_EQ(loglet_->Tail().value(), LogIndex(21));
  EXPECT_TRUE(loglet_->CheckTail().value().sealed);
}

TEST_F(LocalLogletTest, TrimFreesWholeFilesOfALargeLog) {
  std::vector<LogEntry> batch(16, MakeEntry(1, kMaxEntryBytes));
  for (LogEntry& entry : batch) {  // bytes that cannot be compressed away
    uint32_t x = 1;
    for (char& c : entry.payload) {
      x = x * 1664525 + 1013904223;
      c = static_cast<char>(x >> 24);
    }
  }
  for (uint64_t i = 0; i < 6; ++i) {
    ASSERT_TRUE(loglet_->AppendBatchAt(LogIndex(1 + 16 * i), batch).ok());
  }
  ASSERT_TRUE(loglet_->Trim(LogIndex(90)).ok());
  EXPECT_EQ(loglet_->SizeBytes().value(), 7 * kMaxEntryBytes);
  Reopen();
  EXPECT_EQ(loglet_->FirstKept().value(), LogIndex(90));
  EXPECT_EQ(loglet_->Read(LogIndex(90), kEverything).value().size(), 7u);
}

TEST_F(LocalLogletTest, ADamagedEntryIsNamedAndNotGivenOut) {
  const auto batch = MakeEntries(1, 3);
  ASSERT_TRUE(loglet_->AppendBatchAt(LogIndex(1), batch).ok());
  const std::string raw = store_->log().GetRawForTest(LogIndex(2)).value();
  for (size_t bit = 0; bit < raw.size() * 8; ++bit) {
    std::string changed = raw;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    // The store's own write path, without a sync for each bit.
    const auto decoded = DecodeLogValue(LogIndex(2), changed);
    EXPECT_EQ(decoded.status().code(), absl::StatusCode::kDataLoss) << bit;
  }
  std::string changed = raw;
  changed.back() = static_cast<char>(changed.back() ^ 1);
  ASSERT_TRUE(store_->log().PutRawForTest(LogIndex(2), changed).ok());
  const auto read = loglet_->Read(LogIndex(1), kEverything);
  EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(read.status().ToString(), HasSubstr("log entry 2"));
  // The value of another index is no better.
  ASSERT_TRUE(
      store_->log()
          .PutRawForTest(LogIndex(2),
                         store_->log().GetRawForTest(LogIndex(3)).value())
          .ok());
  EXPECT_EQ(loglet_->Read(LogIndex(2), kEverything).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(LocalLogletTest, AFailedWriteIsUnknownAndHeldUntilItStands) {
  ASSERT_TRUE(loglet_->AppendAt(LogIndex(1), MakeEntry(1)).ok());
  for (const WriteStage stage : {WriteStage::kBefore, WriteStage::kAfter}) {
    failing_stage_ = stage;
    const LogIndex at = Next(loglet_->Tail().value());
    const auto mine = MakeEntries(10 * at.value(), 2);
    failing_ = true;
    EXPECT_EQ(loglet_->AppendBatchAt(at, mine).result, AppendResult::kUnknown);
    EXPECT_EQ(loglet_->AppendBatchAt(at, mine).result, AppendResult::kUnknown);
    EXPECT_EQ(Next(loglet_->Tail().value()), at) << "not readable yet";
    const AppendOutcome other = loglet_->AppendAt(at, MakeEntry(999));
    EXPECT_EQ(other.result, AppendResult::kRefused);
    EXPECT_EQ(other.detail.code(), absl::StatusCode::kUnavailable);
    failing_ = false;
    // Another writer comes first: the held batch takes its place all the same.
    EXPECT_EQ(loglet_->AppendAt(at, MakeEntry(999)).result,
              AppendResult::kConflict);
    EXPECT_TRUE(loglet_->AppendBatchAt(at, mine).ok());
    EXPECT_EQ(loglet_->Read(at, kEverything).value(),
              AtIndex(at.value(), mine));
  }
  Reopen();
  EXPECT_EQ(loglet_->Tail().value(), LogIndex(5));
}

TEST_F(LocalLogletTest, AFullDiskIsARefusalThatHoldsNothing) {
  failure_ = absl::ResourceExhaustedError("the disk is full");
  failing_ = true;
  const AppendOutcome refused = loglet_->AppendAt(LogIndex(1), MakeEntry(1));
  EXPECT_EQ(refused.result, AppendResult::kRefused);
  EXPECT_EQ(refused.detail, failure_);
  failing_ = false;
  EXPECT_TRUE(loglet_->AppendAt(LogIndex(1), MakeEntry(2)).ok());
  EXPECT_EQ(loglet_->Read(LogIndex(1), kEverything).value(),
            AtIndex(1, {MakeEntry(2)}));
}

TEST_F(LocalLogletTest, BelowTheFloorNothingIsWritten) {
  loglet_.reset();
  store_.reset();
  auto store = Store::Open({directory_.path(), ~uint64_t{0} / 2, nullptr});
  ASSERT_TRUE(store.ok()) << store.status();
  auto loglet = LocalLoglet::Open(store->get());
  ASSERT_TRUE(loglet.ok());
  const AppendOutcome outcome = (*loglet)->AppendAt(LogIndex(1), MakeEntry(1));
  EXPECT_EQ(outcome.result, AppendResult::kRefused);
  EXPECT_EQ(outcome.detail.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(outcome.detail.ToString(), HasSubstr("bytes free"));
  EXPECT_THAT(outcome.detail.ToString(), HasSubstr("are needed"));
}

TEST_F(LocalLogletTest, ALaterLogletGoesOnWhereASealedOneEnded) {
  const auto batch = MakeEntries(1, 3);
  ASSERT_TRUE(loglet_->AppendBatchAt(LogIndex(1), batch).ok());
  ASSERT_TRUE(loglet_->Seal().ok());
  auto second = LocalLoglet::Open(store_.get(), {"second", LogIndex(4), 0});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ((*second)->Tail().value(), LogIndex(3));
  EXPECT_TRUE((*second)->AppendAt(LogIndex(4), MakeEntry(4)).ok());
  EXPECT_EQ((*second)->SizeBytes().value(), MakeEntry(4).payload.size());
  EXPECT_EQ(loglet_->Tail().value(), LogIndex(3));
  second->reset();
  Reopen();
  EXPECT_EQ(loglet_->Tail().value(), LogIndex(3));
  EXPECT_EQ(LocalLoglet::Open(store_.get(), {"third", LogIndex(9), 0})
                .status()
                .code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace kafed::metastore
