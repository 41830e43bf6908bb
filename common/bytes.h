// Canonical bytes: varints, fixed integers and length-prefixed strings.
//
// The encoding of image rows and of the `kafed` header is built from these, and
// the image hash is taken over it, so one value has exactly one encoding:
// varints are minimal and a decoder refuses others. Not protobuf. A Reader
// never reads past its input; after a failure every further read fails.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace kafed {

inline void PutVarint(uint64_t value, std::string* out) {
  char bytes[10];
  size_t size = 0;
  while (value >= 0x80) {
    bytes[size++] = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  bytes[size++] = static_cast<char>(value);
  out->append(bytes, size);
}

inline void PutString(std::string_view value, std::string* out) {
  PutVarint(value.size(), out);
  out->append(value);
}

// Big-endian, so that keys sort as their numbers do.
inline void PutBig32(uint32_t value, std::string* out) {
  const char bytes[4] = {
      static_cast<char>(value >> 24), static_cast<char>(value >> 16),
      static_cast<char>(value >> 8), static_cast<char>(value)};
  out->append(bytes, sizeof bytes);
}

inline void PutBig64(uint64_t value, std::string* out) {
  PutBig32(static_cast<uint32_t>(value >> 32), out);
  PutBig32(static_cast<uint32_t>(value), out);
}

// Little-endian, for the `kafed` header of Kafka messages.
inline void PutLittle64(uint64_t value, std::string* out) {
  for (int shift = 0; shift < 64; shift += 8) {
    out->push_back(static_cast<char>(value >> shift));
  }
}

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  uint64_t Varint() {
    if (!rest_.empty() && static_cast<uint8_t>(rest_.front()) < 0x80) {
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      return byte;
    }
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return Fail();
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      if (shift == 63 && byte > 1) return Fail();
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) {
        if (byte == 0 && shift > 0) return Fail();  // not minimal
        return value;
      }
    }
    return Fail();
  }

  uint32_t Varint32() {
    const uint64_t value = Varint();
    return value > UINT32_MAX ? static_cast<uint32_t>(Fail())
                              : static_cast<uint32_t>(value);
  }

  std::string_view Bytes(size_t size) {
    if (size > rest_.size()) {
      Fail();
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  std::string_view String() { return Bytes(Varint()); }

  uint32_t Big32() {
    uint32_t value = 0;
    for (const char c : Bytes(4)) value = value << 8 | static_cast<uint8_t>(c);
    return value;
  }

  uint64_t Big64() {
    const uint64_t high = Big32();
    return high << 32 | Big32();
  }

  uint64_t Little64() {
    const std::string_view bytes = Bytes(8);
    uint64_t value = 0;
    for (size_t i = bytes.size(); i > 0; --i) {
      value = value << 8 | static_cast<uint8_t>(bytes[i - 1]);
    }
    return value;
  }

  bool ok() const { return ok_; }
  // All was read, and nothing failed.
  bool done() const { return ok_ && rest_.empty(); }
  std::string_view rest() const { return rest_; }

 private:
  uint64_t Fail() {
    ok_ = false;
    rest_ = {};
    return 0;
  }

  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace kafed
