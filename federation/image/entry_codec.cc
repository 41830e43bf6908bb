#include "federation/image/entry_codec.h"

#include <zstd.h>

namespace kafed::federation {
namespace {
constexpr char kStored = 0;
constexpr char kZstd = 1;
constexpr int kLevel = 1;  // the log's storage compresses once more
constexpr size_t kWorthCompressing = 512;
}  // namespace

std::string EncodeEntry(const v1::Entry& entry) {
  const std::string plain = entry.SerializeAsString();
  if (plain.size() >= kWorthCompressing) {
    std::string packed(1 + ZSTD_compressBound(plain.size()), kZstd);
    const size_t size = ZSTD_compress(packed.data() + 1, packed.size() - 1,
                                      plain.data(), plain.size(), kLevel);
    if (ZSTD_isError(size) == 0 && size < plain.size()) {
      packed.resize(1 + size);
      return packed;
    }
  }
  return std::string(1, kStored) + plain;
}

absl::StatusOr<v1::Entry> DecodeEntry(std::string_view bytes) {
  if (bytes.empty()) return absl::DataLossError("entry: is empty");
  std::string unpacked;
  std::string_view plain = bytes.substr(1);
  if (bytes[0] == kZstd) {
    const unsigned long long size =
        ZSTD_getFrameContentSize(plain.data(), plain.size());
    if (size > kMaxDecodedEntryBytes) {  // also its two error values
      return absl::DataLossError("entry: its size is missing or over limit");
    }
    unpacked.resize(size);
    const size_t got = ZSTD_decompress(unpacked.data(), unpacked.size(),
                                       plain.data(), plain.size());
    if (ZSTD_isError(got) != 0 || got != size) {
      return absl::DataLossError("entry: does not decompress");
    }
    plain = unpacked;
  } else if (bytes[0] != kStored) {
    return absl::DataLossError("entry: format " + std::to_string(bytes[0]) +
                               " is not known");
  }
  v1::Entry entry;
  if (plain.size() > kMaxDecodedEntryBytes ||
      !entry.ParseFromArray(plain.data(), static_cast<int>(plain.size()))) {
    return absl::DataLossError("entry: is not a serialized Entry");
  }
  return entry;
}

}  // namespace kafed::federation
