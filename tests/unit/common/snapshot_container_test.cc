#include "common/snapshot_container.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace kafed {
namespace {

using ::testing::HasSubstr;

struct OwnedRow {
  uint8_t table;
  std::string key;
  std::string value;
  friend bool operator==(const OwnedRow&, const OwnedRow&) = default;
};

SnapshotSink AppendTo(std::string* out) {
  return [out](std::string_view bytes) {
    out->append(bytes);
    return absl::OkStatus();
  };
}

std::string Encode(const SnapshotHeader& header,
                   const std::vector<OwnedRow>& rows,
                   SnapshotSummary* summary = nullptr) {
  std::string out;
  SnapshotWriter writer(AppendTo(&out));
  EXPECT_TRUE(writer.Begin(header).ok());
  for (const OwnedRow& row : rows) {
    EXPECT_TRUE(writer.Add(row.table, row.key, row.value).ok());
  }
  auto finished = writer.Finish();
  EXPECT_TRUE(finished.ok()) << finished.status();
  if (summary != nullptr) *summary = *finished;
  return out;
}

absl::Status Decode(std::string_view bytes, SnapshotHeader* header = nullptr,
                    std::vector<OwnedRow>* rows = nullptr,
                    SnapshotSummary* summary = nullptr) {
  SnapshotReader reader(SourceOf(bytes));
  auto read = reader.ReadHeader();
  if (!read.ok()) return read.status();
  if (header != nullptr) *header = *read;
  SnapshotRow row;
  while (true) {
    auto more = reader.Next(&row);
    if (!more.ok()) return more.status();
    if (!*more) break;
    if (rows != nullptr) {
      rows->push_back(
          {row.table, std::string(row.key), std::string(row.value)});
    }
  }
  if (summary != nullptr) *summary = reader.summary();
  return absl::OkStatus();
}

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kDigits[static_cast<uint8_t>(c) >> 4];
    out += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

const SnapshotHeader kHeader{SnapshotKind::kRouteView, "hdr"};
const std::vector<OwnedRow> kRows = {
    {1, "k1", "value"}, {2, "", ""}, {1, std::string("\0\xff", 2), "v"}};

// Rows that compress, but span several chunks.
std::vector<OwnedRow> ManyRows() {
  std::vector<OwnedRow> rows;
  std::mt19937 random(7);
  for (uint32_t i = 0; i < 30'000; ++i) {
    rows.push_back({static_cast<uint8_t>(i % 5), "host-" + std::to_string(i),
                    std::string(random() % 200, 'x') + std::to_string(i)});
  }
  return rows;
}

// clang-format off
TEST(SnapshotContainerTest, GoldenBytesOfVersion1) {
  EXPECT_EQ(Hex(Encode(kHeader, kRows)),
            // Header: magic, version, kind, reserved, length, blob, checksum.
            "6b61666564736e70" "0100" "02" "00" "03000000" "686472"
            "db80a0a5a51eb478"
            // Chunk: tag, codec, stored, raw, rows, checksum.
            "43" "00" "25000000" "25000000" "03000000" "7353f73581cdfe82"
            // Rows: table, key length, value length, key, value.
            "01" "02000000" "05000000" "6b31" "76616c7565"
            "02" "00000000" "00000000"
            "01" "02000000" "01000000" "00ff" "76"
            // Trailer: tag, chunks, rows, checksum.
            "45" "0100000000000000" "0300000000000000" "e22fcb28e0622b14");
}
// clang-format on

TEST(SnapshotContainerTest, GivesBackHeaderRowsAndSummary) {
  const std::vector<OwnedRow> rows = ManyRows();
  SnapshotSummary written;
  const std::string bytes =
      Encode({SnapshotKind::kImage, "blob"}, rows, &written);
  EXPECT_EQ(written.rows, rows.size());
  EXPECT_EQ(written.bytes, bytes.size());
  EXPECT_GT(written.chunks, 2u);
  EXPECT_LT(bytes.size(), 2'000'000u) << "it should be compressed";

  SnapshotHeader header;
  std::vector<OwnedRow> read_rows;
  SnapshotSummary read;
  ASSERT_TRUE(Decode(bytes, &header, &read_rows, &read).ok());
  EXPECT_EQ(header.kind, SnapshotKind::kImage);
  EXPECT_EQ(header.blob, "blob");
  EXPECT_EQ(read_rows, rows);
  EXPECT_EQ(read, written);
}

TEST(SnapshotContainerTest, ReadsFromASourceThatGivesOneByteAtATime) {
  const std::string bytes = Encode(kHeader, kRows);
  size_t at = 0;
  SnapshotReader reader(
      [&](char* buffer, size_t size) -> absl::StatusOr<size_t> {
        if (at == bytes.size() || size == 0) return 0;
        *buffer = bytes[at++];
        return 1;
      });
  ASSERT_TRUE(reader.ReadHeader().ok());
  SnapshotRow row;
  size_t rows = 0;
  while (reader.Next(&row).value()) ++rows;
  EXPECT_EQ(rows, kRows.size());
}

TEST(SnapshotContainerTest, AnEmptyOneIsValid) {
  std::vector<OwnedRow> rows;
  EXPECT_TRUE(Decode(Encode(kHeader, {}), nullptr, &rows).ok());
  EXPECT_TRUE(rows.empty());
}

TEST(SnapshotContainerTest, EveryTruncationIsRejected) {
  const std::string bytes = Encode(kHeader, kRows);
  for (size_t size = 0; size < bytes.size(); ++size) {
    const absl::Status status = Decode(bytes.substr(0, size));
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << size;
    EXPECT_THAT(std::string(status.message()), HasSubstr("it ends after"));
  }
}

TEST(SnapshotContainerTest, EveryFlippedBitIsRejected) {
  // One chunk is stored as it is, the other is compressed.
  std::vector<OwnedRow> compressible = {{3, "key", std::string(300, 'a')}};
  for (const auto& rows : {kRows, compressible}) {
    const std::string bytes = Encode(kHeader, rows);
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string changed = bytes;
      changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_FALSE(Decode(changed).ok()) << "bit " << bit;
    }
  }
}

