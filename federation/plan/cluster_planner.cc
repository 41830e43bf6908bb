#include <algorithm>
#include <set>

#include "common/status_macros.h"
#include "federation/image/limits.h"
#include "federation/image/spec_fields.h"
#include "federation/placement/placer.h"
#include "federation/plan/planners.h"
#include "federation/plan/validate.h"

namespace kafed::federation {
namespace {

absl::StatusOr<SubClusterId> Find(const Draft& draft, const std::string& name) {
  const SubClusterId id = draft.image().FindSubCluster(name);
  if (id.valid()) return id;
  std::string known;
  for (const auto& [unused, row] : draft.image().SubClusters()) {
    known += (known.empty() ? "" : ", ") + row.name;
  }
  return absl::NotFoundError(
      "name: no sub-cluster is called " + Quote(name) +
      "; there are: " + (known.empty() ? "none" : known));
}

// A host that has its home there. Where a unicast topic covers the region each
// host is bound at its home, and the charge tells; else hosts are looked at.
std::optional<std::string> HostAtHome(const Image& image, SubClusterId id) {
  const std::string region = image.sub_cluster(id)->region;
  for (const auto& [topic_id, topic] : image.Topics()) {
    if (topic.kind == v1::TOPIC_KIND_UNICAST && AllowsRegion(topic, region)) {
      return std::nullopt;
    }
  }
  std::optional<std::string> found;
  image.table(Table::kHosts)
      .ForEach([&](std::string_view key, std::string_view value) {
        if (!found && DecodeRow<Host>(value).home == id) found.emplace(key);
      });
  return found;
}

}  // namespace

v1::MutationResponse Answer(const Draft& draft, std::string summary) {
  v1::MutationResponse response;
  *response.mutable_position() = draft.position_proto();
  response.set_summary(std::move(summary));
  return response;
}

absl::Status CheckRegionKnown(std::string_view region, const Image& image) {
  std::set<std::string> known;
  for (const auto& [id, row] : image.SubClusters()) known.insert(row.region);
  if (known.contains(std::string(region))) return absl::OkStatus();
  std::string list;
  for (const std::string& each : known) {
    list += (list.empty() ? "" : ", ") + each;
  }
  return absl::NotFoundError("region: no sub-cluster is in region " +
                             Quote(region) +
                             "; there are: " + (list.empty() ? "none" : list));
}

absl::StatusOr<v1::MutationResponse> PlanAddSubCluster(
    const v1::AddSubClusterRequest& request, Draft* draft) {
  const v1::SubClusterSpec& spec = request.spec();
  RETURN_IF_ERROR(ValidateSubCluster(spec));
  for (const auto& [id, row] : draft->image().SubClusters()) {
    if (row.name == spec.name()) {
      return absl::AlreadyExistsError("name: sub-cluster " + spec.name() +
                                      " exists already; choose another name "
                                      "or use `kafedctl cluster update`");
    }
    if (!spec.kafka_cluster_id().empty() &&
        row.kafka_cluster_id == spec.kafka_cluster_id()) {
      return absl::AlreadyExistsError(
          "kafka_cluster_id: Kafka cluster " + spec.kafka_cluster_id() +
          " is registered as " + row.name + " already");
    }
  }
  v1::Record record;
  record.mutable_sub_cluster_added()->set_id(
      draft->image().counters().next_sub_cluster);
  *record.mutable_sub_cluster_added()->mutable_spec() = spec;
  draft->Add(std::move(record));
  return Answer(*draft, "sub-cluster " + spec.name() + " added, pending");
}

absl::StatusOr<v1::MutationResponse> PlanUpdateSubCluster(
    const v1::UpdateSubClusterRequest& request, Draft* draft) {
  ASSIGN_OR_RETURN(const SubClusterId id, Find(*draft, request.name()));
  if (!request.has_bootstrap_servers() && !request.has_weight() &&
      !request.has_connection_budget() && !request.has_security_ref() &&
      request.profile().ByteSizeLong() == 0 && request.zones().empty()) {
    return absl::InvalidArgumentError(
        "nothing to change was given; expected one at least of "
        "bootstrap_servers, weight, connection_budget, security_ref, profile "
        "and zones");
  }
  v1::SubClusterSpec spec = SpecOf(*draft->image().sub_cluster(id));
  if (request.has_bootstrap_servers()) {
    spec.set_bootstrap_servers(request.bootstrap_servers());
  }
  if (request.has_weight()) spec.set_weight(request.weight());
  if (request.has_connection_budget()) {
    spec.set_connection_budget(request.connection_budget());
  }
  if (request.has_security_ref()) {
    spec.set_security_ref(request.security_ref());
  }
  // Field by field: what is 0 there is not given.
  if (request.has_profile()) {
    spec.mutable_profile()->MergeFrom(request.profile());
  }
  if (!request.zones().empty()) *spec.mutable_zones() = request.zones();
  RETURN_IF_ERROR(ValidateSubCluster(spec));
  v1::Record record;
  record.mutable_sub_cluster_updated()->set_id(id.value());
  *record.mutable_sub_cluster_updated()->mutable_spec() = spec;
  draft->Add(std::move(record));
  return Answer(*draft, "sub-cluster " + request.name() + " updated");
}

absl::StatusOr<v1::MutationResponse> PlanRemoveSubCluster(
    const v1::RemoveSubClusterRequest& request, Draft* draft) {
  ASSIGN_OR_RETURN(const SubClusterId id, Find(*draft, request.name()));
  for (const auto& [topic_id, topic] : draft->image().Topics()) {
    const Share share = draft->image().share(topic_id, id);
    const bool hashed = topic.kind == v1::TOPIC_KIND_HASHED;
    // Partitions of removed resources are no reason to stay.
    const uint64_t keys = share.charge - share.dead;
    if (keys != 0 || (hashed && share.kafka_topics != 0)) {
      return absl::FailedPreconditionError(
          "name: sub-cluster " + request.name() + " holds " +
          (hashed ? "partitions" : Counted(keys, "key")) + " of topic " +
          topic.name + "; delete the topic or remove the keys first");
    }
  }
  if (const auto host = HostAtHome(draft->image(), id)) {
    return absl::FailedPreconditionError(
        "name: sub-cluster " + request.name() + " is the home of host '" +
        *host +
        "', though no topic of kind unicast is left; remove its hosts "
        "first");
  }
  // Empty Kafka topics made ahead of need go with it: nobody was routed there.
  v1::Record record;
  record.mutable_sub_cluster_removed()->set_id(id.value());
  draft->Add(std::move(record));
  return Answer(*draft, "sub-cluster " + request.name() + " removed");
}

}  // namespace kafed::federation
