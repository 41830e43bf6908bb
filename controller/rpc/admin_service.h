// The Admin service: thin glue between gRPC and the planners.
//
// Changes go through the writer with their request id; reads are answered from
// the newest image. Calls that block (imports, joins) run on workers. Split by
// noun: admin_clusters.cc, admin_hosts.cc, admin_nodes.cc, admin_vpcs.cc,
// admin_status.cc.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "controller/rpc/fingerprint.h"
#include "controller/rpc/rpc_context.h"
#include "kafed/v1/admin.grpc.pb.h"

namespace kafed::controller {

class AdminService final : public v1::Admin::CallbackService {
 public:
  // Outlives the service.
  explicit AdminService(const RpcContext* context) : context_(*context) {}

  using Call = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;

  Unary* AddSubCluster(Call*, const v1::AddSubClusterRequest*,
                       v1::MutationResponse*) override;
  Unary* UpdateSubCluster(Call*, const v1::UpdateSubClusterRequest*,
                          v1::MutationResponse*) override;
  Unary* RemoveSubCluster(Call*, const v1::RemoveSubClusterRequest*,
                          v1::MutationResponse*) override;
  Unary* ListSubClusters(Call*, const v1::ListSubClustersRequest*,
                         v1::ListSubClustersResponse*) override;

  Unary* CreateTopic(Call*, const v1::CreateTopicRequest*,
                     v1::MutationResponse*) override;
  Unary* DeleteTopic(Call*, const v1::DeleteTopicRequest*,
                     v1::MutationResponse*) override;
  Unary* ListTopics(Call*, const v1::ListTopicsRequest*,
                    v1::ListTopicsResponse*) override;
  Unary* DescribeTopic(Call*, const v1::DescribeTopicRequest*,
                       v1::DescribeTopicResponse*) override;

  grpc::ServerBidiReactor<v1::ImportHostsRequest, v1::ImportProgress>*
  ImportHosts(Call*) override;
  Unary* RemoveHosts(Call*, const v1::RemoveHostsRequest*,
                     v1::MutationResponse*) override;
  Unary* ListHosts(Call*, const v1::ListHostsRequest*,
                   v1::ListHostsResponse*) override;
  Unary* DescribeHost(Call*, const v1::DescribeHostRequest*,
                      v1::DescribeHostResponse*) override;

  Unary* CreateVpc(Call*, const v1::CreateVpcRequest*,
                   v1::MutationResponse*) override;
  Unary* AddVpcHosts(Call*, const v1::AddVpcHostsRequest*,
                     v1::AddVpcHostsResponse*) override;
  Unary* RemoveVpcHosts(Call*, const v1::RemoveVpcHostsRequest*,
                        v1::MutationResponse*) override;
  Unary* ListVpcs(Call*, const v1::ListVpcsRequest*,
                  v1::ListVpcsResponse*) override;
  Unary* DescribeVpc(Call*, const v1::DescribeVpcRequest*,
                     v1::DescribeVpcResponse*) override;
  Unary* DeleteVpc(Call*, const v1::DeleteVpcRequest*,
                   v1::MutationResponse*) override;

  Unary* AddResource(Call*, const v1::AddResourceRequest*,
                     v1::MutationResponse*) override;
  Unary* ListResources(Call*, const v1::ListResourcesRequest*,
                       v1::ListResourcesResponse*) override;
  Unary* RemoveResource(Call*, const v1::RemoveResourceRequest*,
                        v1::MutationResponse*) override;

  Unary* AddInstance(Call*, const v1::AddInstanceRequest*,
                     v1::MutationResponse*) override;
  Unary* ListInstances(Call*, const v1::ListInstancesRequest*,
                       v1::ListInstancesResponse*) override;
  Unary* ReportInstance(Call*, const v1::ReportInstanceRequest*,
                        v1::ReportInstanceResponse*) override;
  Unary* RemoveInstance(Call*, const v1::RemoveInstanceRequest*,
                        v1::MutationResponse*) override;

