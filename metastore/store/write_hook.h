// A test's way into synced writes. Empty in production.
#pragma once

#include <functional>

#include "absl/status/status.h"

namespace kafed::metastore {

enum class WriteStage { kBefore, kAfter };

// Called before and after each synced write. An error before it keeps the write
// from happening; either error is what the caller of the write gets.
using WriteHook = std::function<absl::Status(WriteStage)>;

}  // namespace kafed::metastore
