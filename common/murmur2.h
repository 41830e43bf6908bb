// Kafka's murmur2 over a key, as its default partitioner computes it.
//
// `hashed` topics give each partition a range of the positive 31 bits, so that
// any language's Kafka client can compute where a key belongs. Golden vectors:
// tests/unit/common/murmur2_test.cc and docs/reference/api.md.
#pragma once

#include <cstdint>
#include <string_view>

namespace kafed {

// The 32-bit hash with Kafka's seed 0x9747b28c.
uint32_t Murmur2(std::string_view key);

inline constexpr uint32_t kHashSpace = 0x80000000;  // 2^31

// The positive 31 bits: Kafka's toPositive(murmur2(key)).
inline uint32_t KeyHash(std::string_view key) {
  return Murmur2(key) & 0x7fffffff;
}

}  // namespace kafed
