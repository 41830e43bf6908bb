#include "common/block_table.h"

#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "common/log.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

// Bits of the 64-bit key hash, from the top: 5 choose the branch, 5 the page,
// the next k the block in its page; the lowest 8 are the tag.
namespace kafed {

AllocationCount& ThreadAllocations() {
  static thread_local AllocationCount count;
  return count;
}

namespace block_table_internal {

constexpr int kFanoutBits = 5;
constexpr int kFanout = 1 << kFanoutBits;
// A page doubles when a block passes either limit.
constexpr size_t kMaxBlockRows = 24;
// Tags that a look-up compares at once, whatever the rows.
constexpr size_t kTagsRead = 32;
// What the allocator keeps at hand for each thread.
constexpr size_t kTargetBlockBytes = 1032;
constexpr int kMaxPageBits = 20;

struct Node {
  std::atomic<uint32_t> refs{1};
};

// One allocation: header, tags padded to 16, ends of rows, sizes of keys, rows.
// A row is its key's bytes followed by its value's. Ends and sizes take three
// bytes a row, so that with the tags they lie in the first lines of the cache;
// a block with long keys or much data is wide, and they take six.
struct Block : Node {
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
  std::string_view value(uint32_t i) const {
    const uint32_t from = begin(i) + key_size(i);
    return {data() + from, end(i) - from};
  }
  size_t data_bytes() const { return rows == 0 ? 0 : end(rows - 1); }
};

struct Page : Node {
  uint32_t bits;  // 2^bits blocks
  static size_t BytesFor(size_t count) {
    return sizeof(Page) + count * sizeof(void*);
  }
  Block** blocks() { return reinterpret_cast<Block**>(this + 1); }
  Block* const* blocks() const {
    return reinterpret_cast<Block* const*>(this + 1);
  }
  size_t count() const { return size_t{1} << bits; }
};

struct Branch : Node {
  Page* pages[kFanout] = {};
};

struct Root : Node {
  Branch* branches[kFanout] = {};
};

namespace {

void* Allocate(size_t bytes) {
  ThreadAllocations().nodes += 1;
  ThreadAllocations().bytes += bytes;
  void* memory = std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

uint64_t HashKey(std::string_view key) {
  return XXH3_64bits(key.data(), key.size());
}
uint8_t TagOf(uint64_t hash) { return static_cast<uint8_t>(hash); }
int BranchOf(uint64_t hash) { return static_cast<int>(hash >> 59); }
int PageOf(uint64_t hash) { return static_cast<int>(hash >> 54) & 31; }
uint32_t BlockOf(uint64_t hash, uint32_t bits) {
  return bits == 0 ? 0 : static_cast<uint32_t>((hash << 10) >> (64 - bits));
}

bool Unshared(const Node* node) {
  return node->refs.load(std::memory_order_acquire) == 1;
}
void Ref(Node* node) {
  if (node != nullptr) node->refs.fetch_add(1, std::memory_order_relaxed);
}
bool Unref(Node* node) {
  return node->refs.fetch_sub(1, std::memory_order_acq_rel) == 1;
}

void Release(Block* block) {
  if (block != nullptr && Unref(block)) std::free(block);
}
void Release(Page* page) {
  if (page == nullptr || !Unref(page)) return;
  for (size_t i = 0; i < page->count(); ++i) Release(page->blocks()[i]);
  std::free(page);
}
void Release(Branch* branch) {
  if (branch == nullptr || !Unref(branch)) return;
  for (Page* page : branch->pages) Release(page);
  branch->~Branch();
  std::free(branch);
}
void Release(Root* root) {
  if (root == nullptr || !Unref(root)) return;
  for (Branch* branch : root->branches) Release(branch);
  root->~Root();
  std::free(root);
}

// What the rows of a block to be made add up to.
struct BlockSize {
  size_t rows = 0;
  size_t data_bytes = 0;
  bool long_keys = false;
  void Add(std::string_view key, std::string_view value) {
    rows += 1;
    data_bytes += key.size() + value.size();
    long_keys |= key.size() > Block::kNarrowKey;
  }
};

Block* NewBlock(const BlockSize& size) {
  const bool wide = size.long_keys || size.data_bytes > Block::kNarrowData;
  const size_t bytes = Block::HeadBytes(size.rows, wide) + size.data_bytes;
  auto* block = new (Allocate(bytes)) Block;
  block->rows = static_cast<uint32_t>(size.rows);
  block->bytes = static_cast<uint32_t>(bytes);
  block->wide = wide;
  std::memset(block->tags(), 0, Block::PaddedTags(size.rows));
  return block;
}

Page* NewPage(uint32_t bits) {
  const size_t count = size_t{1} << bits;
  auto* page = new (Allocate(Page::BytesFor(count))) Page;
  page->bits = bits;
  std::memset(page->blocks(), 0, count * sizeof(void*));
  return page;
}

// Appends rows to a block that was made with room for exactly them.
class BlockWriter {
 public:
  explicit BlockWriter(Block* block)
      : block_(block), data_(block == nullptr ? nullptr : block->data()) {}
  void Add(uint8_t tag, std::string_view key, std::string_view value) {
    char* out = data_ + end_;
    std::memcpy(out, key.data(), key.size());
    std::memcpy(out + key.size(), value.data(), value.size());
    end_ += static_cast<uint32_t>(key.size() + value.size());
    block_->tags()[next_] = tag;
    block_->Set(next_, end_, key.size());
    ++next_;
  }

 private:
  Block* block_;
  char* data_;
  uint32_t next_ = 0;
  uint32_t end_ = 0;
};

constexpr uint32_t kNoRow = UINT32_MAX;

// The rows of a block of up to kMaxBlockRows whose tag is `tag`, as bits. The
// work is the same for every block, so that the processor need not guess.
uint64_t RowsWithTag(const Block* block, uint8_t tag) {
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
uint32_t FindRow(const Block* block, uint8_t tag, std::string_view key) {
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

constexpr size_t kCacheLine = 64;

// Fetches `lines` of a block behind its first one.
void PrefetchLines(const Block* block, size_t lines) {
  // A number, as there may be no block: null has no addresses behind it.
  const auto at = reinterpret_cast<uintptr_t>(block);
  for (size_t i = 1; i <= lines; ++i) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): it is only fetched
    __builtin_prefetch(reinterpret_cast<const char*>(at + i * kCacheLine));
  }
}

// Fetches the first row that FindRow will compare.
void PrefetchRow(const Block* block, uint8_t tag) {
  if (block == nullptr || block->rows > kMaxBlockRows) return;
  const uint64_t matches = RowsWithTag(block, tag);
  if (matches == 0) return;
  const auto row = static_cast<uint32_t>(std::countr_zero(matches));
  __builtin_prefetch(block->data() + block->begin(row));
}

// `block` with row `replaced` left out (kNoRow: none) and, unless `value` is
// null, (key, *value) in its place or at the end.
Block* Rebuild(const Block* block, uint32_t replaced, uint8_t tag,
               std::string_view key, const std::string_view* value) {
  const uint32_t old_rows = block == nullptr ? 0 : block->rows;
  BlockSize size;
  for (uint32_t i = 0; i < old_rows; ++i) {
    if (i != replaced) size.Add(block->key(i), block->value(i));
  }
  if (value != nullptr) size.Add(key, *value);
  if (size.rows == 0) return nullptr;
  Block* made = NewBlock(size);
  BlockWriter writer(made);
  for (uint32_t i = 0; i < old_rows; ++i) {
    if (i == replaced) {
      if (value != nullptr) writer.Add(tag, key, *value);
    } else {
      writer.Add(block->tags()[i], block->key(i), block->value(i));
    }
  }
  if (replaced == kNoRow && value != nullptr) writer.Add(tag, key, *value);
  return made;
}

bool TooLarge(const Block* block) {
  return block != nullptr && block->rows > 1 &&
         (block->rows > kMaxBlockRows || block->bytes > kTargetBlockBytes);
}

// Splits a block between two by hash bit; `bits` is the new page's.
void SplitBlock(const Block* block, uint32_t bits, Block** low, Block** high) {
  std::array<BlockSize, 2> sizes;
  const auto side = [&](uint32_t i) {
    return BlockOf(HashKey(block->key(i)), bits) & 1;
  };
  for (uint32_t i = 0; i < block->rows; ++i) {
    sizes[side(i)].Add(block->key(i), block->value(i));
  }
  *low = sizes[0].rows == 0 ? nullptr : NewBlock(sizes[0]);
  *high = sizes[1].rows == 0 ? nullptr : NewBlock(sizes[1]);
  std::array<BlockWriter, 2> writers = {BlockWriter(*low), BlockWriter(*high)};
  for (uint32_t i = 0; i < block->rows; ++i) {
    writers[side(i)].Add(block->tags()[i], block->key(i), block->value(i));
  }
}

// A page with twice the blocks; consumes the reference to `page`, which must
// be unshared.
Page* Grow(Page* page) {
  Page* grown = NewPage(page->bits + 1);
  for (size_t i = 0; i < page->count(); ++i) {
    Block*& block = page->blocks()[i];
    if (block == nullptr) continue;
    SplitBlock(block, grown->bits, &grown->blocks()[2 * i],
               &grown->blocks()[2 * i + 1]);
    Release(block);
    block = nullptr;
  }
  Release(page);
  return grown;
}

// The unshared versions of the nodes on the path to `hash`.
Page** OwnPath(Root** root, uint64_t hash) {
  if (*root == nullptr) {
    *root = new (Allocate(sizeof(Root))) Root;
  } else if (!Unshared(*root)) {
    auto* copy = new (Allocate(sizeof(Root))) Root;
    for (int i = 0; i < kFanout; ++i) {
      copy->branches[i] = (*root)->branches[i];
      Ref(copy->branches[i]);
    }
    Release(*root);
    *root = copy;
  }
  Branch*& branch = (*root)->branches[BranchOf(hash)];
  if (branch == nullptr) {
    branch = new (Allocate(sizeof(Branch))) Branch;
  } else if (!Unshared(branch)) {
    auto* copy = new (Allocate(sizeof(Branch))) Branch;
    for (int i = 0; i < kFanout; ++i) {
      copy->pages[i] = branch->pages[i];
      Ref(copy->pages[i]);
    }
    Release(branch);
    branch = copy;
  }
  Page*& page = branch->pages[PageOf(hash)];
  if (page == nullptr) {
    page = NewPage(0);
  } else if (!Unshared(page)) {
    Page* copy = NewPage(page->bits);
    for (size_t i = 0; i < page->count(); ++i) {
      copy->blocks()[i] = page->blocks()[i];
      Ref(copy->blocks()[i]);
    }
    Release(page);
    page = copy;
  }
  return &page;
}

const Page* FindPage(const Root* root, uint64_t hash) {
  if (root == nullptr) return nullptr;
  const Branch* branch = root->branches[BranchOf(hash)];
  return branch == nullptr ? nullptr : branch->pages[PageOf(hash)];
}

const Block* FindBlock(const Root* root, uint64_t hash) {
  const Page* page = FindPage(root, hash);
  return page == nullptr ? nullptr : page->blocks()[BlockOf(hash, page->bits)];
}

}  // namespace
}  // namespace block_table_internal

using namespace block_table_internal;  // NOLINT: the nodes of this file

void TableDigest::Add(const TableDigest& other) {
  const uint64_t sum = low + other.low;
  high += other.high + (sum < low ? 1 : 0);
  low = sum;
}

void TableDigest::Subtract(const TableDigest& other) {
  high -= other.high + (low < other.low ? 1 : 0);
  low -= other.low;
}

TableDigest DigestRow(std::string_view key, std::string_view value) {
  // The key's hash seeds the value's, so no separator is needed.
  const uint64_t seed = HashKey(key) ^ key.size();
  const XXH128_hash_t hash =
      XXH3_128bits_withSeed(value.data(), value.size(), seed);
  return {hash.low64, hash.high64};
}

BlockTable::BlockTable(const BlockTable& other)
    : root_(other.root_), size_(other.size_), digest_(other.digest_) {
  Ref(root_);
}

BlockTable& BlockTable::operator=(const BlockTable& other) {
  if (this != &other) {
    Ref(other.root_);
    Release(root_);
    root_ = other.root_;
    size_ = other.size_;
    digest_ = other.digest_;
  }
  return *this;
}

BlockTable::BlockTable(BlockTable&& other) noexcept
    : root_(std::exchange(other.root_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      digest_(std::exchange(other.digest_, {})) {}

BlockTable& BlockTable::operator=(BlockTable&& other) noexcept {
  if (this != &other) {
    Release(root_);
    root_ = std::exchange(other.root_, nullptr);
    size_ = std::exchange(other.size_, 0);
    digest_ = std::exchange(other.digest_, {});
  }
  return *this;
}

BlockTable::~BlockTable() { Release(root_); }

std::optional<std::string_view> BlockTable::Find(std::string_view key) const {
  const uint64_t hash = HashKey(key);
  const Block* block = FindBlock(root_, hash);
  // All of it at once: waiting for the head to fetch the row takes twice as
  // long.
  PrefetchLines(block, 6);
  const uint32_t row = FindRow(block, TagOf(hash), key);
  if (row == kNoRow) return std::nullopt;
  return block->value(row);
}

void BlockTable::FindMany(
    std::span<const std::string_view> keys,
    std::span<std::optional<std::string_view>> results) const {
  constexpr size_t kGroup = 16;
  std::array<uint64_t, kGroup> hashes;
  std::array<const Block*, kGroup> blocks;
  for (size_t base = 0; base < keys.size(); base += kGroup) {
    const size_t count = std::min(kGroup, keys.size() - base);
    for (size_t i = 0; i < count; ++i) {
      hashes[i] = HashKey(keys[base + i]);
      const Page* page = FindPage(root_, hashes[i]);
      if (page != nullptr) {
        __builtin_prefetch(&page->blocks()[BlockOf(hashes[i], page->bits)]);
      }
    }
    for (size_t i = 0; i < count; ++i) {
      blocks[i] = FindBlock(root_, hashes[i]);
      __builtin_prefetch(blocks[i]);
      PrefetchLines(blocks[i], 2);
    }
    for (size_t i = 0; i < count; ++i) PrefetchRow(blocks[i], TagOf(hashes[i]));
    for (size_t i = 0; i < count; ++i) {
      const uint32_t row = FindRow(blocks[i], TagOf(hashes[i]), keys[base + i]);
      if (row == kNoRow) {
        results[base + i] = std::nullopt;
      } else {
        results[base + i] = blocks[i]->value(row);
      }
    }
  }
}

void BlockTable::Put(std::string_view key, std::string_view value) {
  if (key.size() > kMaxKeyBytes || value.size() > kMaxValueBytes) {
    Fault("row is over the limit of the table",
          {{"key_bytes", key.size()}, {"value_bytes", value.size()}});
  }
  const uint64_t hash = HashKey(key);
  const uint8_t tag = TagOf(hash);
  Page** page = OwnPath(&root_, hash);
  Block** block = &(*page)->blocks()[BlockOf(hash, (*page)->bits)];
  const uint32_t row = FindRow(*block, tag, key);
  if (row == kNoRow) {
    ++size_;
  } else {
    digest_.Subtract(DigestRow(key, (*block)->value(row)));
  }
  digest_.Add(DigestRow(key, value));
  Block* made = Rebuild(*block, row, tag, key, &value);
  Release(*block);
  *block = made;
  if (TooLarge(made) && (*page)->bits < kMaxPageBits) *page = Grow(*page);
}

bool BlockTable::Erase(std::string_view key) {
  const uint64_t hash = HashKey(key);
  const uint8_t tag = TagOf(hash);
  const uint32_t row = FindRow(FindBlock(root_, hash), tag, key);
  if (row == kNoRow) return false;
  Page** page = OwnPath(&root_, hash);
  Block** block = &(*page)->blocks()[BlockOf(hash, (*page)->bits)];
  digest_.Subtract(DigestRow(key, (*block)->value(row)));
  Block* made = Rebuild(*block, row, tag, key, nullptr);
  Release(*block);
  *block = made;
  --size_;
  return true;
}

BlockTable::Cursor BlockTable::Scan(Cursor cursor, size_t min_rows,
                                    const Visitor& visit) const {
  // A cursor is a hash prefix: everything below it was visited. Steps are
  // whole blocks; a page that has grown meanwhile only makes them smaller.
  size_t visited = 0;
  while (root_ != nullptr && cursor != kEnd) {
    const Branch* branch = root_->branches[BranchOf(cursor)];
    const Page* page =
        branch == nullptr ? nullptr : branch->pages[PageOf(cursor)];
    int step_bits = branch == nullptr ? 59 : 54;
    if (page != nullptr) {
      step_bits = 54 - static_cast<int>(page->bits);
      const Block* block = page->blocks()[BlockOf(cursor, page->bits)];
      for (uint32_t i = 0; block != nullptr && i < block->rows; ++i) {
        // A cursor inside this block's range was made by a finer page.
        if (HashKey(block->key(i)) < cursor) continue;
        visit(block->key(i), block->value(i));
        ++visited;
      }
    }
    const uint64_t next = ((cursor >> step_bits) + 1) << step_bits;
    if (next == 0) return kEnd;
    cursor = next;
    if (visited >= min_rows) return cursor;
  }
  return kEnd;
}

size_t BlockTable::MemoryBytes() const {
  if (root_ == nullptr) return 0;
  size_t bytes = sizeof(Root);
  for (const Branch* branch : root_->branches) {
    if (branch == nullptr) continue;
    bytes += sizeof(Branch);
    for (const Page* page : branch->pages) {
      if (page == nullptr) continue;
      bytes += Page::BytesFor(page->count());
      for (size_t i = 0; i < page->count(); ++i) {
        if (page->blocks()[i] != nullptr) bytes += page->blocks()[i]->bytes;
      }
    }
  }
  return bytes;
}

}  // namespace kafed
