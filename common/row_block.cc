#include "common/row_block.h"

#include <array>
#include <cstring>
#include <new>

#include "common/block_table.h"

namespace kafed::block_table_internal {
namespace {

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

// The edited block where neither version is wide: copied in runs of rows.
Block* RebuildNarrow(const Block* block, const Edit& edit, size_t rows,
                     size_t data_bytes) {
  Block* made = NewBlock({rows, data_bytes, false});
  const uint32_t old_rows = block->rows;
  // The rows before the edit stay, those behind it move by `skip` places.
  const uint32_t before = std::min(edit.replaced, old_rows);
  const uint32_t skip = edit.replaced == kNoRow ? 0 : 1;
  const uint32_t put = edit.value == nullptr ? 0 : 1;
  const uint32_t behind = old_rows - before - skip;
  const uint32_t from = before + skip;
  const uint32_t to = before + put;

  std::memcpy(made->tags(), block->tags(), before);
  std::memcpy(made->tags() + to, block->tags() + from, behind);
  const auto* old_ends = block->At<uint16_t>(block->ends_at());
  auto* ends = made->At<uint16_t>(made->ends_at());
  const auto* old_keys = reinterpret_cast<const uint8_t*>(old_ends + old_rows);
  auto* keys = reinterpret_cast<uint8_t*>(ends + rows);
  std::memcpy(ends, old_ends, before * sizeof(uint16_t));
  std::memcpy(keys, old_keys, before);
  std::memcpy(keys + to, old_keys + from, behind);

  const uint32_t begin = before == 0 ? 0 : old_ends[before - 1];
  std::memcpy(made->data(), block->data(), begin);
  uint32_t end = begin;
  if (put != 0) {
    std::memcpy(made->data() + end, edit.key.data(), edit.key.size());
    end += static_cast<uint32_t>(edit.key.size());
    std::memcpy(made->data() + end, edit.value->data(), edit.value->size());
    end += static_cast<uint32_t>(edit.value->size());
    made->tags()[before] = edit.tag;
    ends[before] = static_cast<uint16_t>(end);
    keys[before] = static_cast<uint8_t>(edit.key.size());
  }
  const uint32_t old_begin = from == 0 ? 0 : old_ends[from - 1];
  std::memcpy(made->data() + end, block->data() + old_begin,
              block->data_bytes() - old_begin);
  for (uint32_t i = 0; i < behind; ++i) {
    ends[to + i] = static_cast<uint16_t>(old_ends[from + i] - old_begin + end);
  }
  return made;
}

Block* RebuildWide(const Block* block, const Edit& edit) {
  const uint32_t old_rows = block == nullptr ? 0 : block->rows;
  BlockSize size;
  for (uint32_t i = 0; i < old_rows; ++i) {
    if (i != edit.replaced) size.Add(block->key(i), block->value(i));
  }
  if (edit.value != nullptr) size.Add(edit.key, *edit.value);
  Block* made = NewBlock(size);
  BlockWriter writer(made);
  for (uint32_t i = 0; i < old_rows; ++i) {
    if (i != edit.replaced) {
      writer.Add(block->tags()[i], block->key(i), block->value(i));
    } else if (edit.value != nullptr) {
      writer.Add(edit.tag, edit.key, *edit.value);
    }
  }
  if (edit.value != nullptr && edit.replaced == kNoRow) {
    writer.Add(edit.tag, edit.key, *edit.value);
  }
  return made;
}

}  // namespace

void* Allocate(size_t bytes) {
  ThreadAllocations().nodes += 1;
  ThreadAllocations().bytes += bytes;
  void* memory = std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

Block* Rebuild(const Block* block, const Edit& edit) {
  size_t rows = block == nullptr ? 0 : block->rows;
  size_t data_bytes = block == nullptr ? 0 : block->data_bytes();
  if (block != nullptr && edit.replaced != kNoRow) {
    rows -= 1;
    data_bytes -= block->end(edit.replaced) - block->begin(edit.replaced);
  }
  if (edit.value != nullptr) {
    rows += 1;
    data_bytes += edit.key.size() + edit.value->size();
  }
  if (rows == 0) return nullptr;
  const bool narrow = block != nullptr && !block->wide &&
                      edit.key.size() <= Block::kNarrowKey &&
                      data_bytes <= Block::kNarrowData;
  return narrow ? RebuildNarrow(block, edit, rows, data_bytes)
                : RebuildWide(block, edit);
}

void SplitBlock(const Block* block, int shift, Block** low, Block** high) {
  std::array<BlockSize, 2> sizes;
  const auto side = [&](uint32_t i) {
    return (HashKey(block->key(i)) >> shift) & 1;
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

}  // namespace kafed::block_table_internal
