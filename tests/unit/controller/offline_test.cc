// Verify and restore: data directories without a node.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/snapshot_file.h"
#include "controller/offline/restore.h"
#include "controller/offline/verify.h"
#include "controller/write/node_log.h"
#include "controller/write/recovery.h"
#include "controller/write/replica.h"
#include "federation/image/entry_codec.h"
#include "federation/image/image_io.h"
#include "tests/unit/controller/node_bench.h"
#include "tests/unit/metastore/temp_directory.h"

namespace kafed::controller {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

absl::Status SaveImage(const federation::Image& image, NodeLog* node) {
  return node->snapshots
      ->Save({image.head().incarnation, image.head().index},
             federation::HeaderOf(image),
             [&](SnapshotWriter& writer) {
               return federation::AddRows(image, &writer);
             })
      .status();
}

class OfflineTest : public testing::Test {
 protected:
  // A directory with a log of 6 entries, a snapshot at 4, a backup at 5.
  void SetUp() override {
    auto node = NodeLog::Open({.directory = data_}, RealClock());
    ASSERT_TRUE(node.ok()) << node.status();
    {
      NodeBench bench(&node->log());
      ASSERT_TRUE(bench.AddCluster("a").ok());
      ASSERT_TRUE(bench.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
      ASSERT_TRUE(bench.AddHosts("h", 5).ok());
      ASSERT_TRUE(SaveImage(*bench.replica->image(), &*node).ok());
      ASSERT_TRUE(bench.AddHosts("i", 5).ok());
      const auto image = bench.replica->image();
      ASSERT_TRUE(WriteSnapshotFile(backup_, federation::HeaderOf(*image),
                                    [&](SnapshotWriter& writer) {
                                      return federation::AddRows(*image,
                                                                 &writer);
                                    })
                      .ok());
      ASSERT_TRUE(bench.AddHosts("j", 5).ok());
      last_ = bench.replica->image()->Hash();
    }
  }
  // The write-ahead log that is in use.
  std::string WriteAheadLog() const {
    std::string newest;
    for (const auto& entry : fs::directory_iterator(data_ + "/db")) {
      if (entry.path().extension() != ".log" || entry.file_size() == 0) {
        continue;
      }
      if (entry.path().string() > newest) newest = entry.path().string();
    }
    return newest;
  }
  static void FlipByte(const std::string& path, int64_t offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(offset);
    const char flipped = static_cast<char>(file.get() ^ 0x10);
    file.seekp(offset);
    file.put(flipped);
  }
  VerifyReport Look() {
    auto report = Verify(data_);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *std::move(report) : VerifyReport();
  }

  metastore::TempDirectory folder_;
  const std::string data_ = folder_.path() + "/data";
  const std::string backup_ = folder_.path() + "/backup";
  TableDigest last_;
};

TEST_F(OfflineTest, ASoundDirectoryHasNoDamage) {
  const VerifyReport report = Look();
  EXPECT_THAT(report.damage, IsEmpty());
  EXPECT_EQ(report.entries, 6u);
  EXPECT_EQ(report.snapshots, 1u);
  EXPECT_EQ(report.last_entry, LogIndex(6));
  EXPECT_EQ(report.recovered.Hash(), last_);
}

TEST_F(OfflineTest, ACutWriteAheadLogIsALossAndNotAnEnd) {
  const std::string log = WriteAheadLog();
  ASSERT_FALSE(log.empty());
  fs::resize_file(log, fs::file_size(log) - 100);
  const auto opened = NodeLog::Open({.directory = data_}, RealClock());
  EXPECT_TRUE(absl::IsDataLoss(opened.status())) << opened.status();
  EXPECT_THAT(opened.status().ToString(), HasSubstr("kafed verify"));
  const VerifyReport report = Look();
  EXPECT_THAT(report.damage, ElementsAre(HasSubstr("before what was synced")));
  EXPECT_EQ(report.recovered.position(), (Position{1, LogIndex(5)}));
}

TEST_F(OfflineTest, AFlippedBitInTheMiddleOfTheWriteAheadLogIsALoss) {
  const std::string log = WriteAheadLog();
  FlipByte(log, static_cast<int64_t>(fs::file_size(log) / 3));
  const auto opened = NodeLog::Open({.directory = data_}, RealClock());
  EXPECT_TRUE(absl::IsDataLoss(opened.status())) << opened.status();
  EXPECT_THAT(Look().damage, Contains(HasSubstr("before what was synced")));
}

TEST_F(OfflineTest, ADamagedEntryIsNamedAndASnapshotBehindItIsUsed) {
  {
    auto node = NodeLog::Open({.directory = data_}, RealClock());
    ASSERT_TRUE(node.ok()) << node.status();
    auto bytes = node->store->log().GetRawForTest(LogIndex(3));
    ASSERT_TRUE(bytes.ok());
    bytes->back() = static_cast<char>(bytes->back() ^ 1);
    ASSERT_TRUE(node->store->log().PutRawForTest(LogIndex(3), *bytes).ok());
  }
  const VerifyReport report = Look();
  EXPECT_THAT(report.damage, ElementsAre(HasSubstr("log entry 3")));
  EXPECT_EQ(report.recovered.Hash(), last_);
}

TEST_F(OfflineTest, AnEntryOfANewerFeatureLevelAsksForANewerVersion) {
  const std::string says = "feature level " +
                           std::to_string(federation::kFeatureLevel + 1) +
                           " is above the highest this version supports";
  {
    auto node = NodeLog::Open({.directory = data_}, RealClock());
    ASSERT_TRUE(node.ok()) << node.status();
    const auto image = Recover(&node->log(), node->snapshots.get());
    ASSERT_TRUE(image.ok()) << image.status();
    v1::Entry entry;
    v1::EntryHeader& header = *entry.mutable_header();
    *header.mutable_position() = PositionOf(*image);
    header.mutable_position()->set_index(7);
    header.set_predecessor_hash(image->head().header_hash);
    header.set_feature_level(federation::kFeatureLevel + 1);
    ASSERT_TRUE(
        node->log()
            .AppendAt(LogIndex(7),
                      {.id = {1}, .payload = federation::EncodeEntry(entry)})
            .ok());
    EXPECT_THAT(
        Recover(&node->log(), node->snapshots.get()).status().ToString(),
        HasSubstr(says));
  }
  EXPECT_THAT(Look().damage, Contains(HasSubstr(says)));
}

TEST_F(OfflineTest, WhatIsSalvagedCanBeRestored) {
  const std::string log = WriteAheadLog();
  fs::resize_file(log, fs::file_size(log) - 100);
  const std::string salvage = folder_.path() + "/salvage";
  const VerifyReport report = Look();
  ASSERT_TRUE(SaveRecovered(report, salvage).ok());
  const auto restored = Restore({salvage, folder_.path() + "/new", 0});
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->backup, report.recovered.position());
  EXPECT_EQ(restored->restored, (Position{2, LogIndex(6)}));
  EXPECT_EQ(restored->hosts, 10u);
}

TEST_F(OfflineTest, ARestoredDirectoryServesAsANewIncarnation) {
  const std::string place = folder_.path() + "/new/";
  ASSERT_TRUE(Restore({backup_, place, 0}).ok());
  {
    auto node = NodeLog::Open({.directory = place}, RealClock());
    ASSERT_TRUE(node.ok()) << node.status();
    const auto image = Recover(&node->log(), node->snapshots.get());
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->position(), (Position{2, LogIndex(6)}));
    EXPECT_TRUE(image->host("i4").has_value());
    EXPECT_FALSE(image->host("j0").has_value());
  }
  const auto report = Verify(place);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->damage, IsEmpty());
  EXPECT_EQ(report->first_entry, LogIndex(6));
  EXPECT_EQ(report->snapshots, 2u);
}

