// BlockTable: a persistent (structurally shared) map from bytes to bytes.
//
// A value type: copying one is O(1) and gives a snapshot that later edits never
// touch; readers of a copy need no lock. An edit copies one path, which has the
// same length at ten thousand keys and at ten million:
//
//   branch (64 nodes) -> branch (64) -> page (1 to 64 blocks) -> block
//
// A small table has fewer branches, an even larger one more.
// A block is one allocation that holds about 17 rows: 8-bit tags, offsets,
// then keys and values back to back. There is no object for each key. A page
// doubles its blocks when one grows too large, a full one becomes a branch: no
// edit ever costs in proportion to the table. Nodes that were made since
// the last snapshot are edited in place (they have one owner).
//
// The table also keeps the sum of the XXH3-128 hashes of its rows: equal sets
// of rows have equal hashes, in whatever order they were written.
//
// It does not interpret keys or values, and it does not order them: Scan goes
// in hash order, which is the same for equal keys in any process.
//
// Threads: a BlockTable object is edited by one thread; copies may be read and
// dropped by any. Views returned by Find live as long as an unedited copy.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

namespace kafed {

namespace block_table_internal {
struct Node;
}  // namespace block_table_internal

// 128-bit sum of row hashes.
struct TableDigest {
  uint64_t low = 0;
  uint64_t high = 0;
  friend bool operator==(const TableDigest&, const TableDigest&) = default;
  void Add(const TableDigest& other);
  void Subtract(const TableDigest& other);
};

// Nodes allocated by edits of this thread since it was last reset; what a test
// of "the cost of one binding does not depend on the size" counts.
struct AllocationCount {
  uint64_t nodes = 0;
  uint64_t bytes = 0;
};
AllocationCount& ThreadAllocations();

class BlockTable {
 public:
  static constexpr size_t kMaxKeyBytes = 1024;
  static constexpr size_t kMaxValueBytes = 16 << 20;

  BlockTable() = default;
  BlockTable(const BlockTable& other);
  BlockTable& operator=(const BlockTable& other);
  BlockTable(BlockTable&& other) noexcept;
  BlockTable& operator=(BlockTable&& other) noexcept;
  ~BlockTable();

  std::optional<std::string_view> Find(std::string_view key) const;

  // Looks up many keys with prefetching; results[i] belongs to keys[i].
  void FindMany(std::span<const std::string_view> keys,
                std::span<std::optional<std::string_view>> results) const;

  // Inserts or replaces.
  void Put(std::string_view key, std::string_view value);
  // Returns whether the key was there.
  bool Erase(std::string_view key);

  // Where a scan goes on: 0 begins, kEnd is the end.
  using Cursor = uint64_t;
  static constexpr Cursor kEnd = UINT64_MAX;
  using Visitor =
      std::function<void(std::string_view key, std::string_view value)>;

  // Visits rows from `cursor` until at least `min_rows` were visited or the
  // end; returns the next cursor. A cursor stays meaningful on later versions
  // of the table: rows that exist throughout are visited exactly once.
  Cursor Scan(Cursor cursor, size_t min_rows, const Visitor& visit) const;

  // Visits all rows.
  void ForEach(const Visitor& visit) const { Scan(0, SIZE_MAX, visit); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Sum of the hashes of the rows.
  const TableDigest& digest() const { return digest_; }
  // Bytes allocated for nodes reachable from this version; walks the table.
  size_t MemoryBytes() const;

 private:
  block_table_internal::Node* root_ = nullptr;
  size_t size_ = 0;
  TableDigest digest_;
};

// Digest of one row, as BlockTable counts it.
TableDigest DigestRow(std::string_view key, std::string_view value);

}  // namespace kafed
