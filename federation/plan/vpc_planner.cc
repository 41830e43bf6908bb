#include <algorithm>
#include <set>

#include "common/status_macros.h"
#include "federation/placement/placer.h"
#include "federation/plan/planners.h"
#include "federation/plan/validate.h"

namespace kafed::federation {
namespace {

absl::Status NoVpc(std::string_view field, std::string_view id,
                   std::string_view advice) {
  return absl::NotFoundError(std::string(field) + ": no VPC is called " +
                             Quote(id) + "; " + std::string(advice));
}

constexpr std::string_view kSeeVpcs = "see `kafedctl vpc list`";

std::vector<std::pair<TopicId, Topic>> MulticastTopics(
    const Image& image, const std::string& region) {
  auto topics = image.Topics();
  std::erase_if(topics, [&](const auto& each) {
    return each.second.kind != v1::TOPIC_KIND_MULTICAST ||
           !AllowsRegion(each.second, region);
  });
  return topics;
}

const Binding::Target* TargetFor(const Binding& binding, SubClusterId home) {
  for (const Binding::Target& target : binding.targets) {
    if (target.home == home) return &target;
  }
  return nullptr;
}

// Checks the hosts of a change and counts them by home.
absl::StatusOr<std::map<SubClusterId, uint32_t>> CountHomes(
    const v1::AddVpcHostsRequest& request, const Vpc& vpc, const Image& image) {
  std::map<SubClusterId, uint32_t> homes;
  std::set<std::string_view> seen;
  for (const std::string& id : request.hosts()) {
    const auto host = image.host(id);
    if (!host) {
      return absl::NotFoundError("hosts: no host is called " + Quote(id));
    }
    if (!seen.insert(id).second) {
      return absl::InvalidArgumentError("hosts: " + Quote(id) +
                                        " is given twice");
    }
    if (image.table(Table::kVpcMembers).Find(KeyOf(request.vpc(), id))) {
      return absl::AlreadyExistsError("hosts: '" + id +
                                      "' is a member of VPC " + request.vpc() +
                                      " already");
    }
    if (host->region != vpc.region) {
      return absl::FailedPreconditionError(
          "hosts: '" + id + "' is in region " + host->region + ", VPC " +
          request.vpc() + " is in region " + vpc.region);
    }
    if (!host->home.valid()) {
      return absl::FailedPreconditionError(
          "hosts: '" + id +
          "' has no home: no unicast topic covers its region; create one with "
          "`kafedctl topic create NAME --kind unicast`");
    }
    ++homes[host->home];
  }
  return homes;
}

absl::Status CheckVms(const v1::AddVpcHostsRequest& request) {
  if (request.vms().empty()) return absl::OkStatus();
  if (request.vms_size() != request.hosts_size()) {
    return absl::InvalidArgumentError(
        "vms: has " + std::to_string(request.vms_size()) + " lists for " +
        std::to_string(request.hosts_size()) + " hosts");
  }
  for (int i = 0; i < request.vms_size(); ++i) {
    const auto& ids = request.vms(i).ids();
    const std::string where = "vms of host " + Quote(request.hosts(i));
    if (ids.size() > kMaxVmsOfHost) {
      return absl::InvalidArgumentError(
          where + ": has " + std::to_string(ids.size()) + ", at most " +
          std::to_string(kMaxVmsOfHost) + " are allowed");
    }
    std::set<std::string_view> seen;
    for (const std::string& id : ids) {
      RETURN_IF_ERROR(ValidateId(where, id));
      if (!seen.insert(id).second) {
        return absl::InvalidArgumentError(where + ": " + Quote(id) +
                                          " is given twice");
      }
    }
  }
  return absl::OkStatus();
}

// What one entry must hold.
absl::Status CheckJoinBytes(const v1::AddVpcHostsRequest& request) {
  size_t bytes = 0;
  for (const std::string& id : request.hosts()) bytes += id.size();
  for (const v1::HostVms& vms : request.vms()) {
    for (const std::string& id : vms.ids()) bytes += id.size();
  }
  if (bytes <= kMaxJoinBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "hosts: their ids and those of their VMs have " + std::to_string(bytes) +
      " bytes, at most " + std::to_string(kMaxJoinBytes) +
      " are allowed in one call; let them join in several");
}

absl::Status BindHome(TopicId topic_id, const Topic& topic,
                      const std::string& vpc_id, const Vpc& vpc,
                      SubClusterId home, uint32_t members, Placer* placer,
                      Draft* draft) {
  const bool exclusive = members >= topic.large_vpc_members;
  ASSIGN_OR_RETURN(const PlacementChoice choice,
                   placer->Place({topic_id, vpc.region, {}, home, exclusive}));
  v1::Record record;
  v1::KeyBound& bound = *record.mutable_key_bound();
  bound.set_topic_id(topic_id.value());
  bound.set_key(vpc_id);
  bound.set_partition(choice.partition.value());
  bound.set_home_sub_cluster_id(home.value());
  bound.set_exclusive(exclusive);
  *bound.mutable_reason() = choice.reason;
  draft->Add(std::move(record));
  return absl::OkStatus();
}

void AddOffsets(TopicId topic_id, const std::string& vpc,
                const std::map<SubClusterId, uint32_t>& homes,
                const ChainEnds& ends, const Image& image,
                v1::VpcHostsAdded* added) {
  const auto binding = image.binding(topic_id, vpc);
  if (!binding) return;
  for (const Binding::Target& target : binding->targets) {
    if (!homes.contains(target.home)) continue;
    const auto partition = image.partition(topic_id, target.partition);
    const Segment* segment = partition ? partition->Writable() : nullptr;
    v1::JoinOffset& offset = *added->add_offsets();
    offset.set_topic_id(topic_id.value());
    offset.set_partition(target.partition.value());
    if (segment == nullptr) continue;
    offset.set_epoch(segment->epoch.value());
    offset.set_from_offset(segment->start_offset);
    const auto end = ends.find({topic_id, target.partition});
    if (end != ends.end() && end->second.epoch == segment->epoch) {
      offset.set_from_offset(
          std::max(segment->start_offset, end->second.offset));
    }
  }
}

// A VPC that was deleted lately may still have routes in use.
bool WasBoundBefore(TopicId topic, const std::string& vpc, const Draft& draft) {
  std::string key(1, static_cast<char>(Table::kBindings));
  key += KeyOf(topic, vpc);
  return draft.image().table(Table::kTombstones).Find(key).has_value();
}

void UnbindHome(TopicId topic, const std::string& vpc,
                PartitionNumber partition, Draft* draft) {
  v1::Record record;
  v1::KeyUnbound& unbound = *record.mutable_key_unbound();
  unbound.set_topic_id(topic.value());
  unbound.set_key(vpc);
  unbound.set_partition(partition.value());
  draft->Add(std::move(record));
}

}  // namespace

absl::StatusOr<v1::MutationResponse> PlanCreateVpc(
    const v1::CreateVpcRequest& request, Draft* draft) {
  RETURN_IF_ERROR(ValidateId("id", request.id()));
  if (draft->image().vpc(request.id())) {
    return absl::AlreadyExistsError("id: VPC " + request.id() +
                                    " exists already");
  }
  std::set<std::string> regions;
  for (const auto& [id, row] : draft->image().SubClusters()) {
    regions.insert(row.region);
  }
  if (regions.empty()) {
    return absl::FailedPreconditionError(
        "region: there is no sub-cluster yet; add one with `kafedctl cluster "
        "add`");
  }
  std::string region = request.region();
  if (region.empty()) {
    if (regions.size() != 1) {
      return absl::InvalidArgumentError("region: is missing, and there are " +
                                        std::to_string(regions.size()) +
                                        " regions; give --region");
    }
    region = *regions.begin();
  } else if (!regions.contains(region)) {
    return absl::InvalidArgumentError("region: no sub-cluster is in region " +
                                      Quote(region));
  }
  v1::Record record;
  record.mutable_vpc_created()->set_id(request.id());
  record.mutable_vpc_created()->set_region(region);
  draft->Add(std::move(record));
  return Answer(*draft, "VPC " + request.id() + " created");
}

absl::StatusOr<AddVpcHostsPlan> PlanAddVpcHosts(
    const v1::AddVpcHostsRequest& request, const ChainEnds& ends,
    Draft* draft) {
  const auto vpc = draft->image().vpc(request.vpc());
  if (!vpc) {
    return NoVpc("vpc", request.vpc(), "create it with `kafedctl vpc create`");
  }
  if (request.hosts().empty()) {
    return absl::InvalidArgumentError("hosts: is empty; expected host ids");
  }
  RETURN_IF_ERROR(CheckVms(request));
  RETURN_IF_ERROR(CheckJoinBytes(request));
  ASSIGN_OR_RETURN(const auto homes, CountHomes(request, *vpc, draft->image()));
  AddVpcHostsPlan plan;
  plan.membership_version = vpc->membership_version + 1;
  v1::Record record;
  v1::VpcHostsAdded& added = *record.mutable_vpc_hosts_added();
  added.set_vpc(request.vpc());
  *added.mutable_hosts() = request.hosts();
  added.set_membership_version(plan.membership_version);
  for (const v1::HostVms& vms : request.vms()) {
    *added.add_vms()->mutable_ids() = vms.ids();
  }
  std::set<std::string> new_homes;
  Placer placer(draft);
  for (const auto& [topic_id, topic] :
       MulticastTopics(draft->image(), vpc->region)) {
    for (const auto& [home, members] : homes) {
      const auto binding = draft->image().binding(topic_id, request.vpc());
      if (binding && TargetFor(*binding, home) != nullptr) continue;
      plan.needs_fence = plan.needs_fence || !vpc->homes.empty() ||
                         WasBoundBefore(topic_id, request.vpc(), *draft);
      RETURN_IF_ERROR(BindHome(topic_id, topic, request.vpc(), *vpc, home,
                               members, &placer, draft));
      new_homes.insert(draft->image().sub_cluster(home)->name);
    }
    AddOffsets(topic_id, request.vpc(), homes, ends, draft->image(), &added);
  }
  draft->Add(std::move(record));
  plan.new_homes.assign(new_homes.begin(), new_homes.end());
  return plan;
}

absl::StatusOr<v1::MutationResponse> PlanRemoveVpcHosts(
    const v1::RemoveVpcHostsRequest& request, Draft* draft) {
  const auto vpc = draft->image().vpc(request.vpc());
  if (!vpc) return NoVpc("vpc", request.vpc(), kSeeVpcs);
  if (request.hosts().empty()) {
    return absl::InvalidArgumentError("hosts: is empty; expected host ids");
  }
  std::set<std::string_view> seen;
  for (const std::string& id : request.hosts()) {
    if (!seen.insert(id).second) {
      return absl::InvalidArgumentError("hosts: " + Quote(id) +
                                        " is given twice");
    }
    if (!draft->image()
             .table(Table::kVpcMembers)
             .Find(KeyOf(request.vpc(), id))) {
      return absl::NotFoundError("hosts: " + Quote(id) +
                                 " is not a member of VPC " + request.vpc());
    }
  }
  v1::Record record;
  v1::VpcHostsRemoved& removed = *record.mutable_vpc_hosts_removed();
  removed.set_vpc(request.vpc());
  *removed.mutable_hosts() = request.hosts();
  removed.set_membership_version(vpc->membership_version + 1);
  draft->Add(std::move(record));
  // Homes without members need no message any more.
  const Vpc after = *draft->image().vpc(request.vpc());
  for (const auto& [topic_id, topic] :
       MulticastTopics(draft->image(), vpc->region)) {
    const auto binding = draft->image().binding(topic_id, request.vpc());
    if (!binding) continue;
    for (const Binding::Target& target : binding->targets) {
      const bool in_use = std::any_of(
          after.homes.begin(), after.homes.end(),
          [&](const auto& home) { return home.sub_cluster == target.home; });
      if (!in_use) UnbindHome(topic_id, request.vpc(), target.partition, draft);
    }
  }
  return Answer(*draft,
                Counted(static_cast<uint64_t>(request.hosts_size()), "host") +
                    " removed from VPC " + request.vpc());
}

std::vector<std::string> VpcHosts(const Image& image, std::string_view vpc_id,
                                  size_t max) {
  std::vector<std::string> hosts;
  const auto vpc = image.vpc(vpc_id);
  for (uint32_t i = 0; vpc && i < vpc->chunks && hosts.size() < max; ++i) {
    for (const std::string& host :
         image.GetOr<VpcChunk>(Table::kVpcChunks, KeyOf(vpc_id, i)).hosts) {
      if (hosts.size() < max) hosts.push_back(host);
    }
  }
  return hosts;
}

absl::StatusOr<v1::MutationResponse> PlanDeleteVpc(
    const v1::DeleteVpcRequest& request, Draft* draft) {
  auto vpc = draft->image().vpc(request.id());
  if (!vpc) return NoVpc("id", request.id(), kSeeVpcs);
  if (vpc->members != 0) {
    if (!request.cascade()) {
      return absl::FailedPreconditionError(
          "id: VPC " + request.id() + " has " +
          Counted(vpc->members, "member") +
          "; remove them first or use --cascade");
    }
    v1::RemoveVpcHostsRequest remove;
    remove.set_vpc(request.id());
    for (std::string& host : VpcHosts(draft->image(), request.id(), SIZE_MAX)) {
      *remove.add_hosts() = std::move(host);
    }
    RETURN_IF_ERROR(PlanRemoveVpcHosts(remove, draft).status());
  }
  if (!vpc->owner.empty()) {
    v1::Record record;
    record.mutable_vpc_owner_changed()->set_vpc(request.id());
    record.mutable_vpc_owner_changed()->set_epoch(vpc->owner_epoch + 1);
    draft->Add(std::move(record));
  }
  v1::Record record;
  record.mutable_vpc_deleted()->set_id(request.id());
  draft->Add(std::move(record));
  return Answer(*draft, "VPC " + request.id() + " deleted");
}

}  // namespace kafed::federation
