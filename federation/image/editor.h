// Editor: the only way to change an Image; what apply.cc writes through.
//
// It notes which rows of the route view an entry changed, stamps them, and
// keeps tombstones of deleted ones for a while, so that a follower can be sent
// just what changed since the position it has.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "federation/image/image.h"

namespace kafed::federation {

// A row of the route view that changed.
struct ChangedRow {
  Table table;
  std::string key;
};

class Editor {
 public:
  static constexpr uint64_t kMaxTombstones = 100'000;

  // Both outlive the editor.
  Editor(Image* image, std::vector<ChangedRow>* changes)
      : image_(image), changes_(changes) {}

  const Image& image() const { return *image_; }
  ImageHead& head() { return image_->head_; }
  LogIndex index() const { return image_->head_.index; }
  uint64_t time_ms() const { return image_->head_.time_ms; }

  // Rows of view tables must have `changed_at` set by Touch first.
  template <typename Row>
  void Put(Table table, std::string_view key, const Row& row) {
    PutBytes(table, key, EncodeRow(row));
  }
  // Stamps and puts a row of a view table.
  template <typename Row>
  void PutView(Table table, std::string_view key, Row row) {
    row.changed_at = index();
    PutBytes(table, key, EncodeRow(row));
    NoteChange(table, key);
  }
  void Erase(Table table, std::string_view key);
  // Erases a row of a view table and leaves a tombstone.
  void EraseView(Table table, std::string_view key);

  void PutName(std::string_view key, uint32_t number);
  void PutBytes(Table table, std::string_view key, std::string_view value) {
    image_->tables_[static_cast<size_t>(table)].Put(key, value);
  }

 private:
  void NoteChange(Table table, std::string_view key);

  Image* image_;
  std::vector<ChangedRow>* changes_;
};

}  // namespace kafed::federation
