#include "common/position.h"

#include <charconv>

namespace kafed {
namespace {

bool ParseNumber(std::string_view text, uint64_t* out) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size() &&
         !text.empty();
}

}  // namespace

std::string ToString(Position position) {
  return std::to_string(position.incarnation) + ":" +
         std::to_string(position.index.value());
}

absl::StatusOr<Position> ParsePosition(std::string_view text,
                                       uint64_t current_incarnation) {
  Position position{current_incarnation, {}};
  uint64_t index = 0;
  const size_t colon = text.find(':');
  const bool ok =
      colon == std::string_view::npos
          ? ParseNumber(text, &index)
          : ParseNumber(text.substr(0, colon), &position.incarnation) &&
                ParseNumber(text.substr(colon + 1), &index);
  if (!ok) {
    return absl::InvalidArgumentError(
        "position: '" + std::string(text) +
        "' is not a position; expected INDEX or INCARNATION:INDEX, such as "
        "1:42");
  }
  position.index = LogIndex(index);
  return position;
}

}  // namespace kafed
