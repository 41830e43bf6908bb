// Invariants: what must hold of every image, whatever was applied.
//
// Limits are none: they may be lowered below what is in use.
//
// Reads the whole image; for tests, fuzzers and offline verification, never on
// a node's hot path.
#pragma once

#include <string>
#include <vector>

#include "federation/image/image.h"

namespace kafed::federation {

// One sentence for each violation; empty if the image is sound.
std::vector<std::string> FindViolations(const Image& image);

}  // namespace kafed::federation
