#include "common/snapshot_container.h"

#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace kafed {
namespace {

constexpr std::string_view kMagic = "kafedsnp";
constexpr size_t kFixedHeaderBytes = 16;
constexpr size_t kChunkHeaderBytes = 22;
constexpr size_t kChunkCheckedBytes = 14;  // of its header
constexpr size_t kRowHeaderBytes = 9;
constexpr size_t kTrailerBytes = 25;
constexpr size_t kChecksumBytes = 8;
constexpr char kChunkTag = 'C';
constexpr char kTrailerTag = 'E';
constexpr int kZstdLevel = 3;

enum Codec : uint8_t { kStored = 0, kZstd = 1 };

void PutNumber(uint64_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) {
    out->push_back(static_cast<char>(value >> (8 * i)));
  }
}

uint64_t GetNumber(std::string_view in, size_t offset, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) {
    value |= static_cast<uint64_t>(static_cast<uint8_t>(in[offset + i]))
             << (8 * i);
  }
  return value;
}

// XXH3-64 over bytes that come in pieces.
class RunningHash {
 public:
  RunningHash() : state_(XXH3_createState()) { XXH3_64bits_reset(state_); }
  ~RunningHash() { XXH3_freeState(state_); }
  RunningHash(const RunningHash&) = delete;
  RunningHash& operator=(const RunningHash&) = delete;
  void Add(std::string_view bytes) {
    XXH3_64bits_update(state_, bytes.data(), bytes.size());
  }
  uint64_t Digest() const { return XXH3_64bits_digest(state_); }

 private:
  XXH3_state_t* state_;
};

uint64_t ChunkChecksum(std::string_view header, std::string_view stored) {
  RunningHash hash;
  hash.Add(header.substr(0, kChunkCheckedBytes));
  hash.Add(stored);
  return hash.Digest();
}

absl::Status Damaged(std::string_view what) {
  return absl::DataLossError(
      absl::StrCat("the snapshot is damaged: ", std::string(what)));
}

}  // namespace

// ---- Writer

struct SnapshotWriter::State {
  explicit State(SnapshotSink s)
      : sink(std::move(s)), zstd(ZSTD_createCCtx()) {}
  ~State() { ZSTD_freeCCtx(zstd); }

  SnapshotSink sink;
  ZSTD_CCtx* zstd;
  RunningHash total;
  SnapshotSummary summary;
  std::string raw;         // rows of the chunk that is being filled
  uint32_t raw_rows = 0;   // how many
  std::string compressed;  // kept for its memory
  bool open = false;       // between Begin and Finish, and no error yet
};

SnapshotWriter::SnapshotWriter(SnapshotSink sink)
    : state_(std::make_unique<State>(std::move(sink))) {}
SnapshotWriter::~SnapshotWriter() = default;

absl::Status SnapshotWriter::Emit(std::string_view bytes) {
  state_->total.Add(bytes);
  state_->summary.bytes += bytes.size();
  absl::Status taken = state_->sink(bytes);
  if (!taken.ok()) state_->open = false;
  return taken;
}

absl::Status SnapshotWriter::Begin(const SnapshotHeader& header) {
  if (header.blob.size() > kMaxSnapshotHeaderBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the snapshot's header blob has ", header.blob.size(),
                     " bytes, the limit is ", kMaxSnapshotHeaderBytes));
  }
  std::string bytes(kMagic);
  PutNumber(kSnapshotFormatVersion, 2, &bytes);
  PutNumber(static_cast<uint8_t>(header.kind), 1, &bytes);
  PutNumber(0, 1, &bytes);
  PutNumber(header.blob.size(), 4, &bytes);
  bytes += header.blob;
  PutNumber(XXH3_64bits(bytes.data(), bytes.size()), 8, &bytes);
  state_->open = true;
  return Emit(bytes);
}

