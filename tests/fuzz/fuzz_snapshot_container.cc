// Snapshot containers: hostile bytes are refused with a status, and what is
// read back from a container that was accepted is what was in it.
//
// The input is read as it is and once more with its checksums made right, so
// that what lies behind them is reached.
#include <vector>

#include "common/snapshot_container.h"
#include "tests/fuzz/snapshot_repair.h"
#include "tests/fuzz/support.h"

namespace kafed {
namespace {

struct KeptRow {
  uint8_t table;
  std::string key;
  std::string value;
  friend bool operator==(const KeptRow&, const KeptRow&) = default;
};

struct Content {
  SnapshotHeader header;
  std::vector<KeptRow> rows;
  SnapshotSummary summary;
};

absl::StatusOr<Content> ReadAll(std::string_view bytes) {
  SnapshotReader reader(SourceOf(bytes));
  Content content;
  auto header = reader.ReadHeader();
  if (!header.ok()) return header.status();
  content.header = *std::move(header);
  SnapshotRow row;
  while (true) {
    const auto more = reader.Next(&row);
    if (!more.ok()) {
      FUZZ_CHECK(!reader.Next(&row).ok());  // it stays failed
      return more.status();
    }
    if (!*more) break;
    content.rows.push_back(
        {row.table, std::string(row.key), std::string(row.value)});
  }
  content.summary = reader.summary();
  return content;
}

std::string Write(const Content& content) {
  std::string bytes;
  SnapshotWriter writer([&](std::string_view more) {
    bytes.append(more);
    return absl::OkStatus();
  });
  FUZZ_CHECK(writer.Begin(content.header).ok());
  for (const KeptRow& row : content.rows) {
    FUZZ_CHECK(writer.Add(row.table, row.key, row.value).ok());
  }
  const auto summary = writer.Finish();
  FUZZ_CHECK(summary.ok());
  FUZZ_CHECK(summary->bytes == bytes.size());
  return bytes;
}

void Try(std::string_view bytes) {
  const auto content = ReadAll(bytes);
  if (!content.ok()) {
    const auto code = content.status().code();
    FUZZ_CHECK(code == absl::StatusCode::kInvalidArgument ||
               code == absl::StatusCode::kFailedPrecondition ||
               code == absl::StatusCode::kDataLoss);
    return;
  }
  FUZZ_CHECK(content->summary.bytes == bytes.size());
  FUZZ_CHECK(content->summary.rows == content->rows.size());
  const auto again = ReadAll(Write(*content));
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(again->header.kind == content->header.kind);
  FUZZ_CHECK(again->header.blob == content->header.blob);
  FUZZ_CHECK(again->rows == content->rows);
  // Nothing may be missing at its end, and nothing may follow.
  FUZZ_CHECK(!ReadAll(bytes.substr(0, bytes.size() - 1)).ok());
  FUZZ_CHECK(!ReadAll(std::string(bytes) + '\0').ok());
}

}  // namespace
}  // namespace kafed

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = kafed::fuzz::AsText(data, size);
  kafed::Try(bytes);
  kafed::Try(kafed::fuzz::RepairSnapshot(bytes));
  return 0;
}
