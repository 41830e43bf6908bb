#include "common/kafka_header.h"

#include <algorithm>

#include "common/bytes.h"

namespace kafed {
namespace {
constexpr uint8_t kVersion = 1;

char* WriteLittle64(uint64_t value, char* out) {
  for (int shift = 0; shift < 64; shift += 8) {
    *out++ = static_cast<char>(value >> shift);
  }
  return out;
}
}  // namespace

void WriteKafkaHeader(const KafkaHeader& header, char* out) {
  *out++ = static_cast<char>(kVersion);
  *out++ = static_cast<char>(header.kind);
  out = WriteLittle64(header.epoch, out);
  out = std::copy(header.source.begin(), header.source.end(), out);
  WriteLittle64(header.sequence, out);
}

std::string EncodeKafkaHeader(const KafkaHeader& header) {
  std::string out(kKafkaHeaderBytes, '\0');
  WriteKafkaHeader(header, out.data());
  return out;
}

absl::StatusOr<KafkaHeader> DecodeKafkaHeader(std::string_view bytes) {
  if (bytes.size() != kKafkaHeaderBytes) {
    return absl::InvalidArgumentError(
        "header kafed: has " + std::to_string(bytes.size()) +
        " bytes, expected " + std::to_string(kKafkaHeaderBytes));
  }
  ByteReader reader(bytes);
  const auto version = static_cast<uint8_t>(reader.Bytes(1)[0]);
  if (version != kVersion) {
    return absl::InvalidArgumentError("header kafed: version " +
                                      std::to_string(version) +
                                      " is not known, expected 1");
  }
  const auto kind = static_cast<uint8_t>(reader.Bytes(1)[0]);
  if (kind > static_cast<uint8_t>(MessageKind::kUnsubscribe)) {
    return absl::InvalidArgumentError("header kafed: kind " +
                                      std::to_string(kind) +
                                      " is not known, expected 0 to 3");
  }
  KafkaHeader header;
  header.kind = static_cast<MessageKind>(kind);
  header.epoch = reader.Little64();
  const std::string_view source = reader.Bytes(header.source.size());
  std::copy(source.begin(), source.end(), header.source.begin());
  header.sequence = reader.Little64();
  return header;
}

}  // namespace kafed
