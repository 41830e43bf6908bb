// One description of a row's fields serves encoding and decoding.
//
//   struct ZoneRow {
//     std::string name;
//     uint32_t hosts = 0;
//     template <typename A> void Fields(A& a) { a(name, hosts); }
//   };
//   std::string bytes = EncodeRow(row);  ZoneRow row =
//   DecodeRow<ZoneRow>(bytes);
//
// The bytes are canonical (common/bytes.h): they are what the image hash is
// taken over and what snapshots hold. A field that a later version appends is
// a.Trailing(field): it takes no bytes while it has its default, so that rows
// of lower feature levels keep their bytes; one for each row type. Else fields
// are only ever appended under a new row version (snapshot.proto). A row that
// does not decode is a fault: it was written by this program or checked by a
// checksum.
#pragma once

#include <algorithm>
#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/log.h"
#include "common/strong_id.h"

namespace kafed {

class RowEncoder {
 public:
  explicit RowEncoder(std::string* out) : out_(out) {}
  template <typename... T>
  void operator()(T&... fields) {
    (Put(fields), ...);
  }
  template <typename T>
  void Trailing(T& field) {
    if (field != T{}) Put(field);
  }

 private:
  template <typename T>
  requires std::unsigned_integral<T> || std::is_enum_v<T>
  void Put(T value) { PutVarint(static_cast<uint64_t>(value), out_); }
  template <typename Tag, typename Rep>
  void Put(StrongId<Tag, Rep> id) {
    PutVarint(id.value(), out_);
  }
  void Put(double value) {
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    PutBig64(bits, out_);
  }
  void Put(const std::string& value) { PutString(value, out_); }
  template <typename A, typename B>
  void Put(std::pair<A, B>& value) {
    Put(value.first);
    Put(value.second);
  }
  template <typename T>
  void Put(std::vector<T>& values) {
    PutVarint(values.size(), out_);
    for (T& value : values) Put(value);
  }
  template <typename T>
  requires requires(T& row, RowEncoder& a) { row.Fields(a); }
  void Put(T& row) { row.Fields(*this); }
  std::string* out_;
};

class RowDecoder {
 public:
  explicit RowDecoder(std::string_view bytes) : reader_(bytes) {}
  template <typename... T>
  void operator()(T&... fields) {
    (Get(fields), ...);
  }
  template <typename T>
  void Trailing(T& field) {
    if (reader_.done()) return;
    Get(field);
    // One that has its default takes no bytes.
    fits_ = fits_ && field != T{};
  }
  bool done() const { return fits_ && reader_.done(); }

 private:
  // A number that its field can't hold would be cut to another one.
  template <typename T>
  requires std::unsigned_integral<T> || std::is_enum_v<T>
  void Get(T& value) {
    const uint64_t number = reader_.Varint();
    value = static_cast<T>(number);
    fits_ = fits_ && static_cast<uint64_t>(value) == number;
  }
  template <typename Tag, typename Rep>
  void Get(StrongId<Tag, Rep>& id) {
    Rep value{};
    Get(value);
    id = StrongId<Tag, Rep>(value);
  }
  void Get(double& value) {
    const uint64_t bits = reader_.Big64();
    std::memcpy(&value, &bits, sizeof bits);
  }
  void Get(std::string& value) { value = reader_.String(); }
  template <typename A, typename B>
  void Get(std::pair<A, B>& value) {
    Get(value.first);
    Get(value.second);
  }
  template <typename T>
  void Get(std::vector<T>& values) {
    const uint64_t count = reader_.Varint();
    values.clear();
    // Every element takes a byte at least: hostile counts allocate nothing.
    values.reserve(std::min<size_t>({count, reader_.rest().size(), kReserved}));
    for (uint64_t i = 0; i < count && reader_.ok(); ++i) {
      values.emplace_back();
      Get(values.back());
    }
  }
  template <typename T>
  requires requires(T& row, RowDecoder& a) { row.Fields(a); }
  void Get(T& row) { row.Fields(*this); }
  static constexpr size_t kReserved = 64;
  ByteReader reader_;
  bool fits_ = true;
};

template <typename Row>
std::string EncodeRow(const Row& row) {
  std::string out;
  RowEncoder encoder(&out);
  const_cast<Row&>(row).Fields(encoder);  // Fields only reads here
  return out;
}

// False if the bytes are not exactly one row.
template <typename Row>
bool TryDecodeRow(std::string_view bytes, Row* row) {
  RowDecoder decoder(bytes);
  row->Fields(decoder);
  return decoder.done();
}

template <typename Row>
Row DecodeRow(std::string_view bytes) {
  Row row;
  if (!TryDecodeRow(bytes, &row)) {
    Fault("a row of the image does not decode", {{"row", typeid(Row).name()}});
  }
  return row;
}

}  // namespace kafed
