#include "common/block_table.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "common/log.h"
#include "common/row_block.h"

// Bits of the 64-bit key hash, from the top: 6 for each branch on the way, then
// k for the block in its page; the lowest 8 are the tag.
namespace kafed {

AllocationCount& ThreadAllocations() {
  static thread_local AllocationCount count;
  return count;
}

namespace block_table_internal {

// Copying a node touches each of its children, which lie all over the memory;
// each level of nodes is one more for a look-up to pass
// (docs/decisions/0012-what-an-edit-touches.md).
constexpr int kFanoutBits = 6;
constexpr int kFanout = 1 << kFanoutBits;
// Above it pages have one block, so that the way to a block has the same length
// from some thousand rows to some million.
constexpr int kPagesShift = 64 - 2 * kFanoutBits;
// Below it pages do not become branches; the hash has no more bits than that.
constexpr int kLastShift = 16;

// A branch, whose children are 64 nodes, or a page, whose children are 2^bits
// blocks or null.
struct Node : Counted {
  uint8_t bits;
  bool is_page;

  static size_t BytesFor(int bits) {
    return sizeof(Node) + (size_t{1} << bits) * sizeof(void*);
  }
  size_t count() const { return size_t{1} << bits; }
  Counted** children() { return reinterpret_cast<Counted**>(this + 1); }
  Counted* const* children() const {
    return reinterpret_cast<Counted* const*>(this + 1);
  }
  // REQUIRES: it is a branch.
  Node** nodes() { return reinterpret_cast<Node**>(this + 1); }
  Node* const* nodes() const {
    return reinterpret_cast<Node* const*>(this + 1);
  }
  // REQUIRES: it is a page.
  Block** blocks() { return reinterpret_cast<Block**>(this + 1); }
  Block* const* blocks() const {
    return reinterpret_cast<Block* const*>(this + 1);
  }
};

namespace {

uint8_t TagOf(uint64_t hash) { return static_cast<uint8_t>(hash); }
// The child of a branch; `shift` bits are left below those that chose it.
size_t ChildOf(uint64_t hash, int shift) {
  return (hash >> shift) & (kFanout - 1);
}
// The block of a page that `shift` bits lead into.
size_t BlockOf(uint64_t hash, int shift, int bits) {
  return bits == 0 ? 0 : (hash >> (shift - bits)) & ((size_t{1} << bits) - 1);
}

// Begins to fetch the children of a node, to be counted: each count waits for
// the one before, the fetches need not.
void FetchCounts(const Node* node) {
  for (size_t i = 0; i < node->count(); ++i) {
    __builtin_prefetch(node->children()[i], 1);
  }
}

void Release(Node* node) {
  if (node == nullptr || !Unref(node)) return;
  FetchCounts(node);
  for (size_t i = 0; i < node->count(); ++i) {
    if (node->is_page) {
      Release(node->blocks()[i]);
    } else {
      Release(node->nodes()[i]);
    }
  }
  std::free(node);
}

Node* NewNode(bool is_page, int bits) {
  auto* node = new (Allocate(Node::BytesFor(bits))) Node;
  node->bits = static_cast<uint8_t>(bits);
  node->is_page = is_page;
  std::memset(node->children(), 0, node->count() * sizeof(void*));
  return node;
}

// A page with twice the blocks. Consumes the reference to `page`, which must be
// unshared; `shift` bits lead into it.
Node* Double(Node* page, int shift) {
  Node* doubled = NewNode(true, page->bits + 1);
  for (size_t i = 0; i < page->count(); ++i) {
    Block* block = std::exchange(page->blocks()[i], nullptr);
    if (block == nullptr) continue;
    SplitBlock(block, shift - doubled->bits, &doubled->blocks()[2 * i],
               &doubled->blocks()[2 * i + 1]);
    Release(block);
  }
  Release(page);
  return doubled;
}

// Makes room where the block of `hash` has become too large: its page gets
// twice the blocks; one that has all it may becomes a branch of pages with a
// block each. As Double.
Node* Grow(Node* page, uint64_t hash, int shift) {
  const int most_bits = shift > kPagesShift ? 0 : kFanoutBits;
  if (page->bits < most_bits) return Double(page, shift);
  if (shift <= kLastShift) return page;  // as good as it gets
  while (page->bits < kFanoutBits) page = Double(page, shift);
  Node* branch = NewNode(false, kFanoutBits);
  for (size_t i = 0; i < page->count(); ++i) {
    branch->nodes()[i] = NewNode(true, 0);
    branch->nodes()[i]->blocks()[0] = std::exchange(page->blocks()[i], nullptr);
  }
  Release(page);
  shift -= kFanoutBits;
  Node** child = &branch->nodes()[ChildOf(hash, shift)];
  if (TooLarge((*child)->blocks()[0])) *child = Grow(*child, hash, shift);
  return branch;
}

// A page in a tree, and how many bits of the hash are left at it.
struct Place {
  Node** page;
  int shift;
  Block** BlockFor(uint64_t hash) const {
    return &(*page)->blocks()[BlockOf(hash, shift, (*page)->bits)];
  }
};

// The way to the page of `hash`, with all nodes on it unshared.
Place OwnPath(Node** root, uint64_t hash) {
  if (*root == nullptr) *root = NewNode(true, 0);
  Place at{root, 64};
  while (true) {
    Node*& node = *at.page;
    if (!Unshared(node)) {
      FetchCounts(node);
      Node* copy = NewNode(node->is_page, node->bits);
      for (size_t i = 0; i < node->count(); ++i) {
        copy->children()[i] = node->children()[i];
        Ref(copy->children()[i]);
      }
      Release(node);
      node = copy;
    }
    if (node->is_page) return at;
    at.shift -= kFanoutBits;
    at.page = &node->nodes()[ChildOf(hash, at.shift)];
  }
}

// The way of a look-up down to a page.
struct Descent {
  const Node* node;
  int shift;
  // To the child, which begins to be fetched; false: this is a page.
  bool Step(uint64_t hash) {
    if (node->is_page) return false;
    shift -= kFanoutBits;
    node = node->nodes()[ChildOf(hash, shift)];
    __builtin_prefetch(node);
    return true;
  }
  // At a page: where the pointer to the block is.
  Block* const* BlockFor(uint64_t hash) const {
    return &node->blocks()[BlockOf(hash, shift, node->bits)];
  }
};

// Where a look-up finds the pointer to its block; null: the table is empty.
Block* const* FindBlock(const Node* root, uint64_t hash) {
  if (root == nullptr) return nullptr;
  Descent descent{root, 64};
  while (descent.Step(hash)) {
  }
  return descent.BlockFor(hash);
}

size_t MemoryBytesOf(const Node* node) {
  size_t bytes = Node::BytesFor(node->bits);
  for (size_t i = 0; i < node->count(); ++i) {
    if (!node->is_page) {
      bytes += MemoryBytesOf(node->nodes()[i]);
    } else if (node->blocks()[i] != nullptr) {
      bytes += node->blocks()[i]->bytes;
    }
  }
  return bytes;
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
  Block* const* at = FindBlock(root_, hash);
  if (at == nullptr) return std::nullopt;
  const Block* block = *at;
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
  if (root_ == nullptr) {
    std::fill_n(results.begin(), keys.size(), std::nullopt);
    return;
  }
  constexpr size_t kGroup = 16;
  std::array<uint64_t, kGroup> hashes;
  std::array<Descent, kGroup> descents;
  std::array<Block* const*, kGroup> places;
  std::array<const Block*, kGroup> blocks;
  for (size_t base = 0; base < keys.size(); base += kGroup) {
    const size_t count = std::min(kGroup, keys.size() - base);
    for (size_t i = 0; i < count; ++i) {
      hashes[i] = HashKey(keys[base + i]);
      descents[i] = {root_, 64};
    }
    // All go down together: each step is fetched while the others are made.
    for (bool further = true; further;) {
      further = false;
      for (size_t i = 0; i < count; ++i) {
        further |= descents[i].Step(hashes[i]);
      }
    }
    for (size_t i = 0; i < count; ++i) {
      places[i] = descents[i].BlockFor(hashes[i]);
      __builtin_prefetch(places[i]);
    }
    for (size_t i = 0; i < count; ++i) {
      blocks[i] = *places[i];
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
  const Place place = OwnPath(&root_, hash);
  Block** block = place.BlockFor(hash);
  const uint32_t row = FindRow(*block, tag, key);
  if (row == kNoRow) {
    ++size_;
  } else {
    digest_.Subtract(DigestRow(key, (*block)->value(row)));
  }
  digest_.Add(DigestRow(key, value));
  if (row != kNoRow && (*block)->value(row).size() == value.size() &&
      Unshared(*block)) {
    std::memmove((*block)->value_data(row), value.data(), value.size());
    return;
  }
  Block* made = Rebuild(*block, {row, tag, key, &value});
  Release(*block);
  *block = made;
  if (TooLarge(made)) *place.page = Grow(*place.page, hash, place.shift);
}

bool BlockTable::Erase(std::string_view key) {
  const uint64_t hash = HashKey(key);
  const uint8_t tag = TagOf(hash);
  Block* const* found = FindBlock(root_, hash);
  if (found == nullptr) return false;
  const uint32_t row = FindRow(*found, tag, key);
  if (row == kNoRow) return false;
  Block** block = OwnPath(&root_, hash).BlockFor(hash);
  digest_.Subtract(DigestRow(key, (*block)->value(row)));
  Block* made = Rebuild(*block, {row, tag, key, nullptr});
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
    const Node* node = root_;
    int shift = 64;
    while (!node->is_page) {
      shift -= kFanoutBits;
      node = node->nodes()[ChildOf(cursor, shift)];
    }
    const Block* block = node->blocks()[BlockOf(cursor, shift, node->bits)];
    for (uint32_t i = 0; block != nullptr && i < block->rows; ++i) {
      // A cursor inside this block's range was made by a finer page.
      if (HashKey(block->key(i)) < cursor) continue;
      visit(block->key(i), block->value(i));
      ++visited;
    }
    shift -= node->bits;
    if (shift == 64) return kEnd;  // the only block
    const uint64_t next = ((cursor >> shift) + 1) << shift;
    if (next == 0) return kEnd;
    cursor = next;
    if (visited >= min_rows) return cursor;
  }
  return kEnd;
}

size_t BlockTable::MemoryBytes() const {
  return root_ == nullptr ? 0 : MemoryBytesOf(root_);
}

}  // namespace kafed
