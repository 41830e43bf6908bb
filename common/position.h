// Where an entry stands in the event log: (incarnation, index).
//
// Indexes are 1, 2, 3 ... without gaps inside one incarnation; index 0 means
// "before the first entry". A restore from a backup begins a new incarnation
// with a higher counter, so positions of different incarnations compare by the
// counter first. The nonce tells two restores with the same counter apart.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/strong_id.h"

namespace kafed {

using LogIndex = StrongId<struct LogIndexTag, uint64_t>;

constexpr LogIndex Next(LogIndex index) { return LogIndex(index.value() + 1); }

struct Incarnation {
  uint64_t counter = 0;  // 1, 2, 3 ...; 0: none yet
  uint64_t nonce = 0;    // 8 random bytes, drawn when it began
  friend bool operator==(const Incarnation&, const Incarnation&) = default;
};

struct Position {
  uint64_t incarnation = 0;  // Incarnation::counter
  LogIndex index;
  // clang-tidy 14 takes the 0 of a rewritten comparison for a pointer.
  // NOLINTNEXTLINE(modernize-use-nullptr)
  friend auto operator<=>(const Position&, const Position&) = default;
};

// "counter:index", as the CLI shows positions.
std::string ToString(Position position);

// Parses "counter:index"; a bare "index" means `current_incarnation`.
absl::StatusOr<Position> ParsePosition(std::string_view text,
                                       uint64_t current_incarnation);

}  // namespace kafed