TEST(SnapshotContainerTest, EveryFlippedByteOfACompressedChunkIsRejected) {
  const std::string bytes = Encode(kHeader, ManyRows());
  std::mt19937 random(11);
  for (int i = 0; i < 50; ++i) {
    std::string changed = bytes;
    changed[random() % changed.size()] ^= static_cast<char>(0x80);
    EXPECT_FALSE(Decode(changed).ok());
  }
}

TEST(SnapshotContainerTest, BytesAfterTheEndAreRejected) {
  const absl::Status status = Decode(Encode(kHeader, kRows) + "x");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("bytes follow"));
}

TEST(SnapshotContainerTest, ChunksInAnotherOrderAreRejected) {
  // Two chunks, each of one row that cannot be compressed to nothing.
  std::string out;
  std::vector<size_t> ends;
  SnapshotWriter writer([&](std::string_view bytes) {
    out.append(bytes);
    ends.push_back(out.size());
    return absl::OkStatus();
  });
  const std::string big(kSnapshotChunkTargetBytes, 'b');
  ASSERT_TRUE(writer.Begin(kHeader).ok());
  ASSERT_TRUE(writer.Add(1, "first", big).ok());
  ASSERT_TRUE(writer.Add(1, "second", big).ok());
  ASSERT_TRUE(writer.Finish().ok());
  // Emitted: header; chunk header, rows; chunk header, rows; trailer parts.
  ASSERT_EQ(ends.size(), 7u);
  const std::string first = out.substr(ends[0], ends[2] - ends[0]);
  const std::string second = out.substr(ends[2], ends[4] - ends[2]);
  const absl::Status status =
      Decode(out.substr(0, ends[0]) + second + first + out.substr(ends[4]));
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("of the whole"));
}

TEST(SnapshotContainerTest, OtherFilesAndNewerVersionsAreNamed) {
  absl::Status status = Decode("SQLite format 3 and so on");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not a snapshot"));

  std::string newer = Encode(kHeader, kRows);
  newer[8] = 2;
  status = Decode(newer);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("format version 2"));
}

TEST(SnapshotContainerTest, HostileLengthsAreRefusedBeforeAnyAllocation) {
  std::string bytes = Encode(kHeader, kRows);
  const size_t chunk = 16 + 3 + 8;
  ASSERT_EQ(bytes[chunk], 'C');
  for (const size_t field : {chunk + 2, chunk + 6, chunk + 10}) {
    std::string changed = bytes;
    for (size_t i = 0; i < 4; ++i) changed[field + i] = '\xff';
    const absl::Status status = Decode(changed);
    EXPECT_THAT(std::string(status.message()), HasSubstr("out of range"));
  }
  for (size_t i = 12; i < 16; ++i) bytes[i] = '\xff';
  EXPECT_THAT(std::string(Decode(bytes).message()), HasSubstr("header blob"));
}

TEST(SnapshotContainerTest, TheWriterRefusesWhatDoesNotFit) {
  std::string out;
  SnapshotWriter writer(AppendTo(&out));
  EXPECT_EQ(writer.Add(1, "k", "v").code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(writer
                .Begin({SnapshotKind::kImage,
                        std::string(kMaxSnapshotHeaderBytes + 1, 'x')})
                .code(),
            absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(writer.Begin(kHeader).ok());
  const std::string most(kMaxSnapshotChunkBytes - 9 - 1, 'v');
  EXPECT_TRUE(writer.Add(1, "k", most).ok());
  EXPECT_EQ(writer.Add(1, "kk", most).code(),
            absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(writer.Finish().ok());
  std::vector<OwnedRow> rows;
  EXPECT_TRUE(Decode(out, nullptr, &rows).ok());
  EXPECT_EQ(rows.size(), 1u);
}

TEST(SnapshotContainerTest, ErrorsOfSinkAndSourceArePassedOn) {
  SnapshotWriter writer(
      [](std::string_view) { return absl::UnavailableError("disk"); });
  EXPECT_EQ(writer.Begin(kHeader).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(writer.Finish().status().code(),
            absl::StatusCode::kFailedPrecondition);
  SnapshotReader reader([](char*, size_t) -> absl::StatusOr<size_t> {
    return absl::UnavailableError("disk");
  });
  EXPECT_EQ(reader.ReadHeader().status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace kafed
