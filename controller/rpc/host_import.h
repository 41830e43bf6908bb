// ImportHosts: a fleet in one call, all or nothing as far as checks can tell.
//
// Takes all hosts, checks them, then adds them in parts, several of which are
// under way at once; a part stands only if all before it do, so what stands is
// always the first of them. A retry with the same request id goes on there.
//
//   messages --> all hosts --> checks --> parts --> Writer --> progress
#pragma once

#include "controller/rpc/rpc_context.h"
#include "kafed/v1/admin.grpc.pb.h"

namespace kafed::controller {

// Deletes itself when done. `context` outlives it.
grpc::ServerBidiReactor<v1::ImportHostsRequest, v1::ImportProgress>*
NewHostImport(const RpcContext& context, grpc::CallbackServerContext* call);

}  // namespace kafed::controller
