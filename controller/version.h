// The version of the program, as in CMakeLists.txt.
#pragma once

namespace kafed {
inline constexpr char kVersion[] = KAFED_VERSION;
}  // namespace kafed
