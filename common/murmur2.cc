#include "common/murmur2.h"

namespace kafed {

uint32_t Murmur2(std::string_view key) {
  constexpr uint32_t kSeed = 0x9747b28c;
  constexpr uint32_t kMul = 0x5bd1e995;
  constexpr int kShift = 24;
  const auto byte = [&](size_t i) {
    return static_cast<uint32_t>(static_cast<uint8_t>(key[i]));
  };
  uint32_t hash = kSeed ^ static_cast<uint32_t>(key.size());
  size_t i = 0;
  for (; i + 4 <= key.size(); i += 4) {
    uint32_t word =
        byte(i) | byte(i + 1) << 8 | byte(i + 2) << 16 | byte(i + 3) << 24;
    word *= kMul;
    word ^= word >> kShift;
    word *= kMul;
    hash = hash * kMul ^ word;
  }
  const size_t left = key.size() - i;
  if (left > 0) {
    for (size_t j = left; j > 0; --j) hash ^= byte(i + j - 1) << (8 * (j - 1));
    hash *= kMul;
  }
  hash ^= hash >> 13;
  hash *= kMul;
  return hash ^ hash >> 15;
}

}  // namespace kafed
