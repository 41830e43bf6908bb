#include "federation/image/editor.h"

namespace kafed::federation {
namespace {

std::string TombstoneKey(Table table, std::string_view key) {
  std::string out(1, static_cast<char>(table));
  out.append(key);
  return out;
}

}  // namespace

void Editor::Erase(Table table, std::string_view key) {
  image_->tables_[static_cast<size_t>(table)].Erase(key);
}

void Editor::PutName(std::string_view key, uint32_t number) {
  std::string value;
  PutVarint(number, &value);
  PutBytes(Table::kNames, key, value);
}

void Editor::NoteChange(Table table, std::string_view key) {
  if (changes_ != nullptr) changes_->push_back({table, std::string(key)});
  if (!image_->table(Table::kTombstones).empty()) {
    Erase(Table::kTombstones, TombstoneKey(table, key));
  }
}

void Editor::EraseView(Table table, std::string_view key) {
  Erase(table, key);
  if (changes_ != nullptr) changes_->push_back({table, std::string(key)});
  const std::string tombstone = TombstoneKey(table, key);
  std::string at;
  PutVarint(index().value(), &at);
  PutBytes(Table::kTombstones, tombstone, at);
  Counters counters = image_->counters();
  PutBytes(Table::kTombstoneQueue, KeyOf(counters.tombstone_next++),
           at + tombstone);
  if (counters.tombstone_next - counters.tombstone_first > kMaxTombstones) {
    const std::string oldest = KeyOf(counters.tombstone_first++);
    const auto entry = image_->table(Table::kTombstoneQueue).Find(oldest);
    ByteReader reader(*entry);
    const uint64_t changed_at = reader.Varint();
    const std::string old_key(reader.rest());
    const auto current = image_->table(Table::kTombstones).Find(old_key);
    // The row may have come back, or have been deleted again later.
    if (current && ByteReader(*current).Varint() == changed_at) {
      Erase(Table::kTombstones, old_key);
    }
    Erase(Table::kTombstoneQueue, oldest);
    counters.tombstone_floor = changed_at;
  }
  Put(Table::kCounters, "", counters);
}

}  // namespace kafed::federation
