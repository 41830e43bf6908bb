// The `kafed` header of a Kafka message: 34 bytes, written by the Producer and
// the coordinator, read by the Subscriber and by other languages' clients.
//
//   offset  size  field
//        0     1  version, 1
//        1     1  kind: 0 data, 1 moved, 2 subscribe, 3 unsubscribe
//        2     8  epoch of the segment it was written to, little-endian
//       10    16  source: random bytes of the producer's incarnation
//       26     8  sequence, little-endian; rises over all keys of the source
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace kafed {

inline constexpr char kKafkaHeaderName[] = "kafed";
inline constexpr size_t kKafkaHeaderBytes = 34;

enum class MessageKind : uint8_t {
  kData = 0,
  kMoved = 1,
  kSubscribe = 2,
  kUnsubscribe = 3,
};

using Source = std::array<uint8_t, 16>;

struct KafkaHeader {
  MessageKind kind = MessageKind::kData;
  uint64_t epoch = 0;
  Source source{};
  uint64_t sequence = 0;
  friend bool operator==(const KafkaHeader&, const KafkaHeader&) = default;
};

// Writes kKafkaHeaderBytes bytes.
void WriteKafkaHeader(const KafkaHeader& header, char* out);
std::string EncodeKafkaHeader(const KafkaHeader& header);

// InvalidArgument for a wrong size, version or kind.
absl::StatusOr<KafkaHeader> DecodeKafkaHeader(std::string_view bytes);

}  // namespace kafed
