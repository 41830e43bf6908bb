// Stored log entries and the mark of what was synced: damage is seen, and what
// is accepted is canonical. The checksum is also made right, to get behind it.
#include <xxhash.h>

#include <cstring>

#include "metastore/store/log_value.h"
#include "metastore/store/sync_mark.h"
#include "tests/fuzz/support.h"

namespace kafed::metastore {
namespace {

constexpr size_t kCheckedFrom = 9;

void TryValue(LogIndex index, std::string_view value) {
  const auto stored = DecodeLogValue(index, value);
  if (!stored.ok()) {
    FUZZ_CHECK(stored.status().code() == absl::StatusCode::kDataLoss);
    return;
  }
  FUZZ_CHECK(stored->entry.index == index);
  FUZZ_CHECK(EncodeLogValue(index, stored->entry.id, stored->entry.payload,
                            stored->running_bytes) == value);
  FUZZ_CHECK(!DecodeLogValue(Next(index), value).ok());  // not of its key
}

void TryMark(std::string_view bytes) {
  const fuzz::MemoryFile file(bytes);
  const uint64_t read = SyncMark::Read(file.path());
  auto mark = SyncMark::Open(file.path());
  FUZZ_CHECK(mark.ok(), mark.status().ToString());
  FUZZ_CHECK((*mark)->value() == read);
  (*mark)->Advance(read);
  FUZZ_CHECK((*mark)->value() == read);
  if (read == UINT64_MAX) return;
  (*mark)->Advance(read + 1);
  FUZZ_CHECK(SyncMark::Read(file.path()) == read + 1);
}

}  // namespace
}  // namespace kafed::metastore

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kafed::metastore;  // NOLINT: of this target
  kafed::fuzz::Pieces pieces(kafed::fuzz::AsText(data, size));
  const kafed::LogIndex index(pieces.Below(4) + 1);
  std::string value(pieces.Rest());
  TryValue(index, value);
  if (value.size() > kCheckedFrom) {
    const uint64_t sum =
        XXH3_64bits_withSeed(value.data() + kCheckedFrom,
                             value.size() - kCheckedFrom, index.value());
    std::memcpy(value.data() + 1, &sum, sizeof sum);
    TryValue(index, value);
  }
  std::string mark = value.substr(0, 17);
  TryMark(mark);
  if (mark.size() >= 16) {
    const uint64_t sum = XXH3_64bits(mark.data(), 8);
    std::memcpy(mark.data() + 8, &sum, sizeof sum);
    TryMark(mark);
  }
  return 0;
}
