// Snapshot files are verified as a whole, offline.
#include "cli/snapshot_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "federation/image/tables.h"
#include "kafed/v1/rows.pb.h"

namespace kafed::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

std::string RouteViewBytes() {
  std::string bytes;
  SnapshotWriter writer([&bytes](std::string_view part) {
    bytes += part;
    return absl::OkStatus();
  });
  v1::ViewHeader header;
  header.mutable_position()->set_incarnation(1);
  header.mutable_position()->set_index(42);
  EXPECT_TRUE(
      writer.Begin({SnapshotKind::kRouteView, header.SerializeAsString()})
          .ok());
  EXPECT_TRUE(writer.Add(1, "", "a").ok());
  EXPECT_TRUE(writer.Add(5, "", "b").ok());
  EXPECT_TRUE(writer.Add(5, "", "c").ok());
  EXPECT_TRUE(writer.Finish().ok());
  return bytes;
}

absl::StatusOr<SnapshotContent> ReadBytes(const std::string& bytes) {
  const std::string path = ::testing::TempDir() + "/snapshot";
  std::ofstream(path, std::ios::binary) << bytes;
  auto content = ReadSnapshotFile(path);
  std::remove(path.c_str());
  return content;
}

TEST(SnapshotFile, CountsRowsByTable) {
  const auto content = ReadBytes(RouteViewBytes());
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_EQ(content->position.index(), 42u);
  EXPECT_THAT(content->rows, ElementsAre(Pair(1, 1u), Pair(5, 2u)));
  EXPECT_EQ(SnapshotTableName(content->kind, 5), "key");
}

TEST(SnapshotFile, RefusesWhatIsNotWhole) {
  const std::string bytes = RouteViewBytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ReadBytes(bytes.substr(0, size)).ok()) << size;
  }
  std::string changed = bytes;
  changed[bytes.size() / 2] ^= 1;
  EXPECT_FALSE(ReadBytes(changed).ok());
  EXPECT_FALSE(ReadBytes(bytes + "x").ok());
  EXPECT_TRUE(absl::IsNotFound(
      ReadSnapshotFile(::testing::TempDir() + "/none").status()));
}

TEST(SnapshotFile, NamesTheTablesAsTheImageDoes) {
  for (int i = 0; i < federation::kTables; ++i) {
    EXPECT_EQ(SnapshotTableName(SnapshotKind::kImage, static_cast<uint8_t>(i)),
              federation::TableName(static_cast<federation::Table>(i)));
  }
  EXPECT_EQ(SnapshotTableName(SnapshotKind::kImage, 200), "table 200");
}

}  // namespace
}  // namespace kafed::cli
