// The image with all that was acknowledged anywhere before the call: the read
// that is linearizable, on any node.
//
// Asks the log for its tail, which is linearizable, and waits until the
// replica is there. Blocks.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "controller/write/replica.h"
#include "metastore/log/shared_log.h"

namespace kafed::controller {

// Unavailable where the log can't be asked; DeadlineExceeded where the replica
// does not get to its tail within `timeout` after it was learned.
absl::StatusOr<std::shared_ptr<const federation::Image>> NewestImage(
    metastore::SharedLog* log, const Replica& replica, milliseconds timeout);

}  // namespace kafed::controller