TEST_F(OfflineTest, RestoreRefusesWhatWouldLoseOrMixData) {
  const auto fails = [&](const RestoreOptions& options) {
    return Restore(options).status().ToString();
  };
  EXPECT_THAT(fails({backup_, data_, 0}), HasSubstr("data_dir: "));
  EXPECT_THAT(fails({backup_, backup_, 0}), HasSubstr("is not a folder"));
  EXPECT_THAT(fails({backup_, "", 0}), HasSubstr("data_dir: is empty"));
  const std::string place = folder_.path() + "/new";
  EXPECT_THAT(fails({folder_.path() + "/none", place, 0}), HasSubstr("from: "));
  EXPECT_THAT(fails({folder_.path(), place, 0}), HasSubstr("is a folder"));
  EXPECT_THAT(fails({backup_, place, 1}),
              HasSubstr("incarnation: is 1, the backup is of 1"));
  EXPECT_THAT(fails({backup_, place, 4'001}), HasSubstr("expected 2 to 4000"));
  FlipByte(backup_, static_cast<int64_t>(fs::file_size(backup_) / 2));
  EXPECT_THAT(fails({backup_, place, 0}), HasSubstr("from: "));
  EXPECT_FALSE(fs::exists(place));
  EXPECT_FALSE(fs::exists(place + ".restoring"));
}

TEST_F(OfflineTest, NothingIsNotSalvaged) {
  const std::string salvage = folder_.path() + "/salvage";
  EXPECT_THAT(SaveRecovered(VerifyReport(), salvage).ToString(),
              HasSubstr("nothing can be recovered"));
  EXPECT_FALSE(fs::exists(salvage));
}

TEST_F(OfflineTest, VerifyRefusesOtherFoldersAndThoseInUse) {
  EXPECT_TRUE(absl::IsNotFound(Verify(folder_.path() + "/none").status()));
  EXPECT_FALSE(fs::exists(folder_.path() + "/none"));
  EXPECT_THAT(Verify(folder_.path()).status().ToString(),
              HasSubstr("is not a data directory"));
  const auto node = NodeLog::Open({.directory = data_}, RealClock());
  ASSERT_TRUE(node.ok());
  EXPECT_THAT(Verify(data_).status().ToString(), HasSubstr("in use"));
}

}  // namespace
}  // namespace kafed::controller
