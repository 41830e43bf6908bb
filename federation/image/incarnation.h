// Incarnations: how a restore keeps clear of what the former one handed out.
#pragma once

#include <cstdint>
#include <string_view>

#include "federation/image/image.h"

namespace kafed::federation {

// IncarnationBegan.reason.
inline constexpr std::string_view kReasonNew = "new";
inline constexpr std::string_view kReasonRestore = "restore";

// Generations of one name that an incarnation may use: from its second on,
// incarnation c names Kafka topics TOPIC.g<c * this + n>.<number>.
inline constexpr uint32_t kGenerationsPerCounter = 1'000'000;
inline constexpr uint64_t kMaxIncarnation = 4'000;

// The generation for a topic that is created, or restored, now.
uint32_t NextGeneration(const Image& image, std::string_view topic_name);

}  // namespace kafed::federation