  Unary* ListSessions(Call*, const v1::ListSessionsRequest*,
                      v1::ListSessionsResponse*) override;
  Unary* EndSession(Call*, const v1::EndSessionRequest*,
                    v1::MutationResponse*) override;

  Unary* Explain(Call*, const v1::ExplainRequest*,
                 v1::ExplainResponse*) override;
  Unary* Status(Call*, const v1::StatusRequest*, v1::StatusResponse*) override;

  Unary* ListNodes(Call*, const v1::ListNodesRequest*,
                   v1::ListNodesResponse*) override;
  Unary* RemoveNode(Call*, const v1::RemoveNodeRequest*,
                    v1::MutationResponse*) override;
  Unary* DescribeLog(Call*, const v1::DescribeLogRequest*,
                     v1::DescribeLogResponse*) override;
  Unary* FinishUpgrade(Call*, const v1::FinishUpgradeRequest*,
                       v1::MutationResponse*) override;

  grpc::ServerWriteReactor<v1::SnapshotChunk>* SaveSnapshot(
      Call*, const v1::SaveSnapshotRequest*) override;

 private:
  using Planner = std::function<absl::StatusOr<v1::MutationResponse>(
      federation::Draft* draft)>;
  // Runs a planner through the writer and answers with what it returned.
  // `after` is called once the change stands.
  template <typename Request>
  Unary* Change(Call* call, const Request& request,
                v1::MutationResponse* response, Planner planner,
                std::function<void()> after = nullptr) {
    const v1::MutationOptions& options = request.options();
    const uint64_t fingerprint = Fingerprint(request);
    return Commit(call, options, fingerprint, response, std::move(planner),
                  std::move(after));
  }
  Unary* Commit(Call* call, const v1::MutationOptions& options,
                uint64_t fingerprint, v1::MutationResponse* response,
                Planner planner, std::function<void()> after);
  // Runs blocking work on a worker.
  Unary* Offload(Call* call, std::function<absl::Status()> work);
  // The same where the work itself finishes the call, maybe later.
  void OffloadTo(Unary* reactor, std::function<void()> work);
  static Unary* Answer(Call* call, const absl::Status& status);

  absl::Status CreateTopicAndBind(const Call* call,
                                  const v1::CreateTopicRequest& request,
                                  v1::MutationResponse* response);
  absl::Status RemoveHostsInParts(const Call* call,
                                  const v1::RemoveHostsRequest& request,
                                  v1::MutationResponse* response);
  absl::Status JoinVpc(const Call* call, const v1::AddVpcHostsRequest& request,
                       v1::AddVpcHostsResponse* response);
  void NameSessions(const std::vector<uint64_t>& sessions,
                    v1::AddVpcHostsResponse* response) const;
  federation::ChainEnds ReadChainEnds(const v1::AddVpcHostsRequest& request);

  const RpcContext& context_;
};

// Shared by cluster list and status.
v1::SubClusterStatus StatusOf(const federation::Image& image,
                              federation::SubClusterId id,
                              const federation::SubCluster& row);

// A dry run stands at the position it was planned at, not at the one its change
// would have had.
void MarkDryRun(const Committed& planned, v1::MutationResponse* response);

// InvalidArgument unless a change carries a request id.
absl::Status CheckOptions(const v1::MutationOptions& options);

// Pages: a token is a table cursor in text.
struct Page {
  BlockTable::Cursor cursor = 0;
  uint32_t size = 0;
};
inline constexpr uint32_t kDefaultPage = 1'000;
inline constexpr uint32_t kMaxPage = 10'000;
// How many are wanted, 0 for kDefaultPage; InvalidArgument above `max`.
absl::StatusOr<uint32_t> SizeOf(std::string_view field, uint32_t size,
                                uint32_t max);
// InvalidArgument for a token that is none, or for too large a page.
absl::StatusOr<Page> PageOf(const std::string& token, uint32_t size);
std::string TokenOf(BlockTable::Cursor cursor);

}  // namespace kafed::controller
