// Hosts: removal, lists; imports begin here.
#include <utility>

#include "common/status_macros.h"
#include "controller/rpc/admin_service.h"
#include "controller/rpc/host_import.h"
#include "controller/rpc/status_conversion.h"
#include "federation/image/spec_fields.h"
#include "federation/plan/planners.h"
#include "federation/plan/validate.h"

namespace kafed::controller {

using federation::Counted;
using federation::Draft;
using federation::Image;
using federation::Quote;
using federation::Table;

namespace {

constexpr size_t kMaxRemovedHosts = 2'000;

v1::HostStatus StatusOfHost(const Image& image, const std::string& id,
                            const federation::Host& row) {
  v1::HostStatus status;
  *status.mutable_host() = SpecOf(id, row);
  if (row.home.valid()) {
    if (const auto home = image.sub_cluster(row.home)) {
      status.set_home(home->name);
    }
  }
  for (const auto& [topic_id, topic] : image.Topics()) {
    if (topic.kind != v1::TOPIC_KIND_UNICAST) continue;
    const auto binding = image.binding(topic_id, id);
    if (!binding) continue;
    for (const auto& target : binding->targets) {
      v1::HostBinding* out = status.add_bindings();
      out->set_topic(topic.name);
      out->set_partition(target.partition.value());
    }
  }
  status.mutable_vpcs()->Assign(row.vpcs.begin(), row.vpcs.end());
  return status;
}

}  // namespace

grpc::ServerBidiReactor<v1::ImportHostsRequest, v1::ImportProgress>*
AdminService::ImportHosts(Call* call) {
  return NewHostImport(context_, call);
}

AdminService::Unary* AdminService::RemoveHosts(
    Call* call, const v1::RemoveHostsRequest* request,
    v1::MutationResponse* response) {
  return Offload(call, [this, call, request, response] {
    return RemoveHostsInParts(call, *request, response);
  });
}

absl::Status AdminService::RemoveHostsInParts(
    const Call* call, const v1::RemoveHostsRequest& request,
    v1::MutationResponse* response) {
  RETURN_IF_ERROR(CheckOptions(request.options()));
  if (request.ids().empty() ||
      static_cast<size_t>(request.ids_size()) > kMaxRemovedHosts) {
    return absl::InvalidArgumentError(
        "ids: has " + std::to_string(request.ids_size()) + ", expected 1 to " +
        std::to_string(kMaxRemovedHosts));
  }
  const std::vector<std::string> ids(request.ids().begin(),
                                     request.ids().end());
  ASSIGN_OR_RETURN(
      const Committed committed,
      context_.writer->Run(
          {.plan = [&](Draft* draft) -> absl::StatusOr<std::string> {
             RETURN_IF_ERROR(
                 federation::PlanRemoveHosts(ids, request.cascade(), draft));
             return federation::Answer(*draft,
                                       Counted(ids.size(), "host") + " removed")
                 .SerializeAsString();
           },
           .request_id = request.options().request_id(),
           .fingerprint = Fingerprint(request),
           .dry_run = request.options().dry_run(),
           .abandoned = [call] { return call->IsCancelled(); }}));
  response->ParseFromString(committed.response);
  if (request.options().dry_run()) MarkDryRun(committed, response);
  return absl::OkStatus();
}

AdminService::Unary* AdminService::ListHosts(
    Call* call, const v1::ListHostsRequest* request,
    v1::ListHostsResponse* response) {
  const auto page = PageOf(request->page_token(), request->page_size());
  if (!page.ok()) return Answer(call, page.status());
  const auto image = context_.replica->image();
  const auto home = image->FindSubCluster(request->home());
  if (!request->home().empty() && !home.valid()) {
    return Answer(call, absl::NotFoundError("home: no sub-cluster is called " +
                                            Quote(request->home())));
  }
  if (!request->region().empty()) {
    const absl::Status known =
        federation::CheckRegionKnown(request->region(), *image);
    if (!known.ok()) return Answer(call, known);
  }
  const auto next =
      image->table(Table::kHosts)
          .Scan(page->cursor, page->size,
                [&](std::string_view key, std::string_view value) {
                  const auto row = DecodeRow<federation::Host>(value);
                  if (!request->region().empty() &&
                      row.region != request->region()) {
                    return;
                  }
                  if (home.valid() && row.home != home) return;
                  *response->add_hosts() =
                      StatusOfHost(*image, std::string(key), row);
                });
  response->set_next_page_token(TokenOf(next));
  response->set_total(image->table(Table::kHosts).size());
  *response->mutable_position() = PositionOf(*image);
  return Answer(call, absl::OkStatus());
}

AdminService::Unary* AdminService::DescribeHost(
    Call* call, const v1::DescribeHostRequest* request,
    v1::DescribeHostResponse* response) {
  const auto image = context_.replica->image();
  const auto row = image->host(request->id());
  if (!row) {
    return Answer(call, absl::NotFoundError("id: no host is called " +
                                            Quote(request->id())));
  }
  *response->mutable_host() = StatusOfHost(*image, request->id(), *row);
  *response->mutable_position() = PositionOf(*image);
  return Answer(call, absl::OkStatus());
}

}  // namespace kafed::controller
