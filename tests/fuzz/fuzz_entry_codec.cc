// Entries of the log: hostile bytes are DataLoss, what decodes survives a round
// trip. The input is taken as an encoded entry, and as what is in one.
#include <zstd.h>

#include "federation/image/entry_codec.h"
#include "tests/fuzz/support.h"

namespace kafed::federation {
namespace {

void Try(std::string_view bytes) {
  const auto entry = DecodeEntry(bytes);
  if (!entry.ok()) {
    FUZZ_CHECK(entry.status().code() == absl::StatusCode::kDataLoss);
    return;
  }
  const auto again = DecodeEntry(EncodeEntry(*entry));
  FUZZ_CHECK(again.ok(), again.status().ToString());
  FUZZ_CHECK(again->SerializeAsString() == entry->SerializeAsString());
}

std::string Compressed(std::string_view plain) {
  std::string packed(1 + ZSTD_compressBound(plain.size()), '\1');
  packed.resize(1 + ZSTD_compress(packed.data() + 1, packed.size() - 1,
                                  plain.data(), plain.size(), 1));
  return packed;
}

}  // namespace
}  // namespace kafed::federation

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = kafed::fuzz::AsText(data, size);
  kafed::federation::Try(bytes);
  kafed::federation::Try(std::string(1, '\0').append(bytes));
  kafed::federation::Try(kafed::federation::Compressed(bytes));
  return 0;
}
