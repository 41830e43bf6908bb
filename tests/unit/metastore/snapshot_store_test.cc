#include "metastore/log/snapshot_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/unit/metastore/log_test_support.h"
#include "tests/unit/metastore/temp_directory.h"

namespace kafed::metastore {
namespace {

using ::testing::HasSubstr;

SnapshotPosition At(uint64_t index, uint64_t counter = 1) {
  return {{counter, 0xabcdef0123456789}, LogIndex(index)};
}

SnapshotFill Rows(uint64_t count, std::string value = "value") {
  return [count, value](SnapshotWriter& writer) {
    for (uint64_t i = 0; i < count; ++i) {
      absl::Status added = writer.Add(1, std::to_string(i), value);
      if (!added.ok()) return added;
    }
    return absl::OkStatus();
  };
}

class SnapshotStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    snapshots_.reset();
    store_.reset();
    store_ = OpenStore(directory_.path());
    auto opened = SnapshotStore::Open(store_.get(), {}, clock_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    snapshots_ = *std::move(opened);
  }
  absl::StatusOr<uint64_t> CountRows(const SnapshotPosition& position,
                                     SnapshotHeader* header = nullptr) {
    auto reader = snapshots_->Open(position);
    if (!reader.ok()) return reader.status();
    auto read = (*reader)->ReadHeader();
    if (!read.ok()) return read.status();
    if (header != nullptr) *header = *read;
    SnapshotRow row;
    while (true) {
      auto more = (*reader)->Next(&row);
      if (!more.ok()) return more.status();
      if (!*more) return (*reader)->summary().rows;
    }
  }
  std::vector<uint64_t> Indexes() const {
    std::vector<uint64_t> indexes;
    for (const auto& snapshot : snapshots_->List()) {
      indexes.push_back(snapshot.position.index.value());
    }
    return indexes;
  }

