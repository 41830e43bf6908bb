// What the log holds: an index, an id drawn by the writer, and opaque bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "common/position.h"

namespace kafed::metastore {

// The largest payload of one entry, as stored (compressed by its writer).
// Larger operations are several entries.
inline constexpr size_t kMaxEntryBytes = 512 * 1024;
// The largest sum of payloads of one atomic batch.
inline constexpr size_t kMaxBatchBytes = 8 * 1024 * 1024;

// Random; tells whether an entry found at an index is one's own.
using EntryId = std::array<uint8_t, 16>;

struct LogEntry {
  LogIndex index;  // set by Read; appends take it from their argument
  EntryId id{};
  std::string payload;
  friend bool operator==(const LogEntry&, const LogEntry&) = default;
};

}  // namespace kafed::metastore
