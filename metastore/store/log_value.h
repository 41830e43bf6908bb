// The bytes of one entry in the column family `log`.
//
//    0   1  version, 1
//    1   8  XXH3-64 of the bytes from 9 on, with the entry's index as seed
//    9   8  payload bytes of the whole log up to and with this entry
//   17  16  entry id
//   33   n  payload
//
// Numbers are little-endian. The running total makes the bytes kept between two
// entries a subtraction; the seed ties a value to its key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "metastore/log/log_entry.h"

namespace kafed::metastore {

struct StoredEntry {
  LogEntry entry;
  uint64_t running_bytes = 0;
};

std::string EncodeLogValue(LogIndex index, const EntryId& id,
                           std::string_view payload, uint64_t running_bytes);

// DataLoss, naming the index, for bytes that are not such a value.
absl::StatusOr<StoredEntry> DecodeLogValue(LogIndex index,
                                           std::string_view value);

}  // namespace kafed::metastore
