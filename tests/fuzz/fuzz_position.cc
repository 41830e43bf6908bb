// Positions and request ids, as text and as bytes.
#include "cli/text.h"
#include "common/position.h"
#include "common/uuid.h"
#include "tests/fuzz/support.h"

namespace kafed {
namespace {

void TryPosition(std::string_view text) {
  const auto position = ParsePosition(text, 3);
  if (!position.ok()) {
    FUZZ_CHECK(position.status().code() == absl::StatusCode::kInvalidArgument);
    return;
  }
  const std::string shown = ToString(*position);
  const auto again = ParsePosition(shown, 99);
  FUZZ_CHECK(again.ok(), shown);
  FUZZ_CHECK(*again == *position, shown);
  v1::Position proto;
  proto.set_incarnation(position->incarnation);
  proto.set_index(position->index.value());
  FUZZ_CHECK(
      cli::FormatPosition(proto) == (position->incarnation ? shown : "-"),
      shown);
}

void TryRequestId(std::string_view text) {
  const auto id = cli::ParseRequestIdText(text);
  if (!id.ok()) return;
  FUZZ_CHECK(*ParseRequestId(AsBytes(*id)) == *id);
  const auto again = cli::ParseRequestIdText(ToHex(AsBytes(*id)));
  FUZZ_CHECK(again.ok() && *again == *id);
  FUZZ_CHECK(TimeOf(*id).count() >= 0);
}

}  // namespace
}  // namespace kafed

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = kafed::fuzz::AsText(data, size);
  kafed::TryPosition(text);
  kafed::TryRequestId(text);
  const auto id = kafed::ParseRequestId(text);
  if (id.ok()) FUZZ_CHECK(kafed::AsBytes(*id) == text);
  return 0;
}
