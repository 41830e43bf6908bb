// Images from snapshots: rows that are not those of the header are refused,
// and an image that was loaded is written and loaded again to the same.
//
// The input is a container (repaired), or rows for one with a right header.
#include "federation/image/image_io.h"
#include "kafed/v1/snapshot.pb.h"
#include "tests/fuzz/snapshot_repair.h"
#include "tests/fuzz/support.h"

namespace kafed::federation {
namespace {

std::string Save(const SnapshotHeader& header,
                 const std::function<absl::Status(SnapshotWriter*)>& fill) {
  std::string bytes;
  SnapshotWriter writer([&](std::string_view more) {
    bytes.append(more);
    return absl::OkStatus();
  });
  FUZZ_CHECK(writer.Begin(header).ok());
  FUZZ_CHECK(fill(&writer).ok());
  FUZZ_CHECK(writer.Finish().ok());
  return bytes;
}

absl::StatusOr<Image> Load(std::string_view bytes) {
  SnapshotReader reader(SourceOf(bytes));
  return LoadImage(&reader);
}

void TryContainer(std::string_view bytes) {
  const auto image = Load(bytes);
  if (!image.ok()) return;
  const auto again = Load(Save(HeaderOf(*image), [&](SnapshotWriter* writer) {
    return AddRows(*image, writer);
  }));
  FUZZ_CHECK(again.ok(), again.status().ToString());
  FUZZ_CHECK(again->Hash() == image->Hash());
  FUZZ_CHECK(again->position() == image->position());
}

// Tables and keys from the input; the header promises the right hashes, or
// misses one row.
void TryRows(std::string_view bytes) {
  fuzz::Pieces pieces(bytes);
  const bool honest = pieces.Flag();
  bool bad = false;  // a row that no image has
  std::array<BlockTable, kTables> tables;
  std::vector<std::pair<uint8_t, std::string>> rows;
  while (!pieces.empty() && rows.size() < 200) {
    const auto table = static_cast<uint8_t>(pieces.Below(kTables + 1));
    const std::string key(pieces.Block());
    const std::string value(pieces.Block());
    const bool fits = key.size() <= BlockTable::kMaxKeyBytes;
    if (table < kTables && fits) tables[table].Put(key, value);
    bad = bad || table >= kTables || !fits;
    std::string row;
    fuzz::PutBlock(key, &row);
    fuzz::PutBlock(value, &row);
    rows.emplace_back(table, row);
  }
  v1::ImageHeader header;
  header.mutable_position()->set_incarnation(1);
  header.set_row_version(kRowVersion);
  for (int i = 0; i < kTables; ++i) {
    v1::TableHash& hash = *header.add_hashes();
    hash.set_table(static_cast<uint32_t>(i));
    hash.set_low(tables[i].digest().low);
    hash.set_high(tables[i].digest().high);
    hash.set_rows(tables[i].size() + (!honest && i == 5 ? 1 : 0));
  }
  const std::string saved =
      Save({SnapshotKind::kImage, header.SerializeAsString()},
           [&](SnapshotWriter* writer) {
             absl::Status status;
             for (const auto& [table, row] : rows) {
               fuzz::Pieces cut(row);
               const std::string_view key = cut.Block();
               status.Update(writer->Add(table, key, cut.Block()));
             }
             return status;
           });
  const auto image = Load(saved);
  FUZZ_CHECK(image.ok() == (honest && !bad), image.status().ToString());
}

}  // namespace
}  // namespace kafed::federation

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = kafed::fuzz::AsText(data, size);
  kafed::federation::TryContainer(kafed::fuzz::RepairSnapshot(bytes));
  kafed::federation::TryRows(bytes);
  return 0;
}