absl::Status SnapshotWriter::Add(uint8_t table, std::string_view key,
                                 std::string_view value) {
  State& s = *state_;
  if (!s.open) {
    return absl::FailedPreconditionError("the snapshot writer is not open");
  }
  // Sizes are compared one by one, so that no sum can overflow.
  if (key.size() > kMaxSnapshotChunkBytes ||
      value.size() > kMaxSnapshotChunkBytes ||
      kRowHeaderBytes + key.size() + value.size() > kMaxSnapshotChunkBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a snapshot row of table ", table, " has ", key.size(),
                     " + ", value.size(), " bytes, the limit is ",
                     kMaxSnapshotChunkBytes - kRowHeaderBytes));
  }
  const size_t added = kRowHeaderBytes + key.size() + value.size();
  if (!s.raw.empty() && s.raw.size() + added > kSnapshotChunkTargetBytes) {
    RETURN_IF_ERROR(FlushChunk());
  }
  PutNumber(table, 1, &s.raw);
  PutNumber(key.size(), 4, &s.raw);
  PutNumber(value.size(), 4, &s.raw);
  s.raw.append(key);
  s.raw.append(value);
  ++s.raw_rows;
  return absl::OkStatus();
}

absl::Status SnapshotWriter::FlushChunk() {
  State& s = *state_;
  s.compressed.resize(ZSTD_compressBound(s.raw.size()));
  const size_t size =
      ZSTD_compressCCtx(s.zstd, s.compressed.data(), s.compressed.size(),
                        s.raw.data(), s.raw.size(), kZstdLevel);
  const bool smaller = !ZSTD_isError(size) && size < s.raw.size();
  const std::string_view stored =
      smaller ? std::string_view(s.compressed.data(), size) : s.raw;
  std::string header(1, kChunkTag);
  PutNumber(smaller ? kZstd : kStored, 1, &header);
  PutNumber(stored.size(), 4, &header);
  PutNumber(s.raw.size(), 4, &header);
  PutNumber(s.raw_rows, 4, &header);
  PutNumber(ChunkChecksum(header, stored), 8, &header);
  RETURN_IF_ERROR(Emit(header));
  RETURN_IF_ERROR(Emit(stored));
  ++s.summary.chunks;
  s.summary.rows += s.raw_rows;
  s.raw.clear();
  s.raw_rows = 0;
  return absl::OkStatus();
}

absl::StatusOr<SnapshotSummary> SnapshotWriter::Finish() {
  State& s = *state_;
  if (!s.open) {
    return absl::FailedPreconditionError("the snapshot writer is not open");
  }
  if (!s.raw.empty()) RETURN_IF_ERROR(FlushChunk());
  std::string trailer(1, kTrailerTag);
  PutNumber(s.summary.chunks, 8, &trailer);
  PutNumber(s.summary.rows, 8, &trailer);
  // The last checksum covers the trailer's own numbers too.
  RETURN_IF_ERROR(Emit(trailer));
  s.summary.checksum = s.total.Digest();
  std::string checksum;
  PutNumber(s.summary.checksum, 8, &checksum);
  RETURN_IF_ERROR(Emit(checksum));
  s.open = false;
  return s.summary;
}

// ---- Reader

struct SnapshotReader::State {
  explicit State(SnapshotSource s)
      : source(std::move(s)), zstd(ZSTD_createDCtx()) {}
  ~State() { ZSTD_freeDCtx(zstd); }

  enum class Phase { kNew, kRows, kEnd, kFailed };

  SnapshotSource source;
  ZSTD_DCtx* zstd;
  RunningHash total;
  SnapshotSummary summary;  // checksum is set from the trailer
  Phase phase = Phase::kNew;
  std::string stored;        // kept for its memory
  std::string raw;           // rows of the current chunk
  std::string_view pending;  // what of `raw` was not given out yet
  uint32_t rows_left = 0;    // in `pending`
};

SnapshotReader::SnapshotReader(SnapshotSource source)
    : state_(std::make_unique<State>(std::move(source))) {}
SnapshotReader::~SnapshotReader() = default;

const SnapshotSummary& SnapshotReader::summary() const {
  return state_->summary;
}

