#include "metastore/store/snapshot_table.h"

#include <rocksdb/convenience.h>

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "metastore/store/database.h"

namespace kafed::metastore {
namespace {

constexpr char kPiece = 'c';
constexpr char kManifest = 'm';
constexpr size_t kPrefixBytes = 1 + 3 * 8;
constexpr size_t kPieceKeyBytes = kPrefixBytes + 4;
constexpr uint32_t kMaxNumber = std::numeric_limits<uint32_t>::max();

std::string Prefix(char kind, const SnapshotPosition& position) {
  std::string key(1, kind);
  PutBigEndian(position.incarnation.counter, 8, &key);
  PutBigEndian(position.index.value(), 8, &key);
  PutBigEndian(position.incarnation.nonce, 8, &key);
  return key;
}

std::string PieceKey(const SnapshotPosition& position, uint32_t number) {
  std::string key = Prefix(kPiece, position);
  PutBigEndian(number, 4, &key);
  return key;
}

SnapshotPosition PositionOf(std::string_view key) {
  SnapshotPosition position;
  position.incarnation.counter = GetBigEndian(key, 1, 8);
  position.index = LogIndex(GetBigEndian(key, 9, 8));
  position.incarnation.nonce = GetBigEndian(key, 17, 8);
  return position;
}

class DatabasePieceCursor : public PieceCursor {
 public:
  DatabasePieceCursor(Database::Pin pin, std::unique_ptr<rocksdb::Iterator> at,
                      const SnapshotPosition& position)
      : pin_(std::move(pin)),
        at_(std::move(at)),
        prefix_(Prefix(kPiece, position)) {
    at_->Seek(prefix_);
  }

  absl::StatusOr<std::optional<std::string>> Next() override {
    RETURN_IF_ERROR(Translate(at_->status(), "cannot read a snapshot"));
    if (!at_->Valid() || !at_->key().starts_with(prefix_)) {
      return std::nullopt;
    }
    const std::string_view key = ToView(at_->key());
    if (key.size() != kPieceKeyBytes ||
        GetBigEndian(key, kPrefixBytes, 4) != number_) {
      return absl::DataLossError(
          absl::StrCat("piece ", number_, " of a snapshot is missing"));
    }
    std::string bytes = at_->value().ToString();
    at_->Next();
    ++number_;
    return bytes;
  }

 private:
  const Database::Pin pin_;
  const std::unique_ptr<rocksdb::Iterator> at_;
  const std::string prefix_;
  uint32_t number_ = 0;
};

}  // namespace

absl::Status SnapshotTable::PutPiece(const SnapshotPosition& position,
                                     uint32_t number, std::string_view bytes) {
  const auto pin = database_.Use();
  rocksdb::WriteBatch batch;
  RETURN_IF_ERROR(
      Translate(batch.Put(database_.snapshot(), PieceKey(position, number),
                          ToSlice(bytes)),
                "cannot build a write"));
  return database_.WriteLater(&batch);
}

absl::Status SnapshotTable::PutManifest(const SnapshotPosition& position,
                                        std::string_view manifest) {
  const auto pin = database_.Use();
  rocksdb::WriteBatch batch;
  RETURN_IF_ERROR(
      Translate(batch.Put(database_.snapshot(), Prefix(kManifest, position),
                          ToSlice(manifest)),
                "cannot build a write"));
  return database_.WriteSynced(&batch);
}

absl::StatusOr<std::vector<SnapshotTable::Manifest>> SnapshotTable::Manifests()
    const {
  const auto pin = database_.Use();
  std::vector<Manifest> manifests;
  std::unique_ptr<rocksdb::Iterator> at(
      database_.db().NewIterator(rocksdb::ReadOptions(), database_.snapshot()));
  const std::string kind(1, kManifest);
  for (at->Seek(kind); at->Valid() && at->key().starts_with(kind); at->Next()) {
    if (at->key().size() != kPrefixBytes) {
      return absl::DataLossError("a snapshot manifest has a damaged key");
    }
    manifests.emplace_back(PositionOf(ToView(at->key())),
                           at->value().ToString());
  }
  RETURN_IF_ERROR(Translate(at->status(), "cannot list snapshots"));
  return manifests;
}

absl::StatusOr<std::vector<SnapshotPosition>>
SnapshotTable::PositionsWithPieces() const {
  const auto pin = database_.Use();
  std::vector<SnapshotPosition> positions;
  std::unique_ptr<rocksdb::Iterator> at(
      database_.db().NewIterator(rocksdb::ReadOptions(), database_.snapshot()));
  const std::string kind(1, kPiece);
  at->Seek(kind);
  while (at->Valid() && at->key().starts_with(kind)) {
    if (at->key().size() != kPieceKeyBytes) {
      return absl::DataLossError("a snapshot piece has a damaged key");
    }
    positions.push_back(PositionOf(ToView(at->key())));
    // One seek per snapshot, not one step per piece.
    at->Seek(PieceKey(positions.back(), kMaxNumber) + '\0');
  }
  RETURN_IF_ERROR(Translate(at->status(), "cannot list snapshots"));
  return positions;
}

std::unique_ptr<PieceCursor> SnapshotTable::OpenPieces(
    const SnapshotPosition& position) const {
  rocksdb::ReadOptions options;
  options.fill_cache = false;  // read once, from front to back
  auto pin = database_.Use();
  return std::make_unique<DatabasePieceCursor>(
      std::move(pin),
      std::unique_ptr<rocksdb::Iterator>(
          database_.db().NewIterator(options, database_.snapshot())),
      position);
}

absl::Status SnapshotTable::Delete(const SnapshotPosition& position) {
  const auto pin = database_.Use();
  const std::string begin = PieceKey(position, 0);
  const std::string end = PieceKey(position, kMaxNumber);
  rocksdb::WriteBatch batch;
  RETURN_IF_ERROR(
      Translate(batch.Delete(database_.snapshot(), Prefix(kManifest, position)),
                "cannot build a delete"));
  RETURN_IF_ERROR(Translate(batch.DeleteRange(database_.snapshot(), begin, end),
                            "cannot build a delete"));
  RETURN_IF_ERROR(database_.WriteSynced(&batch));
  const rocksdb::Slice from(begin), to(end);
  const rocksdb::Status freed = rocksdb::DeleteFilesInRange(
      &database_.db(), database_.snapshot(), &from, &to);
  if (!freed.ok()) {
    LogWarning("files of a deleted snapshot stay until compaction",
               {{"error", freed.ToString()}});
  }
  return absl::OkStatus();
}

}  // namespace kafed::metastore
