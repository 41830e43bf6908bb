#include "metastore/log/snapshot_store.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace kafed::metastore {
namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr uint8_t kManifestVersion = 1;
constexpr size_t kManifestBytes = 54;
constexpr size_t kManifestCheckedBytes = 46;

void PutNumber(uint64_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) {
    out->push_back(static_cast<char>(value >> (8 * i)));
  }
}

uint64_t GetNumber(std::string_view in, size_t offset, int bytes) {
  uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) {
    value = (value << 8) | static_cast<uint8_t>(in[offset + i]);
  }
  return value;
}

std::string Name(const SnapshotPosition& position) {
  return absl::StrCat(position.incarnation.counter, ":",
                      position.index.value());
}

auto Order(const StoredSnapshot& snapshot) {
  const SnapshotPosition& p = snapshot.position;
  return std::tuple(p.incarnation.counter, p.index, p.incarnation.nonce);
}

// Cuts a stream of bytes into pieces of equal size.
class PieceWriter {
 public:
  PieceWriter(Store* store, SnapshotPosition position)
      : store_(*store), position_(position) {}

  absl::Status Take(std::string_view bytes) {
    while (!bytes.empty()) {
      const size_t taken = std::min(bytes.size(), kPieceBytes - piece_.size());
      piece_.append(bytes.substr(0, taken));
      bytes.remove_prefix(taken);
      if (piece_.size() == kPieceBytes) RETURN_IF_ERROR(Flush());
    }
    return absl::OkStatus();
  }

  absl::Status Flush() {
    if (piece_.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(store_.CheckFreeSpace(piece_.size()));
    RETURN_IF_ERROR(store_.snapshots().PutPiece(position_, pieces_, piece_));
    KAFED_FAILPOINT("snapshot.piece");
    ++pieces_;
    piece_.clear();
    return absl::OkStatus();
  }

  uint32_t pieces() const { return pieces_; }

 private:
  Store& store_;
  const SnapshotPosition position_;
  std::string piece_;
  uint32_t pieces_ = 0;
};

// Gives out the bytes of a snapshot's pieces.
class PieceReader {
 public:
  explicit PieceReader(std::unique_ptr<PieceCursor> cursor)
      : cursor_(std::move(cursor)) {}

  absl::StatusOr<size_t> Give(char* buffer, size_t size) {
    if (at_ == piece_.size()) {
      ASSIGN_OR_RETURN(auto next, cursor_->Next());
      if (!next.has_value()) return 0;
      piece_ = *std::move(next);
      at_ = 0;
    }
    const size_t taken = std::min(size, piece_.size() - at_);
    std::memcpy(buffer, piece_.data() + at_, taken);
    at_ += taken;
    return taken;
  }

 private:
  const std::unique_ptr<PieceCursor> cursor_;
  std::string piece_;
  size_t at_ = 0;
};

}  // namespace

std::string EncodeManifest(const StoredSnapshot& snapshot) {
  std::string bytes;
  PutNumber(kManifestVersion, 1, &bytes);
  PutNumber(static_cast<uint8_t>(snapshot.kind), 1, &bytes);
  PutNumber(snapshot.pieces, 4, &bytes);
  PutNumber(snapshot.summary.bytes, 8, &bytes);
  PutNumber(snapshot.summary.chunks, 8, &bytes);
  PutNumber(snapshot.summary.rows, 8, &bytes);
  PutNumber(snapshot.summary.checksum, 8, &bytes);
  PutNumber(static_cast<uint64_t>(snapshot.written_at.count()), 8, &bytes);
  PutNumber(XXH3_64bits(bytes.data(), bytes.size()), 8, &bytes);
  return bytes;
}

absl::StatusOr<StoredSnapshot> DecodeManifest(const SnapshotPosition& position,
                                              std::string_view bytes) {
  if (bytes.size() != kManifestBytes ||
      GetNumber(bytes, 0, 1) != kManifestVersion ||
      GetNumber(bytes, kManifestCheckedBytes, 8) !=
          XXH3_64bits(bytes.data(), kManifestCheckedBytes)) {
    return absl::DataLossError(absl::StrCat("the manifest of the snapshot at ",
                                            Name(position), " is damaged"));
  }
  StoredSnapshot snapshot;
  snapshot.position = position;
  snapshot.kind = static_cast<SnapshotKind>(GetNumber(bytes, 1, 1));
  snapshot.pieces = static_cast<uint32_t>(GetNumber(bytes, 2, 4));
  snapshot.summary.bytes = GetNumber(bytes, 6, 8);
  snapshot.summary.chunks = GetNumber(bytes, 14, 8);
  snapshot.summary.rows = GetNumber(bytes, 22, 8);
  snapshot.summary.checksum = GetNumber(bytes, 30, 8);
  snapshot.written_at =
      milliseconds(static_cast<int64_t>(GetNumber(bytes, 38, 8)));
  return snapshot;
}

