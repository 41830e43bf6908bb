// VPCs and their members.
#include <algorithm>
#include <set>

#include "common/status_macros.h"
#include "controller/rpc/admin_service.h"
#include "controller/rpc/status_conversion.h"
#include "federation/plan/validate.h"

namespace kafed::controller {

using federation::Draft;
using federation::Image;
using federation::KeyOf;
using federation::Quote;
using federation::SubClusterId;
using federation::Table;

namespace {

constexpr int kMaxJoinHosts = 5'000;
constexpr uint32_t kMaxListedMembers = 100'000;

v1::VpcStatus StatusOfVpc(const Image& image, const std::string& id,
                          const federation::Vpc& row) {
  v1::VpcStatus status;
  status.set_id(id);
  status.set_region(row.region);
  status.set_members(row.members);
  status.set_membership_version(row.membership_version);
  status.set_owner(row.owner);
  status.set_owner_epoch(row.owner_epoch);
  for (const auto& [topic_id, topic] : image.Topics()) {
    if (topic.kind != v1::TOPIC_KIND_MULTICAST) continue;
    const auto binding = image.binding(topic_id, id);
    if (!binding) continue;
    for (const auto& target : binding->targets) {
      v1::VpcHome* home = status.add_homes();
      home->set_topic(topic.name);
      home->set_partition(target.partition.value());
      if (const auto at = image.sub_cluster(target.home)) {
        home->set_sub_cluster(at->name);
      }
      for (const auto& each : row.homes) {
        if (each.sub_cluster == target.home) home->set_members(each.members);
      }
    }
  }
  return status;
}

}  // namespace

AdminService::Unary* AdminService::CreateVpc(
    Call* call, const v1::CreateVpcRequest* request,
    v1::MutationResponse* response) {
  return Change(
      call, *request, response,
      [this, request](Draft* draft) -> absl::StatusOr<v1::MutationResponse> {
        ASSIGN_OR_RETURN(auto answer, PlanCreateVpc(*request, draft));
        PlanOwner(request->id(), context_.loads->Copy(), draft);
        return answer;
      });
}

AdminService::Unary* AdminService::AddVpcHosts(
    Call* call, const v1::AddVpcHostsRequest* request,
    v1::AddVpcHostsResponse* response) {
  Unary* reactor = call->DefaultReactor();
  OffloadTo(reactor, [this, call, reactor, request, response] {
    const absl::Status joined = JoinVpc(call, *request, response);
    if (!joined.ok() || !response->fenced() || request->options().dry_run()) {
      return reactor->Finish(ToGrpc(joined));
    }
    // Producers with older routes do not send to the new home: the answer
    // waits until there are none (design, section 7).
    const v1::Position& at = response->result().position();
    context_.fences->Wait({at.incarnation(), LogIndex(at.index())},
                          [this, reactor, response](const absl::Status& status,
                                                    const auto& waited_for) {
                            NameSessions(waited_for, response);
                            reactor->Finish(ToGrpc(status));
                          });
  });
  return reactor;
}

void AdminService::NameSessions(const std::vector<uint64_t>& sessions,
                                v1::AddVpcHostsResponse* response) const {
  const auto image = context_.replica->image();
  for (const uint64_t id : sessions) {
    const auto session = image->Get<federation::Session>(
        Table::kSessions, KeyOf(federation::SessionId(id)));
    response->add_waited_for("session " + std::to_string(id) +
                             (session ? " (" + session->name + ")" : ""));
  }
}

// The ends of the chains that the new members will begin to read. Read before
// the join is planned, so that they are lower bounds of what follows it; one
// that can't be read is left out, the segment's start is a bound too.
federation::ChainEnds AdminService::ReadChainEnds(
    const v1::AddVpcHostsRequest& request) {
  const auto image = context_.replica->image();
  std::set<SubClusterId> homes;
  for (const std::string& id : request.hosts()) {
    if (const auto host = image->host(id)) homes.insert(host->home);
  }
  federation::ChainEnds ends;
  for (const auto& [topic_id, topic] : image->Topics()) {
    if (topic.kind != v1::TOPIC_KIND_MULTICAST) continue;
    const auto binding = image->binding(topic_id, request.vpc());
    if (!binding) continue;
    for (const auto& target : binding->targets) {
      const auto partition = image->partition(topic_id, target.partition);
      const federation::Segment* segment =
          partition ? partition->Writable() : nullptr;
      if (segment == nullptr || !homes.contains(target.home)) continue;
      const auto kafka_topic = image->kafka_topic(segment->kafka_topic);
      if (!kafka_topic ||
          kafka_topic->state != federation::KafkaTopicState::kReady) {
        continue;
      }
      const auto end = context_.end_offset(
          segment->sub_cluster, kafka_topic->name, segment->kafka_partition);
      if (end.ok()) {
        ends[{topic_id, target.partition}] = {segment->epoch, *end};
      }
    }
  }
  return ends;
}

absl::Status AdminService::JoinVpc(const Call* call,
                                   const v1::AddVpcHostsRequest& request,
                                   v1::AddVpcHostsResponse* response) {
  RETURN_IF_ERROR(CheckOptions(request.options()));
  if (request.hosts_size() > kMaxJoinHosts) {
    return absl::InvalidArgumentError(
        "hosts: has " + std::to_string(request.hosts_size()) + ", at most " +
        std::to_string(kMaxJoinHosts) + " can join in one call");
  }
  const federation::ChainEnds ends = ReadChainEnds(request);
  ASSIGN_OR_RETURN(
      const Committed committed,
      context_.writer->Run(
          {.plan = [&](Draft* draft) -> absl::StatusOr<std::string> {
             ASSIGN_OR_RETURN(const federation::AddVpcHostsPlan plan,
                              PlanAddVpcHosts(request, ends, draft));
             v1::AddVpcHostsResponse planned;
             *planned.mutable_result() = federation::Answer(
                 *draft,
                 federation::Counted(
                     static_cast<uint64_t>(request.hosts_size()), "host") +
                     " joined VPC " + request.vpc());
             planned.set_membership_version(plan.membership_version);
             planned.mutable_new_homes()->Assign(plan.new_homes.begin(),
                                                 plan.new_homes.end());
             planned.set_fenced(plan.needs_fence);
             return planned.SerializeAsString();
           },
           .request_id = request.options().request_id(),
           .fingerprint = Fingerprint(request),
           .dry_run = request.options().dry_run(),
           .abandoned = [call] { return call->IsCancelled(); }}));
  response->ParseFromString(committed.response);
  if (request.options().dry_run()) {
    MarkDryRun(committed, response->mutable_result());
  }
  return absl::OkStatus();
}

AdminService::Unary* AdminService::RemoveVpcHosts(
    Call* call, const v1::RemoveVpcHostsRequest* request,
    v1::MutationResponse* response) {
  return Change(call, *request, response, [request](Draft* draft) {
    return PlanRemoveVpcHosts(*request, draft);
  });
}

AdminService::Unary* AdminService::DeleteVpc(
    Call* call, const v1::DeleteVpcRequest* request,
    v1::MutationResponse* response) {
  return Change(call, *request, response, [request](Draft* draft) {
    return PlanDeleteVpc(*request, draft);
  });
}

AdminService::Unary* AdminService::ListVpcs(Call* call,
                                            const v1::ListVpcsRequest* request,
                                            v1::ListVpcsResponse* response) {
  const auto page = PageOf(request->page_token(), request->page_size());
  if (!page.ok()) return Answer(call, page.status());
  const auto image = context_.replica->image();
  const auto next =
      image->table(Table::kVpcs)
          .Scan(page->cursor, page->size,
                [&](std::string_view key, std::string_view value) {
                  *response->add_vpcs() =
                      StatusOfVpc(*image, std::string(key),
                                  DecodeRow<federation::Vpc>(value));
                });
  response->set_next_page_token(TokenOf(next));
  response->set_total(image->table(Table::kVpcs).size());
  *response->mutable_position() = PositionOf(*image);
  return Answer(call, absl::OkStatus());
}

AdminService::Unary* AdminService::DescribeVpc(
    Call* call, const v1::DescribeVpcRequest* request,
    v1::DescribeVpcResponse* response) {
  const auto image = context_.replica->image();
  const auto row = image->vpc(request->id());
  if (!row) {
    return Answer(call, absl::NotFoundError("id: no VPC is called " +
                                            Quote(request->id())));
  }
  *response->mutable_vpc() = StatusOfVpc(*image, request->id(), *row);
  const auto limit =
      SizeOf("max_hosts", request->max_hosts(), kMaxListedMembers);
  if (!limit.ok()) return Answer(call, limit.status());
  uint64_t pending = 0;
  for (std::string& host :
       federation::VpcHosts(*image, request->id(), *limit)) {
    if (image->table(Table::kPendingMarkers).Find(KeyOf(request->id(), host))) {
      ++pending;
    }
    *response->add_hosts() = std::move(host);
  }
  response->mutable_vpc()->set_pending_markers(pending);
  *response->mutable_position() = PositionOf(*image);
  return Answer(call, absl::OkStatus());
}

}  // namespace kafed::controller
