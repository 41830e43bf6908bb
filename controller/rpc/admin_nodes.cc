// The nodes of the metadata cluster.
#include "controller/rpc/admin_service.h"
#include "controller/rpc/status_conversion.h"

namespace kafed::controller {

AdminService::Unary* AdminService::ListNodes(Call* call,
                                             const v1::ListNodesRequest*,
                                             v1::ListNodesResponse* response) {
  context_.list_nodes(response);
  return Answer(call, absl::OkStatus());
}

AdminService::Unary* AdminService::RemoveNode(
    Call* call, const v1::RemoveNodeRequest* request,
    v1::MutationResponse* response) {
  v1::ListNodesResponse nodes;
  context_.list_nodes(&nodes);
  for (const v1::NodeStatus& node : nodes.nodes()) {
    if (node.node_id() != request->node_id()) continue;
    if (node.error() == kNotAskedYet) {
      return Answer(call,
                    absl::UnavailableError(
                        "node_id: node " + std::to_string(node.node_id()) +
                        " was not asked yet whether it is gone; try "
                        "again in a second"));
    }
    if (!node.reachable()) continue;
    return Answer(call,
                  absl::FailedPreconditionError(
                      "node_id: node " + std::to_string(node.node_id()) +
                      " answers; stop it first, it would register again"));
  }
  return Change(call, *request, response, [request](federation::Draft* draft) {
    return federation::PlanRemoveNode(*request, draft);
  });
}

AdminService::Unary* AdminService::FinishUpgrade(
    Call* call, const v1::FinishUpgradeRequest* request,
    v1::MutationResponse* response) {
  return Change(call, *request, response, [request](federation::Draft* draft) {
    return federation::PlanFinishUpgrade(*request, draft);
  });
}

}  // namespace kafed::controller
