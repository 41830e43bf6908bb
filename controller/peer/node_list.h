// The answer to `kafedctl node list`: every registered node, as it is.
#pragma once

#include "controller/peer/peer_watch.h"
#include "controller/rpc/rpc_context.h"
#include "kafed/v1/admin.pb.h"

namespace kafed::controller {

// `peers` is null for a node that is alone.
void ListNodes(const RpcContext& context, const PeerWatch* peers,
               v1::ListNodesResponse* response);

}  // namespace kafed::controller
