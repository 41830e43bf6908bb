// Makes the checksums of a damaged snapshot container right again.
//
// A fuzzer never guesses a checksum; with this it gets at what is behind. It
// knows the layout from docs/internals/snapshot-format.md, not from the code.
#pragma once

#include <string>
#include <string_view>

namespace kafed::fuzz {

// The container with every checksum that its lengths allow to place, and a
// right trailer in place of what is left where its chunks end.
std::string RepairSnapshot(std::string_view bytes);

}  // namespace kafed::fuzz