  const SnapshotHeader header_{SnapshotKind::kImage, "blob"};
  FakeClock clock_;
  TempDirectory directory_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<SnapshotStore> snapshots_;
};

TEST_F(SnapshotStoreTest, ReadsBackWhatWasSavedAlsoAfterARestart) {
  EXPECT_FALSE(snapshots_->Newest().has_value());
  const auto saved = snapshots_->Save(At(7), header_, Rows(1000));
  ASSERT_TRUE(saved.ok()) << saved.status();
  EXPECT_EQ(saved->summary.rows, 1000u);
  EXPECT_EQ(saved->written_at, clock_.Wall());
  for (int round = 0; round < 2; ++round) {
    SnapshotHeader header;
    EXPECT_EQ(CountRows(At(7), &header).value(), 1000u);
    EXPECT_EQ(header.blob, "blob");
    const auto newest = snapshots_->Newest();
    ASSERT_TRUE(newest.has_value());
    EXPECT_EQ(newest->position, At(7));
    EXPECT_EQ(newest->summary, saved->summary);
    EXPECT_EQ(newest->pieces, saved->pieces);
    EXPECT_EQ(newest->kind, SnapshotKind::kImage);
    Reopen();
  }
}

TEST_F(SnapshotStoreTest, ALargeOneIsStoredInManyPieces) {
  const auto fill = [](SnapshotWriter& writer) {
    std::string noise(100'000, '\0');  // cannot be compressed
    uint32_t x = 1;
    for (int i = 0; i < 100; ++i) {
      for (char& c : noise) {
        x = x * 1664525 + 1013904223;
        c = static_cast<char>(x >> 24);
      }
      if (auto added = writer.Add(2, "key", noise); !added.ok()) return added;
    }
    return absl::OkStatus();
  };
  const auto saved = snapshots_->Save(At(1), header_, fill);
  ASSERT_TRUE(saved.ok()) << saved.status();
  EXPECT_GT(saved->pieces, 2u);
  Reopen();
  EXPECT_EQ(CountRows(At(1)).value(), 100u);
}

TEST_F(SnapshotStoreTest, KeepsTheNewestTwo) {
  for (const uint64_t index : {3, 9, 5, 12}) {
    ASSERT_TRUE(snapshots_->Save(At(index), header_, Rows(index)).ok());
  }
  EXPECT_EQ(Indexes(), (std::vector<uint64_t>{12, 9}));
  const auto gone = CountRows(At(3));
  EXPECT_EQ(gone.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(gone.status().ToString(), HasSubstr("the newest is at 1:12"));
  Reopen();
  EXPECT_EQ(Indexes(), (std::vector<uint64_t>{12, 9}));
  // A later incarnation is newer, whatever its index.
  ASSERT_TRUE(snapshots_->Save(At(1, 2), header_, Rows(1)).ok());
  EXPECT_EQ(Indexes(), (std::vector<uint64_t>{1, 12}));
}

TEST_F(SnapshotStoreTest, TheSamePositionIsSavedOnce) {
  const auto first = snapshots_->Save(At(5), header_, Rows(10));
  ASSERT_TRUE(first.ok());
  const auto second = snapshots_->Save(At(5), header_, Rows(99));
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->summary, first->summary);
  EXPECT_EQ(Indexes().size(), 1u);
}

TEST_F(SnapshotStoreTest, AFailedSaveLeavesNothing) {
  const auto failed =
      snapshots_->Save(At(5), header_, [](SnapshotWriter& writer) {
        for (int i = 0; i < 3; ++i) {
          std::string value(2 << 20, static_cast<char>(i));
          EXPECT_TRUE(writer.Add(1, "k", value).ok());
        }
        return absl::CancelledError("enough");
      });
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(failed.status().ToString(), HasSubstr("snapshot at 1:5"));
  EXPECT_FALSE(snapshots_->Newest().has_value());
  EXPECT_TRUE(store_->snapshots().PositionsWithPieces().value().empty());
  EXPECT_TRUE(snapshots_->Save(At(5), header_, Rows(4)).ok());
  EXPECT_EQ(CountRows(At(5)).value(), 4u);
}

TEST_F(SnapshotStoreTest, AnInterruptedSaveIsRemovedAtStart) {
  ASSERT_TRUE(snapshots_->Save(At(5), header_, Rows(4)).ok());
  for (uint32_t number = 0; number < 3; ++number) {
    ASSERT_TRUE(store_->snapshots().PutPiece(At(8), number, "bytes").ok());
  }
  Reopen();
  EXPECT_EQ(Indexes(), (std::vector<uint64_t>{5}));
  EXPECT_EQ(store_->snapshots().PositionsWithPieces().value(),
            (std::vector<SnapshotPosition>{At(5)}));
}

TEST_F(SnapshotStoreTest, AReaderOutlivesTheDeletionOfItsSnapshot) {
  ASSERT_TRUE(snapshots_->Save(At(1), header_, Rows(5000)).ok());
  auto reader = snapshots_->Open(At(1));
  ASSERT_TRUE(reader.ok());
  for (const uint64_t index : {2, 3, 4}) {
    ASSERT_TRUE(snapshots_->Save(At(index), header_, Rows(1)).ok());
  }
  ASSERT_TRUE((*reader)->ReadHeader().ok());
  SnapshotRow row;
  uint64_t rows = 0;
  while ((*reader)->Next(&row).value()) ++rows;
  EXPECT_EQ(rows, 5000u);
}

TEST_F(SnapshotStoreTest, ReceivesAWholeContainerAndNothingLess) {
  ASSERT_TRUE(snapshots_->Save(At(1), header_, Rows(5000)).ok());
  auto source = snapshots_->OpenBytes(At(1));
  ASSERT_TRUE(source.ok());
  std::string bytes;
  char buffer[999];
  while (const size_t got = (*source)(buffer, sizeof(buffer)).value()) {
    bytes.append(buffer, got);
  }
  const auto received = snapshots_->Receive(At(2), SourceOf(bytes));
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_EQ(received->summary, snapshots_->List().back().summary);
  EXPECT_EQ(CountRows(At(2)).value(), 5000u);

  const std::string cut = bytes.substr(0, bytes.size() - 1);
  EXPECT_EQ(snapshots_->Receive(At(3), SourceOf(cut)).status().code(),
            absl::StatusCode::kDataLoss);
  bytes[bytes.size() / 2] ^= 1;
  EXPECT_EQ(snapshots_->Receive(At(3), SourceOf(bytes)).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(Indexes(), (std::vector<uint64_t>{2, 1}));
}

TEST_F(SnapshotStoreTest, ADamagedManifestIsIgnoredAndTheOlderOneServes) {
  ASSERT_TRUE(snapshots_->Save(At(1), header_, Rows(3)).ok());
  const auto newer = snapshots_->Save(At(2), header_, Rows(3));
  ASSERT_TRUE(newer.ok());
  const std::string manifest = EncodeManifest(*newer);
  for (size_t bit = 0; bit < manifest.size() * 8; ++bit) {
    std::string changed = manifest;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(DecodeManifest(At(2), changed).ok()) << bit;
  }
  for (size_t size = 0; size < manifest.size(); ++size) {
    EXPECT_FALSE(DecodeManifest(At(2), manifest.substr(0, size)).ok());
  }
  ASSERT_TRUE(store_->snapshots().PutManifest(At(2), "damaged").ok());
  Reopen();
  EXPECT_EQ(snapshots_->Newest()->position, At(1));
}

TEST_F(SnapshotStoreTest, AMissingPieceIsNamedWhenRead) {
  auto saved = snapshots_->Save(At(1), header_, Rows(3));
  ASSERT_TRUE(saved.ok());
  // Piece 0 again under the next but one number: piece 1 is not there.
  ASSERT_TRUE(store_->snapshots().PutPiece(At(1), 2, "bytes").ok());
  const auto rows = CountRows(At(1));
  EXPECT_EQ(rows.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(rows.status().ToString(), HasSubstr("piece 1"));
}

TEST_F(SnapshotStoreTest, BelowTheFloorNothingIsSaved) {
  snapshots_.reset();
  store_.reset();
  auto store = Store::Open({directory_.path(), ~uint64_t{0} / 2, nullptr});
  ASSERT_TRUE(store.ok());
  auto snapshots = SnapshotStore::Open(store->get());
  ASSERT_TRUE(snapshots.ok());
  EXPECT_EQ((*snapshots)->Save(At(1), header_, Rows(3)).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(SnapshotStore::Open(store->get(), {0}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace kafed::metastore
