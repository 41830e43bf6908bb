#include "tests/fuzz/snapshot_repair.h"

#include <xxhash.h>

#include <algorithm>
#include <cstdint>

namespace kafed::fuzz {
namespace {

constexpr size_t kHeaderBytes = 16;
constexpr size_t kChunkBytes = 22;

uint64_t Number(std::string_view bytes, size_t at, int size) {
  uint64_t number = 0;
  for (int i = size; i > 0; --i) {
    number = number << 8 | static_cast<uint8_t>(bytes[at + i - 1]);
  }
  return number;
}

void SetNumber(uint64_t number, int size, size_t at, std::string* bytes) {
  for (int i = 0; i < size; ++i) {
    (*bytes)[at + i] = static_cast<char>(number >> (8 * i));
  }
}

uint64_t Hash(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace

std::string RepairSnapshot(std::string_view bytes) {
  std::string fixed(bytes);
  if (fixed.size() < kHeaderBytes + 8) return fixed;
  // Lengths that reach beyond the input are cut to it.
  const size_t blob =
      std::min<size_t>(Number(fixed, 12, 4), fixed.size() - kHeaderBytes - 8);
  SetNumber(blob, 4, 12, &fixed);
  size_t at = kHeaderBytes + blob;
  SetNumber(Hash(std::string_view(fixed).substr(0, at)), 8, at, &fixed);
  at += 8;
  uint64_t chunks = 0;
  uint64_t rows = 0;
  while (at + kChunkBytes < fixed.size() && fixed[at] == 'C') {
    const size_t stored = std::min<size_t>(Number(fixed, at + 2, 4),
                                           fixed.size() - at - kChunkBytes);
    SetNumber(stored, 4, at + 2, &fixed);
    if (fixed[at + 1] == 0) SetNumber(stored, 4, at + 6, &fixed);
    const std::string checked =
        fixed.substr(at, 14) + fixed.substr(at + kChunkBytes, stored);
    SetNumber(Hash(checked), 8, at + 14, &fixed);
    ++chunks;
    rows += Number(fixed, at + 10, 4);
    at += kChunkBytes + stored;
  }
  fixed.resize(at);
  fixed += 'E';
  fixed.resize(at + 17);
  SetNumber(chunks, 8, at + 1, &fixed);
  SetNumber(rows, 8, at + 9, &fixed);
  const uint64_t hash = Hash(fixed);
  fixed.resize(at + 25);
  SetNumber(hash, 8, at + 17, &fixed);
  return fixed;
}

}  // namespace kafed::fuzz