SnapshotStore::SnapshotStore(Store* store, SnapshotStoreOptions options,
                             const Clock& clock)
    : store_(*store), options_(options), clock_(clock) {}

absl::StatusOr<std::unique_ptr<SnapshotStore>> SnapshotStore::Open(
    Store* store, SnapshotStoreOptions options, const Clock& clock) {
  if (options.keep == 0) {
    return absl::InvalidArgumentError(
        "the number of snapshots to keep must be at least 1");
  }
  std::unique_ptr<SnapshotStore> opened(
      new SnapshotStore(store, options, clock));
  RETURN_IF_ERROR(opened->Load());
  return opened;
}

absl::Status SnapshotStore::Load() {
  ASSIGN_OR_RETURN(const auto manifests, store_.snapshots().Manifests());
  ASSIGN_OR_RETURN(const auto stored, store_.snapshots().PositionsWithPieces());
  for (const SnapshotPosition& position : stored) {
    const bool complete =
        std::any_of(manifests.begin(), manifests.end(),
                    [&](const auto& m) { return m.first == position; });
    if (complete || store_.read_only()) continue;
    LogInfo("removing an unfinished snapshot", {{"position", Name(position)}});
    RETURN_IF_ERROR(store_.snapshots().Delete(position));
  }
  for (const auto& [position, bytes] : manifests) {
    auto snapshot = DecodeManifest(position, bytes);
    if (snapshot.ok()) {
      snapshots_.push_back(*std::move(snapshot));
    } else {
      // An older one and more of the log do as well; the bytes stay for whoever
      // looks into it.
      ++unreadable_;
      LogError("ignoring a snapshot", {{"error", snapshot.status()}});
    }
  }
  return absl::OkStatus();
}

std::optional<StoredSnapshot> SnapshotStore::Find(
    const SnapshotPosition& position) const {
  std::lock_guard lock(mutex_);
  for (const StoredSnapshot& snapshot : snapshots_) {
    if (snapshot.position == position) return snapshot;
  }
  return std::nullopt;
}

std::vector<StoredSnapshot> SnapshotStore::List() const {
  std::lock_guard lock(mutex_);
  return {snapshots_.rbegin(), snapshots_.rend()};
}

std::optional<StoredSnapshot> SnapshotStore::Newest() const {
  std::lock_guard lock(mutex_);
  if (snapshots_.empty()) return std::nullopt;
  return snapshots_.back();
}

absl::Status SnapshotStore::Publish(const StoredSnapshot& snapshot) {
  KAFED_FAILPOINT("snapshot.publish.before");
  RETURN_IF_ERROR(store_.snapshots().PutManifest(snapshot.position,
                                                 EncodeManifest(snapshot)));
  KAFED_FAILPOINT("snapshot.publish.after");
  std::lock_guard lock(mutex_);
  const auto at = std::find_if(
      snapshots_.begin(), snapshots_.end(),
      [&](const auto& other) { return Order(snapshot) < Order(other); });
  snapshots_.insert(at, snapshot);
  return absl::OkStatus();
}

absl::Status SnapshotStore::DeleteUnwanted() {
  while (!unwanted_.empty()) {
    RETURN_IF_ERROR(store_.snapshots().Delete(unwanted_.back()));
    unwanted_.pop_back();
  }
  return absl::OkStatus();
}

absl::Status SnapshotStore::DeleteOld() {
  while (true) {
    SnapshotPosition oldest;
    {
      std::lock_guard lock(mutex_);
      if (snapshots_.size() <= options_.keep) return absl::OkStatus();
      oldest = snapshots_.front().position;
      snapshots_.erase(snapshots_.begin());
    }
    unwanted_.push_back(oldest);
    RETURN_IF_ERROR(DeleteUnwanted());
  }
}

