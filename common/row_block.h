// RowBlock: the leaf of a BlockTable: some rows packed into one allocation.
//
// Internal to block_table.cc. Blocks are never changed while they are shared:
// an edit makes another one.
#pragma once

#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace kafed::block_table_internal {

// A page grows when a block passes either limit.
constexpr size_t kMaxBlockRows = 24;
// Tags that a look-up compares at once, whatever the rows.
constexpr size_t kTagsRead = 32;
// What the allocator keeps at hand for each thread.
constexpr size_t kTargetBlockBytes = 1032;

constexpr uint32_t kNoRow = UINT32_MAX;

// Counts in ThreadAllocations.
void* Allocate(size_t bytes);

inline uint64_t HashKey(std::string_view key) {
  return XXH3_64bits(key.data(), key.size());
}

// What several versions of a table may share.
struct Counted {
  std::atomic<uint32_t> refs{1};
};

inline bool Unshared(const Counted* node) {
  return node->refs.load(std::memory_order_acquire) == 1;
}
inline void Ref(Counted* node) {
  if (node != nullptr) node->refs.fetch_add(1, std::memory_order_relaxed);
}
inline bool Unref(Counted* node) {
  return node->refs.fetch_sub(1, std::memory_order_acq_rel) == 1;
}

// One allocation: header, tags padded to 16, ends of rows, sizes of keys, rows.
// A row is its key's bytes followed by its value's. Ends and sizes take three
// bytes a row, so that with the tags they lie in the first lines of the cache;
// a block with long keys or much data is wide, and they take six.
struct Block : Counted {
  uint32_t rows;
  uint32_t bytes;  // of the whole allocation
  bool wide;

  static constexpr size_t kNarrowData = UINT16_MAX;
  static constexpr size_t kNarrowKey = UINT8_MAX;

  static size_t PaddedTags(size_t n) { return (n + 15) & ~size_t{15}; }
  // Bytes before the rows. Never less than FindRow reads of the tags.
  static size_t HeadBytes(size_t rows, bool wide) {
    return std::max(sizeof(Block) + kTagsRead,
                    sizeof(Block) + PaddedTags(rows) + rows * (wide ? 6 : 3));
  }
  template <typename T>
  T* At(size_t offset) {
    return reinterpret_cast<T*>(reinterpret_cast<char*>(this) + offset);
  }
  template <typename T>
  const T* At(size_t offset) const {
    return reinterpret_cast<const T*>(reinterpret_cast<const char*>(this) +
                                      offset);
  }
  size_t ends_at() const { return sizeof(Block) + PaddedTags(rows); }

  uint8_t* tags() { return At<uint8_t>(sizeof(Block)); }
  const uint8_t* tags() const { return At<uint8_t>(sizeof(Block)); }
  char* data() { return At<char>(HeadBytes(rows, wide)); }
  const char* data() const { return At<char>(HeadBytes(rows, wide)); }

  uint32_t end(uint32_t i) const {
    return wide ? At<uint32_t>(ends_at())[i] : At<uint16_t>(ends_at())[i];
  }
  uint32_t begin(uint32_t i) const { return i == 0 ? 0 : end(i - 1); }
  uint32_t key_size(uint32_t i) const {
    return wide ? At<uint16_t>(ends_at() + size_t{4} * rows)[i]
                : At<uint8_t>(ends_at() + size_t{2} * rows)[i];
  }
  void Set(uint32_t i, uint32_t end, size_t key_size) {
    if (wide) {
      At<uint32_t>(ends_at())[i] = end;
      At<uint16_t>(ends_at() + size_t{4} * rows)[i] =
          static_cast<uint16_t>(key_size);
    } else {
      At<uint16_t>(ends_at())[i] = static_cast<uint16_t>(end);
      At<uint8_t>(ends_at() + size_t{2} * rows)[i] =
          static_cast<uint8_t>(key_size);
    }
  }

