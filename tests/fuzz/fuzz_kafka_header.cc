// The 34 bytes of the `kafed` header: each accepted value has one encoding.
#include "common/kafka_header.h"
#include "tests/fuzz/support.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = kafed::fuzz::AsText(data, size);
  const auto header = kafed::DecodeKafkaHeader(bytes);
  if (!header.ok()) {
    FUZZ_CHECK(header.status().code() == absl::StatusCode::kInvalidArgument);
    return 0;
  }
  FUZZ_CHECK(kafed::EncodeKafkaHeader(*header) == bytes);
  return 0;
}
