// The snapshot container: one format for a stream of rows that is kept, sent
// and checked as a whole. Two contents share it: the image (restart, new node,
// backup) and the route view (a client's mirror).
//
// It knows nothing of what the rows or the header blob mean. It does no I/O of
// its own: a sink takes bytes, a source gives them. Both ends stream; neither
// holds more than one chunk.
//
// Layout, all numbers little-endian (docs/internals/snapshot-format.md):
//
//   header   0  8  magic "kafedsnp"
//            8  2  format version, 1
//           10  1  content kind: 1 image, 2 route view
//           11  1  reserved, 0
//           12  4  length n of the header blob, at most 1 MiB
//           16  n  header blob
//         16+n  8  XXH3-64 of everything before
//   chunk    0  1  'C'
//            1  1  codec: 0 stored as it is, 1 zstd
//            2  4  stored length s
//            6  4  raw length r, 1 byte to 16 MiB
//           10  4  number of rows, at least 1
//           14  8  XXH3-64 of the 14 bytes before and the s bytes after
//           22  s  rows, as the codec says
//   row      0  1  table
//            1  4  key length k
//            5  4  value length v
//            9  k  key
//          9+k  v  value
//   trailer  0  1  'E'
//            1  8  number of chunks
//            9  8  number of rows
//           17  8  XXH3-64 of everything before, from the first byte on
//
// Nothing may follow the trailer. Not thread-safe; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kafed {

inline constexpr uint16_t kSnapshotFormatVersion = 1;
inline constexpr size_t kMaxSnapshotHeaderBytes = 1 << 20;
inline constexpr size_t kSnapshotChunkTargetBytes = 1 << 20;  // raw
inline constexpr size_t kMaxSnapshotChunkBytes = 16 << 20;    // raw and stored

enum class SnapshotKind : uint8_t { kImage = 1, kRouteView = 2 };

struct SnapshotHeader {
  SnapshotKind kind = SnapshotKind::kImage;
  std::string blob;  // opaque, for instance a serialized message
};

// A row as read: views that are valid until the next call of the reader.
struct SnapshotRow {
  uint8_t table = 0;
  std::string_view key;
  std::string_view value;
};

// What the trailer says; also what identifies a container.
struct SnapshotSummary {
  uint64_t chunks = 0;
  uint64_t rows = 0;
  uint64_t bytes = 0;     // of the whole container
  uint64_t checksum = 0;  // the trailer's
  friend bool operator==(const SnapshotSummary&,
                         const SnapshotSummary&) = default;
};

// Takes the next bytes; an error ends the writing and is passed on.
using SnapshotSink = std::function<absl::Status(std::string_view)>;
// Fills up to `size` bytes and returns how many; 0 only at the end.
using SnapshotSource =
    std::function<absl::StatusOr<size_t>(char* buffer, size_t size)>;

// Begin, Add any number of times, Finish; then no more. After an error the
// writer is done, and what the sink took is not a container.
class SnapshotWriter {
 public:
  explicit SnapshotWriter(SnapshotSink sink);
  ~SnapshotWriter();
  SnapshotWriter(const SnapshotWriter&) = delete;
  SnapshotWriter& operator=(const SnapshotWriter&) = delete;

  // InvalidArgument when the blob is larger than kMaxSnapshotHeaderBytes.
  absl::Status Begin(const SnapshotHeader& header);
  // InvalidArgument when the row does not fit in a chunk.
  absl::Status Add(uint8_t table, std::string_view key, std::string_view value);
  absl::StatusOr<SnapshotSummary> Finish();

 private:
  struct State;
  absl::Status FlushChunk();
  absl::Status Emit(std::string_view bytes);

  std::unique_ptr<State> state_;
};

// ReadHeader once, then Next until it says false. Rows of a chunk are given out
// only after the chunk's checksum was compared; that the whole is complete is
// known only when Next returned false. Errors: InvalidArgument for what is not
// a container, FailedPrecondition for one of a newer format, DataLoss for one
// that is cut short, changed or followed by other bytes; the source's own
// errors are passed on.
class SnapshotReader {
 public:
  explicit SnapshotReader(SnapshotSource source);
  ~SnapshotReader();
  SnapshotReader(const SnapshotReader&) = delete;
  SnapshotReader& operator=(const SnapshotReader&) = delete;

  absl::StatusOr<SnapshotHeader> ReadHeader();
  // True: *row is the next row. False: the end, verified.
  absl::StatusOr<bool> Next(SnapshotRow* row);
  // What was read so far; the trailer's once Next returned false.
  const SnapshotSummary& summary() const;

 private:
  struct State;
  absl::Status Fill(size_t size, std::string* out);
  absl::Status ReadChunk();
  absl::Status ReadTrailer();
  absl::Status TakeRow(SnapshotRow* row);

  std::unique_ptr<State> state_;
};

// A source over bytes in memory, which must outlive it.
SnapshotSource SourceOf(std::string_view bytes);

}  // namespace kafed
