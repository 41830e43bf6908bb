#include "federation/image/image_io.h"

#include "common/status_macros.h"
#include "kafed/v1/snapshot.pb.h"

namespace kafed::federation {

// Fills an image row by row; the one other writer beside Editor.
class ImageLoader {
 public:
  void SetHead(const v1::ImageHeader& header) {
    image_.head_.incarnation = {header.position().incarnation(),
                                header.position().nonce()};
    image_.head_.index = LogIndex(header.position().index());
    image_.head_.header_hash = header.header_hash();
    image_.head_.time_ms = header.time_ms();
    image_.head_.feature_level = header.feature_level();
  }
  void Add(uint8_t table, std::string_view key, std::string_view value) {
    image_.tables_[table].Put(key, value);
  }
  const Image& image() const { return image_; }

 private:
  Image image_;
};

SnapshotHeader HeaderOf(const Image& image) {
  v1::ImageHeader header;
  const ImageHead& head = image.head();
  header.mutable_position()->set_incarnation(head.incarnation.counter);
  header.mutable_position()->set_nonce(head.incarnation.nonce);
  header.mutable_position()->set_index(head.index.value());
  header.set_header_hash(head.header_hash);
  header.set_time_ms(head.time_ms);
  header.set_feature_level(head.feature_level);
  header.set_row_version(kRowVersion);
  for (int i = 0; i < kTables; ++i) {
    const BlockTable& table = image.table(static_cast<Table>(i));
    v1::TableHash& hash = *header.add_hashes();
    hash.set_table(static_cast<uint32_t>(i));
    hash.set_low(table.digest().low);
    hash.set_high(table.digest().high);
    hash.set_rows(table.size());
  }
  return {SnapshotKind::kImage, header.SerializeAsString()};
}

absl::Status AddRows(const Image& image, SnapshotWriter* writer) {
  for (int i = 0; i < kTables; ++i) {
    absl::Status status;
    image.table(static_cast<Table>(i))
        .ForEach([&](std::string_view key, std::string_view value) {
          if (status.ok()) {
            status = writer->Add(static_cast<uint8_t>(i), key, value);
          }
        });
    RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::StatusOr<Image> LoadImage(SnapshotReader* reader) {
  ASSIGN_OR_RETURN(const SnapshotHeader container, reader->ReadHeader());
  v1::ImageHeader header;
  if (container.kind != SnapshotKind::kImage ||
      !header.ParseFromString(container.blob)) {
    return absl::InvalidArgumentError("snapshot: does not hold an image");
  }
  if (header.row_version() != kRowVersion ||
      header.feature_level() > kFeatureLevel) {
    return absl::FailedPreconditionError(
        "snapshot: was written by a newer version (row version " +
        std::to_string(header.row_version()) + ", feature level " +
        std::to_string(header.feature_level()) + ")");
  }
  ImageLoader loader;
  loader.SetHead(header);
  SnapshotRow row;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, reader->Next(&row));
    if (!more) break;
    if (row.table >= kTables) {
      return absl::DataLossError("snapshot: table " +
                                 std::to_string(row.table) + " is not known");
    }
    if (row.key.size() > BlockTable::kMaxKeyBytes ||
        row.value.size() > BlockTable::kMaxValueBytes) {
      return absl::DataLossError(
          "snapshot: a row of " + std::to_string(row.key.size()) + " + " +
          std::to_string(row.value.size()) + " bytes is too large to be one");
    }
    loader.Add(row.table, row.key, row.value);
  }
  for (const v1::TableHash& hash : header.hashes()) {
    if (hash.table() >= kTables) continue;
    const auto id = static_cast<Table>(hash.table());
    const BlockTable& table = loader.image().table(id);
    if (table.digest() != TableDigest{hash.low(), hash.high()} ||
        table.size() != hash.rows()) {
      return absl::DataLossError("snapshot: the rows of table " +
                                 std::string(TableName(id)) +
                                 " are not those its header promises");
    }
  }
  return loader.image();
}

}  // namespace kafed::federation
