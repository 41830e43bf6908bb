// Reads what a command takes from a file or from stdin.
#pragma once

#include <istream>
#include <string>

#include "absl/status/statusor.h"

namespace kafed::cli {

// All of the file at `path`, or of `in` where the path is "-".
absl::StatusOr<std::string> ReadInput(const std::string& path,
                                      std::istream* in);

}  // namespace kafed::cli
