#include "controller/rpc/routing_service.h"

#include <algorithm>
#include <utility>

#include "common/status_macros.h"
#include "controller/rpc/router.h"
#include "controller/rpc/status_conversion.h"
#include "controller/session/client_clock.h"
#include "controller/write/newest_image.h"

namespace kafed::controller {
namespace {

using federation::Draft;
using federation::Image;

// Ttl of the answers that have no topic of their own.
constexpr milliseconds kMemberLease{10'000};

grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* call,
                                 const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

}  // namespace

RoutingService::RoutingService(const RpcContext* context, FollowHub* hub)
    : context_(*context), hub_(*hub) {
  SetMessageAllocatorFor_Route(&route_messages_);
}

grpc::ServerUnaryReactor* RoutingService::Read(
    grpc::CallbackServerContext* call, const v1::Position& min_position,
    bool linearizable, Answer answer) {
  const Position wanted{min_position.incarnation(),
                        LogIndex(min_position.index())};
  const LeaseTable& leases = *context_.leases;
  const milliseconds proven_at = leases.ProvenAt();
  const auto image = context_.replica->image();
  if (min_position.nonce() != 0) {
    const absl::Status same = CheckNonce("min_position", min_position, *image);
    if (!same.ok()) return Finish(call, same);
  }
  if (!linearizable && image->position() >= wanted) {
    return Finish(call, answer(*image, proven_at));
  }
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  const bool taken =
      context_.workers->RunLong([this, wanted, linearizable, proven_at, reactor,
                                 answer = std::move(answer)] {
        const auto newer = WaitFor(wanted, linearizable);
        reactor->Finish(
            ToGrpc(newer.ok() ? answer(**newer, proven_at) : newer.status()));
      });
  if (!taken) {
    reactor->Finish(ToGrpc(absl::ResourceExhaustedError(
        "the node has too many calls waiting; try again later")));
  }
  return reactor;
}

absl::StatusOr<std::shared_ptr<const Image>> RoutingService::WaitFor(
    Position wanted, bool linearizable) const {
  if (linearizable) {
    auto newest = NewestImage(context_.log, *context_.replica, kReadWait);
    if (!newest.ok()) return Annotate(newest.status(), "linearizable");
    if ((*newest)->position() >= wanted) return newest;
  }
  auto newer = context_.replica->WaitFor(wanted, kReadWait);
  if (!newer.ok()) return Annotate(newer.status(), "min_position");
  return newer;
}

absl::Status RoutingService::RouteKeys(const Image& image,
                                       milliseconds proven_at,
                                       const v1::RouteRequest& request,
                                       v1::RouteResponse* response) const {
  const LeaseTable& leases = *context_.leases;
  const uint32_t multicast_ttl =
      static_cast<uint32_t>(leases.options().multicast_ttl.count());
  const auto left = [&leases, proven_at](uint32_t ttl_ms) {
    return static_cast<uint32_t>(
        leases.Left(milliseconds(ttl_ms), proven_at).count());
  };
  const auto fill = [&](const Image& from) {
    const std::vector<std::string_view> keys(request.keys().begin(),
                                             request.keys().end());
    std::vector<v1::RouteResult*> results;
    response->mutable_results()->Reserve(request.keys_size());
    for (size_t i = 0; i < keys.size(); ++i) {
      results.push_back(response->add_results());
    }
    bool multicast = false;
    size_t next = 0;
    for (const RoutedTopic& topic : KeyRouter(from).Route(keys, results)) {
      multicast = multicast || topic.multicast;
      results[next++]->mutable_lease()->set_remaining_ms(
          left(topic.multicast ? std::min(topic.lease_ttl_ms, multicast_ttl)
                               : topic.lease_ttl_ms));
    }
    *response->mutable_position() = PositionOf(from);
    return multicast;
  };
  if (fill(image)) {
    // Multicast routes are fenced: the grant comes before the image they are
    // read from (LeaseTable::GrantUnary).
    context_.leases->GrantUnary(context_.leases->options().multicast_ttl);
    response->Clear();
    fill(*context_.replica->image());
  }
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* RoutingService::Route(
    grpc::CallbackServerContext* call, const v1::RouteRequest* request,
    v1::RouteResponse* response) {
  if (request->keys().empty() || request->keys_size() > kMaxRouteKeys) {
    return Finish(call,
                  absl::InvalidArgumentError(
                      "keys: has " + std::to_string(request->keys_size()) +
                      ", expected 1 to " + std::to_string(kMaxRouteKeys)));
  }
  return Read(
      call, request->min_position(), request->linearizable(),
      [this, request, response](const Image& image, milliseconds proven_at) {
        return RouteKeys(image, proven_at, *request, response);
      });
}

uint32_t RoutingService::MemberLeaseMs(milliseconds proven_at) const {
  return static_cast<uint32_t>(
      context_.leases->Left(kMemberLease, proven_at).count());
}

grpc::ServerUnaryReactor* RoutingService::RouteMembers(
    grpc::CallbackServerContext* call, const v1::RouteMembersRequest* request,
    v1::RouteMembersResponse* response) {
  return Read(
      call, request->min_position(), request->linearizable(),
      [this, request, response](const Image& image, milliseconds proven_at) {
        response->mutable_lease()->set_remaining_ms(MemberLeaseMs(proven_at));
        *response->mutable_position() = PositionOf(image);
        return controller::RouteMembers(image, *request, response);
      });
}

grpc::ServerUnaryReactor* RoutingService::Owner(
    grpc::CallbackServerContext* call, const v1::OwnerRequest* request,
    v1::OwnerResponse* response) {
  return Read(
      call, request->min_position(), request->linearizable(),
      [this, request, response](const Image& image, milliseconds proven_at) {
        response->mutable_lease()->set_remaining_ms(MemberLeaseMs(proven_at));
        *response->mutable_position() = PositionOf(image);
        return FindOwner(image, *request, response);
      });
}

grpc::ServerUnaryReactor* RoutingService::Subscriptions(
    grpc::CallbackServerContext* call, const v1::SubscriptionsRequest* request,
    v1::SubscriptionsResponse* response) {
  return Read(call, request->min_position(), request->linearizable(),
              [request, response](const Image& image, milliseconds) {
                *response->mutable_position() = PositionOf(image);
                return FindSubscriptions(image, *request, response);
              });
}

grpc::ServerBidiReactor<v1::FollowRequest, v1::FollowResponse>*
RoutingService::Follow(grpc::CallbackServerContext* call) {
  return hub_.NewReactor(call);
}

grpc::ServerUnaryReactor* RoutingService::OpenSession(
    grpc::CallbackServerContext* call, const v1::OpenSessionRequest* request,
    v1::OpenSessionResponse* response) {
  const absl::Status clock =
      CheckClientClock(request->client_time_ms(), context_.clock->Wall(),
                       context_.fence_window / 4);
  if (!clock.ok()) return Finish(call, clock);
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  const auto ttl =
      static_cast<uint32_t>(context_.leases->options().session_ttl.count());
  const auto timeout = static_cast<uint32_t>(context_.fence_window.count() / 2);
  Command command;
  command.plan = [request, ttl,
                  timeout](Draft* draft) -> absl::StatusOr<std::string> {
    ASSIGN_OR_RETURN(const v1::OpenSessionResponse planned,
                     PlanOpenSession(*request, ttl, timeout, draft));
    return planned.SerializeAsString();
  };
  command.done = [this, reactor, response](absl::StatusOr<Committed> answer) {
    if (!answer.ok()) return reactor->Finish(ToGrpc(answer.status()));
    response->ParseFromString(answer->response);
    // Alive from now on; it has been granted nothing yet.
    context_.leases->Acknowledge(response->session_id(), {});
    reactor->Finish(grpc::Status::OK);
  };
  context_.writer->Submit(std::move(command));
  return reactor;
}

grpc::ServerUnaryReactor* RoutingService::CloseSession(
    grpc::CallbackServerContext* call, const v1::CloseSessionRequest* request,
    v1::CloseSessionResponse* response) {
  if (request->source().size() != sizeof(Source)) {
    return Finish(
        call, absl::InvalidArgumentError(
                  "source: has " + std::to_string(request->source().size()) +
                  " bytes, expected the 16 of OpenSession"));
  }
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  Command command;
  command.plan = [request](Draft* draft) -> absl::StatusOr<std::string> {
    const std::vector<v1::SegmentCount> counts(request->counts().begin(),
                                               request->counts().end());
    RETURN_IF_ERROR(PlanCloseSession(request->session_id(), request->source(),
                                     counts, "closed", false, draft)
                        .status());
    return std::string();
  };
  command.done = [this, reactor, request,
                  response](const absl::StatusOr<Committed>& answer) {
    if (!answer.ok()) return reactor->Finish(ToGrpc(answer.status()));
    context_.leases->Forget(request->session_id());
    *response->mutable_position() = PositionOf(*context_.replica->image());
    reactor->Finish(grpc::Status::OK);
  };
  context_.writer->Submit(std::move(command));
  return reactor;
}

grpc::ServerUnaryReactor* RoutingService::Nodes(
    grpc::CallbackServerContext* call, const v1::NodesRequest*,
    v1::NodesResponse* response) {
  const auto image = context_.replica->image();
  *response->mutable_position() = PositionOf(*image);
  for (const auto& [id, row] : federation::NodesOf(*image)) {
    v1::NodeAddress* node = response->add_nodes();
    node->set_node_id(id);
    node->set_address(row.address);
    node->set_region(row.region);
  }
  return Finish(call, absl::OkStatus());
}

grpc::ServerUnaryReactor* RoutingService::ReportReady(
    grpc::CallbackServerContext* call, const v1::ReportReadyRequest*,
    v1::ReportReadyResponse*) {
  return Finish(call, absl::FailedPreconditionError(
                          "sub_cluster_id: no move to it is prepared"));
}

grpc::ServerUnaryReactor* RoutingService::ReportDrained(
    grpc::CallbackServerContext* call, const v1::ReportDrainedRequest* request,
    v1::ReportDrainedResponse*) {
  const auto image = context_.replica->image();
  if (!image->Get<federation::Session>(
          federation::Table::kSessions,
          federation::KeyOf(federation::SessionId(request->session_id())))) {
    return Finish(call,
                  absl::NotFoundError("session_id: there is no session " +
                                      std::to_string(request->session_id()) +
                                      "; open a new one"));
  }
  if (request->counts().empty()) {
    return Finish(call, absl::FailedPreconditionError(
                            "counts: is empty; no segment of this session is "
                            "closing"));
  }
  for (const v1::SegmentCount& count : request->counts()) {
    const auto partition =
        image->partition(federation::TopicId(count.topic_id()),
                         federation::PartitionNumber(count.partition()));
    const federation::Segment* segment =
        partition ? partition->Writable() : nullptr;
    if (segment == nullptr || segment->state != v1::SEGMENT_STATE_CLOSING ||
        segment->epoch.value() != count.epoch()) {
      return Finish(call,
                    absl::FailedPreconditionError(
                        "counts: a segment that is named is not closing"));
    }
  }
  context_.leases->KeepCounts(request->session_id(), {request->counts().begin(),
                                                      request->counts().end()});
  return Finish(call, absl::OkStatus());
}

}  // namespace kafed::controller
