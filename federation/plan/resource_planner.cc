#include "common/status_macros.h"
#include "federation/placement/placer.h"
#include "federation/plan/planners.h"
#include "federation/plan/validate.h"

namespace kafed::federation {

absl::StatusOr<TopicId> ResourceTopic(const Image& image,
                                      const std::string& name) {
  const TopicId id = image.FindTopic(name);
  if (!id.valid()) {
    return absl::NotFoundError("topic: no topic is called " + Quote(name));
  }
  if (image.topic(id)->kind != v1::TOPIC_KIND_RESOURCE) {
    return absl::InvalidArgumentError("topic: " + name +
                                      " is not of kind resource");
  }
  return id;
}

absl::StatusOr<v1::MutationResponse> PlanAddResource(
    const v1::AddResourceRequest& request, Draft* draft) {
  ASSIGN_OR_RETURN(const TopicId topic_id,
                   ResourceTopic(draft->image(), request.topic()));
  RETURN_IF_ERROR(ValidateId("id", request.id()));
  if (draft->image().binding(topic_id, request.id())) {
    return absl::AlreadyExistsError("id: resource " + request.topic() + "/" +
                                    request.id() + " exists already");
  }
  const Topic topic = *draft->image().topic(topic_id);
  std::string region = request.region();
  if (region.empty()) {
    if (topic.regions.size() != 1) {
      return absl::InvalidArgumentError("region: is missing, and topic " +
                                        topic.name +
                                        " spans regions; give --region");
    }
    region = topic.regions.front();
  } else {
    RETURN_IF_ERROR(ValidateName("region", region));
  }
  if (!request.zone().empty()) {
    RETURN_IF_ERROR(ValidateName("zone", request.zone()));
  }
  ASSIGN_OR_RETURN(
      const PlacementChoice choice,
      Placer(draft).Place({topic_id, region, request.zone(), {}, false}));
  v1::Record record;
  v1::ResourceAdded& added = *record.mutable_resource_added();
  added.set_topic_id(topic_id.value());
  added.set_id(request.id());
  added.set_region(region);
  added.set_zone(request.zone());
  draft->Add(std::move(record));
  v1::Record bind;
  v1::KeyBound& bound = *bind.mutable_key_bound();
  bound.set_topic_id(topic_id.value());
  bound.set_key(request.id());
  bound.set_partition(choice.partition.value());
  *bound.mutable_reason() = choice.reason;
  draft->Add(std::move(bind));
  return Answer(*draft, "resource " + request.topic() + "/" + request.id() +
                            " bound to partition " +
                            std::to_string(choice.partition.value()));
}

absl::StatusOr<v1::MutationResponse> PlanRemoveResource(
    const v1::RemoveResourceRequest& request, Draft* draft) {
  ASSIGN_OR_RETURN(const TopicId topic_id,
                   ResourceTopic(draft->image(), request.topic()));
  if (!draft->image().binding(topic_id, request.id())) {
    return absl::NotFoundError("id: topic " + request.topic() +
                               " has no resource called " +
                               Quote(request.id()));
  }
  v1::Record record;
  record.mutable_resource_removed()->set_topic_id(topic_id.value());
  record.mutable_resource_removed()->set_id(request.id());
  draft->Add(std::move(record));
  return Answer(*draft, "resource " + request.topic() + "/" + request.id() +
                            " removed; its partition is not used again");
}

}  // namespace kafed::federation
