// Entries as the log holds them: a format byte, then the serialized Entry,
// compressed with zstd where that makes it smaller.
//
//   0  1  format: 0 stored as it is, 1 zstd
//   1  n  serialized kafed.v1.Entry
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "kafed/v1/records.pb.h"

namespace kafed::federation {

// An entry is never larger than this when decoded: hostile bytes can't make a
// decoder allocate more.
inline constexpr size_t kMaxDecodedEntryBytes = 16 << 20;

std::string EncodeEntry(const v1::Entry& entry);

// DataLoss for bytes that are not an entry.
absl::StatusOr<v1::Entry> DecodeEntry(std::string_view bytes);

}  // namespace kafed::federation
