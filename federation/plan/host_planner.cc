#include <map>

#include "absl/container/flat_hash_set.h"
#include "common/status_macros.h"
#include "federation/placement/placer.h"
#include "federation/plan/planners.h"
#include "federation/plan/validate.h"

namespace kafed::federation {
namespace {

std::vector<std::pair<TopicId, Topic>> UnicastTopics(const Image& image) {
  std::vector<std::pair<TopicId, Topic>> topics = image.Topics();
  std::erase_if(topics, [](const auto& each) {
    return each.second.kind != v1::TOPIC_KIND_UNICAST;
  });
  return topics;
}

// A key that was removed lately gets its former partition, as an older lease
// may still send there.
std::optional<PlacementChoice> Former(TopicId topic, const std::string& id,
                                      const Host& host, const Image& image) {
  const auto former =
      image.Get<FormerBinding>(Table::kFormerBindings, KeyOf(topic, id));
  if (!former || former->removed_ms + kFormerBindingMs < image.head().time_ms) {
    return std::nullopt;
  }
  const auto partition = image.partition(topic, former->partition);
  const Segment* segment = partition ? partition->Writable() : nullptr;
  if (segment == nullptr ||
      (host.home.valid() && segment->sub_cluster != host.home)) {
    return std::nullopt;
  }
  const auto sub_cluster = image.sub_cluster(segment->sub_cluster);
  const auto slots =
      image.GetOr<Slots>(Table::kSlots, KeyOf(segment->kafka_topic));
  const uint32_t charge = slots.slots[segment->kafka_partition].charge;
  const LimitsFields limits =
      EffectiveLimits(*image.topic(topic), *sub_cluster);
  if (sub_cluster->region != host.region ||
      charge >= limits.keys_per_partition) {
    return std::nullopt;
  }
  PlacementChoice choice;
  choice.partition = former->partition;
  choice.sub_cluster = segment->sub_cluster;
  choice.reason.set_candidates(1);
  choice.reason.set_used(image.share(topic, segment->sub_cluster).charge);
  choice.reason.set_limit(Capacity(limits));
  choice.reason.set_weight(sub_cluster->weight);
  choice.reason.set_partition_keys(charge);
  return choice;
}

absl::Status BindHost(const std::string& id, const Host& host, TopicId topic,
                      Placer* placer, Draft* draft) {
  std::optional<PlacementChoice> choice =
      Former(topic, id, host, draft->image());
  if (!choice) {
    ASSIGN_OR_RETURN(choice, placer->Place({topic, host.region, host.zone,
                                            host.home, false}));
  }
  v1::Record record;
  v1::KeyBound& bound = *record.mutable_key_bound();
  bound.set_topic_id(topic.value());
  bound.set_key(id);
  bound.set_partition(choice->partition.value());
  *bound.mutable_reason() = choice->reason;
  draft->Add(std::move(record));
  return absl::OkStatus();
}

absl::Status NoSubCluster(const std::string& region) {
  return absl::FailedPreconditionError(
      "region: no sub-cluster is in region " + region +
      "; add one with `kafedctl cluster add --region " + region + "`");
}

absl::Status LeaveVpcs(const std::string& id, Draft* draft) {
  const Host host = *draft->image().host(id);
  for (const std::string& vpc : host.vpcs) {
    v1::RemoveVpcHostsRequest request;
    request.set_vpc(vpc);
    request.add_hosts(id);
    RETURN_IF_ERROR(PlanRemoveVpcHosts(request, draft).status());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckImport(std::span<const v1::HostSpec> hosts,
                         const Image& image) {
  absl::flat_hash_set<std::string_view> seen;
  std::map<std::string, uint64_t> new_by_region;
  for (size_t i = 0; i < hosts.size(); ++i) {
    const v1::HostSpec& host = hosts[i];
    absl::Status wrong = ValidateHost(host);
    if (wrong.ok() && !seen.insert(host.id()).second) {
      wrong = absl::InvalidArgumentError("id: is given twice");
    }
    if (wrong.ok() && image.host(host.id())) {
      wrong = absl::AlreadyExistsError("id: exists already");
    }
    if (!wrong.ok()) {
      return Annotate(wrong, "hosts: number " + std::to_string(i + 1) + ", " +
                                 Quote(host.id()));
    }
    ++new_by_region[host.region()];
  }
  std::map<std::string, std::string> sub_clusters;  // one of each region
  for (const auto& [id, row] : image.SubClusters()) {
    sub_clusters.emplace(row.region, row.name);
  }
  for (const auto& [region, count] : new_by_region) {
    if (!sub_clusters.contains(region)) return NoSubCluster(region);
    for (const auto& [id, topic] : UnicastTopics(image)) {
      if (!AllowsRegion(topic, region)) continue;
      const uint64_t free = FreeKeys(image, id, region);
      if (free < count) {
        return absl::ResourceExhaustedError(
            "topic " + topic.name + ": region " + region + " has room for " +
            std::to_string(free) + " more hosts under its limits, " +
            std::to_string(count) +
            " are to be added: " + std::to_string(count - free) +
            " too many; " + AdviceForRoom(topic, sub_clusters[region], false));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status PlanAddHosts(std::span<const v1::HostSpec> hosts, bool resume,
                          Draft* draft) {
  Placer placer(draft);
  const auto topics = UnicastTopics(draft->image());
  for (const v1::HostSpec& spec : hosts) {
    if (const auto existing = draft->image().host(spec.id())) {
      if (resume && existing->region == spec.region()) continue;
      return absl::AlreadyExistsError("host.id: host '" + spec.id() +
                                      "' exists already");
    }
    v1::Record record;
    *record.mutable_host_added()->mutable_host() = spec;
    draft->Add(std::move(record));
    Host host;
    host.region = spec.region();
    host.zone = spec.zone();
    for (const auto& [id, topic] : topics) {
      if (!AllowsRegion(topic, spec.region())) continue;
      RETURN_IF_ERROR(BindHost(spec.id(), host, id, &placer, draft));
      // The first partition is the host's home, for those of other topics.
      if (!host.home.valid() && topics.size() > 1) {
        host = *draft->image().host(spec.id());
      }
    }
  }
  return absl::OkStatus();
}

absl::Status PlanBindHosts(std::span<const std::string> hosts, TopicId topic_id,
                           Draft* draft) {
  Placer placer(draft);
  const auto topic = draft->image().topic(topic_id);
  if (!topic) return absl::NotFoundError("topic: it was deleted meanwhile");
  for (const std::string& id : hosts) {
    const auto host = draft->image().host(id);
    if (!host || !AllowsRegion(*topic, host->region) ||
        draft->image().binding(topic_id, id)) {
      continue;
    }
    RETURN_IF_ERROR(BindHost(id, *host, topic_id, &placer, draft));
  }
  return absl::OkStatus();
}

absl::Status PlanRemoveHosts(std::span<const std::string> ids, bool cascade,
                             Draft* draft) {
  const auto topics = UnicastTopics(draft->image());
  absl::flat_hash_set<std::string_view> seen;
  for (const std::string& id : ids) {
    if (!seen.insert(id).second) {
      return absl::InvalidArgumentError("ids: " + Quote(id) +
                                        " is given twice");
    }
    const auto host = draft->image().host(id);
    if (!host) {
      return absl::NotFoundError("ids: no host is called " + Quote(id));
    }
    if (!host->vpcs.empty() && !cascade) {
      return absl::FailedPreconditionError(
          "ids: host '" + id + "' is a member of " +
          Counted(host->vpcs.size(), "VPC") + " (" + host->vpcs.front() +
          (host->vpcs.size() > 1 ? ", ..." : "") +
          "); remove it there first or use --cascade");
    }
    RETURN_IF_ERROR(LeaveVpcs(id, draft));
    for (const auto& [topic, unused] : topics) {
      const auto binding = draft->image().binding(topic, id);
      if (!binding) continue;
      for (const Binding::Target& target : binding->targets) {
        v1::Record record;
        v1::KeyUnbound& unbound = *record.mutable_key_unbound();
        unbound.set_topic_id(topic.value());
        unbound.set_key(id);
        unbound.set_partition(target.partition.value());
        draft->Add(std::move(record));
      }
    }
    v1::Record record;
    record.mutable_host_removed()->set_id(id);
    draft->Add(std::move(record));
  }
  return absl::OkStatus();
}

}  // namespace kafed::federation
