#include "common/uuid.h"

#include <sys/random.h>

#include <algorithm>

#include "common/log.h"

namespace kafed {

std::array<uint8_t, 16> RandomBytes16() {
  std::array<uint8_t, 16> bytes;
  if (getrandom(bytes.data(), bytes.size(), 0) !=
      static_cast<ssize_t>(bytes.size())) {
    Fault("the kernel gave no random bytes");
  }
  return bytes;
}

uint64_t RandomNumber64() {
  const auto bytes = RandomBytes16();
  uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | bytes[i];
  return number;
}

RequestId NewRequestId(std::chrono::milliseconds wall) {
  RequestId id = RandomBytes16();
  auto time = static_cast<uint64_t>(wall.count());
  for (int i = 5; i >= 0; --i) {
    id[i] = static_cast<uint8_t>(time);
    time >>= 8;
  }
  id[6] = static_cast<uint8_t>(0x70 | (id[6] & 0x0f));
  id[8] = static_cast<uint8_t>(0x80 | (id[8] & 0x3f));
  return id;
}

absl::StatusOr<RequestId> ParseRequestId(std::string_view bytes) {
  RequestId id;
  if (bytes.size() != id.size()) {
    return absl::InvalidArgumentError("request_id: has " +
                                      std::to_string(bytes.size()) +
                                      " bytes, expected a UUIDv7 of 16 bytes");
  }
  std::copy(bytes.begin(), bytes.end(), id.begin());
  if ((id[6] & 0xf0) != 0x70 || (id[8] & 0xc0) != 0x80) {
    return absl::InvalidArgumentError(
        "request_id: is not a UUIDv7 (version and variant bits)");
  }
  return id;
}

std::chrono::milliseconds TimeOf(const RequestId& id) {
  uint64_t time = 0;
  for (int i = 0; i < 6; ++i) time = time << 8 | id[i];
  return std::chrono::milliseconds(time);
}

std::string ToHex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

}  // namespace kafed