// Reads exactly `size` bytes into *out, growing it only as bytes arrive.
absl::Status SnapshotReader::Fill(size_t size, std::string* out) {
  constexpr size_t kStep = 256 << 10;
  out->clear();
  while (out->size() < size) {
    const size_t have = out->size();
    const size_t want = std::min(size - have, kStep);
    out->resize(have + want);
    ASSIGN_OR_RETURN(const size_t got,
                     state_->source(out->data() + have, want));
    if (got > want) return absl::InternalError("a source gave too much");
    out->resize(have + got);
    if (got == 0) {
      return Damaged(absl::StrCat("it ends after ",
                                  state_->summary.bytes + have, " bytes"));
    }
  }
  state_->summary.bytes += size;
  return absl::OkStatus();
}

absl::StatusOr<SnapshotHeader> SnapshotReader::ReadHeader() {
  State& s = *state_;
  if (s.phase != State::Phase::kNew) {
    return absl::FailedPreconditionError("the header has been read already");
  }
  s.phase = State::Phase::kFailed;
  std::string fixed;
  RETURN_IF_ERROR(Fill(kFixedHeaderBytes, &fixed));
  if (std::string_view(fixed).substr(0, kMagic.size()) != kMagic) {
    return absl::InvalidArgumentError(
        "not a snapshot: it does not begin with \"kafedsnp\"");
  }
  const uint64_t version = GetNumber(fixed, 8, 2);
  if (version != kSnapshotFormatVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the snapshot has format version ", version,
                     ", this program reads version ", kSnapshotFormatVersion));
  }
  const uint64_t length = GetNumber(fixed, 12, 4);
  if (length > kMaxSnapshotHeaderBytes) {
    return Damaged(absl::StrCat("a header blob of ", length, " bytes"));
  }
  std::string rest;
  RETURN_IF_ERROR(Fill(length + kChecksumBytes, &rest));
  const uint64_t checksum = GetNumber(rest, length, 8);
  RunningHash hash;
  hash.Add(fixed);
  hash.Add(std::string_view(rest).substr(0, length));
  if (hash.Digest() != checksum) return Damaged("the header's checksum");
  const uint64_t kind = GetNumber(fixed, 10, 1);
  if (kind != static_cast<uint8_t>(SnapshotKind::kImage) &&
      kind != static_cast<uint8_t>(SnapshotKind::kRouteView)) {
    return Damaged(absl::StrCat("content kind ", kind, " is not known"));
  }
  if (fixed[11] != 0) return Damaged("the header's reserved byte is set");
  s.total.Add(fixed);
  s.total.Add(rest);
  s.phase = State::Phase::kRows;
  return SnapshotHeader{static_cast<SnapshotKind>(kind),
                        rest.substr(0, length)};
}

absl::StatusOr<bool> SnapshotReader::Next(SnapshotRow* row) {
  State& s = *state_;
  if (s.phase == State::Phase::kEnd) return false;
  if (s.phase != State::Phase::kRows) {
    return absl::FailedPreconditionError("the snapshot reader is not open");
  }
  s.phase = State::Phase::kFailed;  // until this call has gone well
  if (s.rows_left == 0) {
    std::string tag;
    RETURN_IF_ERROR(Fill(1, &tag));
    s.total.Add(tag);
    if (tag[0] == kTrailerTag) {
      RETURN_IF_ERROR(ReadTrailer());
      s.phase = State::Phase::kEnd;
      return false;
    }
    if (tag[0] != kChunkTag) return Damaged("neither a chunk nor the end");
    RETURN_IF_ERROR(ReadChunk());
  }
  RETURN_IF_ERROR(TakeRow(row));
  s.phase = State::Phase::kRows;
  return true;
}

