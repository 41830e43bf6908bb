// The event log as a node sees it, for people.
#pragma once

#include "controller/write/node_log.h"
#include "kafed/v1/admin.pb.h"

namespace kafed::controller {

// Fills everything but the node's position and lag; an error of what keeps the
// log is part of the answer. Blocks: asks it.
void DescribeLog(const NodeLogOptions& options, const NodeLog& log,
                 v1::DescribeLogResponse* response);

}  // namespace kafed::controller
