// Random bytes and UUIDv7 request ids.
//
// Drawn from the kernel. Never used in federation/, which draws no random
// numbers. Thread-safe.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace kafed {

// 16 bytes; the first 48 bits are milliseconds since 1970, big-endian.
using RequestId = std::array<uint8_t, 16>;

std::array<uint8_t, 16> RandomBytes16();
uint64_t RandomNumber64();

RequestId NewRequestId(std::chrono::milliseconds wall);

// InvalidArgument unless `bytes` are a UUIDv7.
absl::StatusOr<RequestId> ParseRequestId(std::string_view bytes);

// The time a request id carries.
std::chrono::milliseconds TimeOf(const RequestId& id);

inline std::string_view AsBytes(const std::array<uint8_t, 16>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Lower-case hex.
std::string ToHex(std::string_view bytes);

}  // namespace kafed