absl::Status SnapshotReader::ReadChunk() {
  State& s = *state_;
  const std::string where = absl::StrCat("chunk ", s.summary.chunks, ": ");
  std::string rest;
  RETURN_IF_ERROR(Fill(kChunkHeaderBytes - 1, &rest));
  const std::string header = std::string(1, kChunkTag) + rest;
  const uint64_t codec = GetNumber(header, 1, 1);
  const uint64_t stored_bytes = GetNumber(header, 2, 4);
  const uint64_t raw_bytes = GetNumber(header, 6, 4);
  const uint64_t rows = GetNumber(header, 10, 4);
  if (codec > kZstd || stored_bytes == 0 || raw_bytes == 0 || rows == 0 ||
      stored_bytes > kMaxSnapshotChunkBytes ||
      raw_bytes > kMaxSnapshotChunkBytes ||
      rows > raw_bytes / kRowHeaderBytes ||
      (codec == kStored && stored_bytes != raw_bytes)) {
    return Damaged(where + "its header is out of range");
  }
  RETURN_IF_ERROR(Fill(stored_bytes, &s.stored));
  if (ChunkChecksum(header, s.stored) != GetNumber(header, 14, 8)) {
    return Damaged(where + "its checksum does not match");
  }
  s.total.Add(rest);
  s.total.Add(s.stored);
  if (codec == kStored) {
    std::swap(s.raw, s.stored);
  } else {
    s.raw.resize(raw_bytes);
    const size_t size = ZSTD_decompressDCtx(s.zstd, s.raw.data(), s.raw.size(),
                                            s.stored.data(), s.stored.size());
    if (ZSTD_isError(size) || size != raw_bytes) {
      return Damaged(where + "it does not decompress to its raw length");
    }
  }
  s.pending = s.raw;
  s.rows_left = static_cast<uint32_t>(rows);
  ++s.summary.chunks;
  return absl::OkStatus();
}

absl::Status SnapshotReader::TakeRow(SnapshotRow* row) {
  State& s = *state_;
  if (s.pending.size() < kRowHeaderBytes) return Damaged("a row is cut short");
  const uint64_t key_bytes = GetNumber(s.pending, 1, 4);
  const uint64_t value_bytes = GetNumber(s.pending, 5, 4);
  if (key_bytes + value_bytes > s.pending.size() - kRowHeaderBytes) {
    return Damaged("a row is longer than its chunk");
  }
  row->table = static_cast<uint8_t>(s.pending[0]);
  row->key = s.pending.substr(kRowHeaderBytes, key_bytes);
  row->value = s.pending.substr(kRowHeaderBytes + key_bytes, value_bytes);
  s.pending.remove_prefix(kRowHeaderBytes + key_bytes + value_bytes);
  ++s.summary.rows;
  if (--s.rows_left == 0 && !s.pending.empty()) {
    return Damaged("a chunk holds more than its rows");
  }
  return absl::OkStatus();
}

absl::Status SnapshotReader::ReadTrailer() {
  State& s = *state_;
  std::string rest;
  RETURN_IF_ERROR(Fill(kTrailerBytes - 1, &rest));
  s.total.Add(std::string_view(rest).substr(0, rest.size() - kChecksumBytes));
  const uint64_t checksum = GetNumber(rest, 16, 8);
  if (s.total.Digest() != checksum) {
    return Damaged("the checksum of the whole does not match");
  }
  if (GetNumber(rest, 0, 8) != s.summary.chunks ||
      GetNumber(rest, 8, 8) != s.summary.rows) {
    return Damaged("its trailer counts other chunks or rows");
  }
  char extra = 0;
  ASSIGN_OR_RETURN(const size_t more, s.source(&extra, 1));
  if (more != 0) return Damaged("bytes follow its end");
  s.summary.checksum = checksum;
  return absl::OkStatus();
}

SnapshotSource SourceOf(std::string_view bytes) {
  return [bytes](char* buffer, size_t size) mutable -> absl::StatusOr<size_t> {
    const size_t taken = std::min(size, bytes.size());
    std::memcpy(buffer, bytes.data(), taken);
    bytes.remove_prefix(taken);
    return taken;
  };
}

}  // namespace kafed
