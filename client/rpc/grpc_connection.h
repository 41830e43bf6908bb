// NodeConnection over gRPC. The only gRPC includes of the client are in the .cc
// file beside this one.
#pragma once

#include "client/node_connection.h"

namespace kafed::client {

// Connects lazily; calls fail with Unavailable while the node is not there.
Connector GrpcConnector();

// `options.connector`, or gRPC where none is given.
Connector ConnectorOr(const Connector& connector);

}  // namespace kafed::client
