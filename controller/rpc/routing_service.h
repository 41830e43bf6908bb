// The Routing service: thin glue between gRPC and router.h, session/ and the
// write path.
#pragma once

#include <memory>

#include "controller/rpc/arena_messages.h"
#include "controller/rpc/follow_hub.h"
#include "controller/rpc/rpc_context.h"
#include "kafed/v1/routing.grpc.pb.h"

namespace kafed::controller {

class RoutingService final : public v1::Routing::CallbackService {
 public:
  // Both outlive the service.
  RoutingService(const RpcContext* context, FollowHub* hub);

  grpc::ServerUnaryReactor* Route(grpc::CallbackServerContext* call,
                                  const v1::RouteRequest* request,
                                  v1::RouteResponse* response) override;
  grpc::ServerUnaryReactor* RouteMembers(
      grpc::CallbackServerContext* call, const v1::RouteMembersRequest* request,
      v1::RouteMembersResponse* response) override;
  grpc::ServerUnaryReactor* Owner(grpc::CallbackServerContext* call,
                                  const v1::OwnerRequest* request,
                                  v1::OwnerResponse* response) override;
  grpc::ServerUnaryReactor* Subscriptions(
      grpc::CallbackServerContext* call,
      const v1::SubscriptionsRequest* request,
      v1::SubscriptionsResponse* response) override;
  grpc::ServerBidiReactor<v1::FollowRequest, v1::FollowResponse>* Follow(
      grpc::CallbackServerContext* call) override;
  grpc::ServerUnaryReactor* OpenSession(
      grpc::CallbackServerContext* call, const v1::OpenSessionRequest* request,
      v1::OpenSessionResponse* response) override;
  grpc::ServerUnaryReactor* CloseSession(
      grpc::CallbackServerContext* call, const v1::CloseSessionRequest* request,
      v1::CloseSessionResponse* response) override;
  grpc::ServerUnaryReactor* ReportReady(
      grpc::CallbackServerContext* call, const v1::ReportReadyRequest* request,
      v1::ReportReadyResponse* response) override;
  grpc::ServerUnaryReactor* ReportDrained(
      grpc::CallbackServerContext* call,
      const v1::ReportDrainedRequest* request,
      v1::ReportDrainedResponse* response) override;
  grpc::ServerUnaryReactor* Nodes(grpc::CallbackServerContext* call,
                                  const v1::NodesRequest* request,
                                  v1::NodesResponse* response) override;

 private:
  // Of the answers that have no topic of their own.
  uint32_t MemberLeaseMs(milliseconds proven_at) const;
  // Runs `answer` with an image as the request wants it, and the last proof
  // that this node was at the tail: at once, or on a worker that waits for it.
  using Answer = std::function<absl::Status(const federation::Image& image,
                                            milliseconds proven_at)>;
  grpc::ServerUnaryReactor* Read(grpc::CallbackServerContext* call,
                                 const v1::Position& min_position,
                                 bool linearizable, Answer answer);
  absl::StatusOr<std::shared_ptr<const federation::Image>> WaitFor(
      Position wanted, bool linearizable) const;
  absl::Status RouteKeys(const federation::Image& image, milliseconds proven_at,
                         const v1::RouteRequest& request,
                         v1::RouteResponse* response) const;

  const RpcContext& context_;
  FollowHub& hub_;
  ArenaMessages<v1::RouteRequest, v1::RouteResponse> route_messages_;
};

}  // namespace kafed::controller