  std::string_view key(uint32_t i) const {
    return {data() + begin(i), key_size(i)};
  }
  char* value_data(uint32_t i) { return data() + begin(i) + key_size(i); }
  std::string_view value(uint32_t i) const {
    const uint32_t from = begin(i) + key_size(i);
    return {data() + from, end(i) - from};
  }
  size_t data_bytes() const { return rows == 0 ? 0 : end(rows - 1); }
};

inline void Release(Block* block) {
  if (block != nullptr && Unref(block)) std::free(block);
}

// The rows of a block of up to kMaxBlockRows whose tag is `tag`, as bits. The
// work is the same for every block, so that the processor need not guess.
inline uint64_t RowsWithTag(const Block* block, uint8_t tag) {
  static_assert(kMaxBlockRows <= kTagsRead);
  const uint8_t* tags = block->tags();
  uint64_t matches = 0;
#ifdef __SSE2__
  const __m128i wanted = _mm_set1_epi8(static_cast<char>(tag));
  for (size_t group = 0; group < kTagsRead / 16; ++group) {
    const __m128i some =
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(tags + 16 * group));
    const auto equal =
        static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(some, wanted)));
    matches |= uint64_t{equal} << (16 * group);
  }
#else
  for (uint32_t row = 0; row < kTagsRead; ++row) {
    matches |= uint64_t{tags[row] == tag} << row;
  }
#endif
  return matches & ((uint64_t{1} << block->rows) - 1);
}

// Row index of `key` in `block`, or kNoRow.
inline uint32_t FindRow(const Block* block, uint8_t tag, std::string_view key) {
  if (block == nullptr) return kNoRow;
  if (block->rows > kMaxBlockRows) {  // of a page that cannot grow any more
    for (uint32_t row = 0; row < block->rows; ++row) {
      if (block->tags()[row] == tag && block->key(row) == key) return row;
    }
    return kNoRow;
  }
  for (uint64_t matches = RowsWithTag(block, tag); matches != 0;
       matches &= matches - 1) {
    const auto row = static_cast<uint32_t>(std::countr_zero(matches));
    if (block->key(row) == key) return row;
  }
  return kNoRow;
}

inline constexpr size_t kCacheLine = 64;

// Fetches `lines` of a block behind its first one.
inline void PrefetchLines(const Block* block, size_t lines) {
  // A number, as there may be no block: null has no addresses behind it.
  const auto at = reinterpret_cast<uintptr_t>(block);
  for (size_t i = 1; i <= lines; ++i) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): it is only fetched
    __builtin_prefetch(reinterpret_cast<const char*>(at + i * kCacheLine));
  }
}

// Fetches the first row that FindRow will compare.
inline void PrefetchRow(const Block* block, uint8_t tag) {
  if (block == nullptr || block->rows > kMaxBlockRows) return;
  const uint64_t matches = RowsWithTag(block, tag);
  if (matches == 0) return;
  const auto row = static_cast<uint32_t>(std::countr_zero(matches));
  __builtin_prefetch(block->data() + block->begin(row));
  __builtin_prefetch(block->data() + block->end(row) - 1);
}

// What to make of a block: row `replaced` left out (kNoRow: none) and, unless
// `value` is null, (key, *value) in its place or at the end.
struct Edit {
  uint32_t replaced;
  uint8_t tag;
  std::string_view key;
  const std::string_view* value;
};

// The edited block, or null where no row is left. `block` may be null.
Block* Rebuild(const Block* block, const Edit& edit);

inline bool TooLarge(const Block* block) {
  return block != nullptr && block->rows > 1 &&
         (block->rows > kMaxBlockRows || block->bytes > kTargetBlockBytes);
}

// Splits a block between two by the bit at `shift` of its keys' hashes; null:
// no row is on that side.
void SplitBlock(const Block* block, int shift, Block** low, Block** high);

}  // namespace kafed::block_table_internal
