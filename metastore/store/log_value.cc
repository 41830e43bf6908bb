#include "metastore/store/log_value.h"

#include <xxhash.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kafed::metastore {
namespace {

constexpr char kVersion = 1;
constexpr size_t kChecksumAt = 1;
constexpr size_t kCheckedFrom = 9;
constexpr size_t kIdAt = 17;
constexpr size_t kHeaderBytes = 33;

void PutLittleEndian(uint64_t value, char* out) {
  for (int i = 0; i < 8; ++i) out[i] = static_cast<char>(value >> (8 * i));
}

uint64_t GetLittleEndian(const char* in) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) {
    value = (value << 8) | static_cast<uint8_t>(in[i]);
  }
  return value;
}

uint64_t Checksum(LogIndex index, std::string_view value) {
  return XXH3_64bits_withSeed(value.data() + kCheckedFrom,
                              value.size() - kCheckedFrom, index.value());
}

}  // namespace

std::string EncodeLogValue(LogIndex index, const EntryId& id,
                           std::string_view payload, uint64_t running_bytes) {
  std::string value;
  value.reserve(kHeaderBytes + payload.size());
  value.resize(kHeaderBytes);
  value[0] = kVersion;
  PutLittleEndian(running_bytes, value.data() + kCheckedFrom);
  std::copy(id.begin(), id.end(), value.begin() + kIdAt);
  value.append(payload);
  PutLittleEndian(Checksum(index, value), value.data() + kChecksumAt);
  return value;
}

absl::StatusOr<StoredEntry> DecodeLogValue(LogIndex index,
                                           std::string_view value) {
  if (value.size() < kHeaderBytes) {
    return absl::DataLossError(absl::StrCat("log entry ", index.value(),
                                            " is damaged: it has only ",
                                            value.size(), " bytes"));
  }
  if (value[0] != kVersion) {
    return absl::DataLossError(absl::StrCat(
        "log entry ", index.value(), " is damaged or of a newer version: ",
        static_cast<int>(static_cast<uint8_t>(value[0]))));
  }
  if (GetLittleEndian(value.data() + kChecksumAt) != Checksum(index, value)) {
    return absl::DataLossError(absl::StrCat("log entry ", index.value(),
                                            " is damaged: wrong checksum"));
  }
  StoredEntry stored;
  stored.entry.index = index;
  std::copy_n(value.begin() + kIdAt, stored.entry.id.size(),
              stored.entry.id.begin());
  stored.entry.payload = std::string(value.substr(kHeaderBytes));
  stored.running_bytes = GetLittleEndian(value.data() + kCheckedFrom);
  return stored;
}

}  // namespace kafed::metastore
