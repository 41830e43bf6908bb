// A strong id: a number that does not convert to another kind of number.
//
//   using TopicId = StrongId<struct TopicIdTag, uint32_t>;
//
// Ordered, hashable by absl, printable through value(). Zero means "none" for
// every id of kafed, so that a default-constructed id is never a valid one.
#pragma once

#include <compare>
#include <cstdint>
#include <utility>

namespace kafed {

template <typename Tag, typename Rep>
class StrongId {
 public:
  using rep = Rep;
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  constexpr bool valid() const { return value_ != 0; }
  // NOLINTNEXTLINE(modernize-use-nullptr): a false alarm about <=>
  friend constexpr auto operator<=>(StrongId, StrongId) = default;
  template <typename H>
  friend H AbslHashValue(H h, StrongId id) {
    return H::combine(std::move(h), id.value_);
  }

 private:
  Rep value_ = 0;
};

}  // namespace kafed