absl::StatusOr<StoredSnapshot> SnapshotStore::Write(
    const SnapshotPosition& position,
    const std::function<absl::StatusOr<StoredSnapshot>(SnapshotSink)>&
        produce) {
  std::lock_guard saving(save_mutex_);
  if (auto found = Find(position); found.has_value()) return *found;
  // What earlier attempts left takes room, and must not follow the new pieces.
  unwanted_.push_back(position);
  RETURN_IF_ERROR(DeleteUnwanted());
  PieceWriter pieces(&store_, position);
  auto snapshot =
      produce([&pieces](std::string_view bytes) { return pieces.Take(bytes); });
  absl::Status status = snapshot.status();
  if (status.ok()) status = pieces.Flush();
  if (status.ok()) {
    snapshot->position = position;
    snapshot->pieces = pieces.pieces();
    snapshot->written_at = clock_.Wall();
    status = Publish(*snapshot);
  }
  if (!status.ok()) {
    // Best effort: the next attempt or start removes them too.
    unwanted_.push_back(position);
    const absl::Status removed = DeleteUnwanted();
    if (!removed.ok()) {
      LogWarning("an unfinished snapshot stays until the next one",
                 {{"position", Name(position)}, {"error", removed}});
    }
    return Annotate(status, "cannot save the snapshot at " + Name(position));
  }
  // The snapshot stands; that an old one stays is no reason to fail.
  if (absl::Status deleted = DeleteOld(); !deleted.ok()) {
    LogWarning("an old snapshot was not deleted", {{"error", deleted}});
  }
  return *snapshot;
}

absl::StatusOr<StoredSnapshot> SnapshotStore::Save(
    const SnapshotPosition& position, const SnapshotHeader& header,
    const SnapshotFill& fill) {
  return Write(position,
               [&](SnapshotSink sink) -> absl::StatusOr<StoredSnapshot> {
                 SnapshotWriter writer(std::move(sink));
                 RETURN_IF_ERROR(writer.Begin(header));
                 RETURN_IF_ERROR(fill(writer));
                 StoredSnapshot snapshot;
                 snapshot.kind = header.kind;
                 ASSIGN_OR_RETURN(snapshot.summary, writer.Finish());
                 return snapshot;
               });
}

absl::StatusOr<StoredSnapshot> SnapshotStore::Receive(
    const SnapshotPosition& position, SnapshotSource source) {
  return Write(
      position, [&](SnapshotSink sink) -> absl::StatusOr<StoredSnapshot> {
        // The reader checks exactly the bytes that are stored.
        SnapshotReader reader(
            [&](char* buffer, size_t size) -> absl::StatusOr<size_t> {
              ASSIGN_OR_RETURN(const size_t got, source(buffer, size));
              if (got <= size) RETURN_IF_ERROR(sink({buffer, got}));
              return got;
            });
        ASSIGN_OR_RETURN(const SnapshotHeader header, reader.ReadHeader());
        SnapshotRow row;
        bool more = true;
        while (more) {
          ASSIGN_OR_RETURN(more, reader.Next(&row));
        }
        StoredSnapshot snapshot;
        snapshot.kind = header.kind;
        snapshot.summary = reader.summary();
        return snapshot;
      });
}

absl::StatusOr<SnapshotSource> SnapshotStore::OpenBytes(
    const SnapshotPosition& position) const {
  // Looked up before and after the cursor sees its pieces: then they are those
  // of a snapshot that was complete, and not yet being deleted.
  const bool complete = Find(position).has_value();
  auto cursor = store_.snapshots().OpenPieces(position);
  if (!complete || !Find(position).has_value()) {
    const auto newest = Newest();
    return absl::NotFoundError(absl::StrCat(
        "there is no snapshot at ", Name(position), ": ",
        newest.has_value() ? "the newest is at " + Name(newest->position)
                           : "none was saved yet"));
  }
  auto reader = std::make_shared<PieceReader>(std::move(cursor));
  return SnapshotSource([reader](char* buffer, size_t size) {
    return reader->Give(buffer, size);
  });
}

absl::StatusOr<std::unique_ptr<SnapshotReader>> SnapshotStore::Open(
    const SnapshotPosition& position) const {
  ASSIGN_OR_RETURN(SnapshotSource source, OpenBytes(position));
  return std::make_unique<SnapshotReader>(std::move(source));
}

}  // namespace kafed::metastore
