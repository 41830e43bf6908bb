#include "controller/rpc/router.h"

#include <map>
#include <set>
#include <string>

#include "common/status_macros.h"
#include "federation/plan/planners.h"
#include "federation/plan/validate.h"
#include "federation/view/view_feed.h"

namespace kafed::controller {
namespace {

using federation::Binding;
using federation::Epoch;
using federation::Image;
using federation::KeyOf;
using federation::PartitionNumber;
using federation::Quote;
using federation::Segment;
using federation::SubClusterId;
using federation::Table;
using federation::Topic;
using federation::TopicId;
using federation::VpcMember;

// Adds a subscription for a chain, without its segments where the agent knows
// the newest epoch already.
v1::Subscription* AddSubscription(const Image& image, TopicId topic_id,
                                  const Topic& topic, PartitionNumber number,
                                  const v1::SubscriptionsRequest& request,
                                  v1::SubscriptionsResponse* response) {
  for (v1::Subscription& each : *response->mutable_subscriptions()) {
    if (each.topic() == topic.name && each.partition() == number.value()) {
      return &each;
    }
  }
  const auto partition = image.partition(topic_id, number);
  v1::Subscription* added = response->add_subscriptions();
  added->set_topic(topic.name);
  added->set_kind(topic.kind);
  added->set_partition(number.value());
  if (!partition || partition->chain.empty()) return added;
  added->set_epoch(partition->chain.back().epoch.value());
  for (const v1::KnownChain& known : request.known()) {
    if (known.topic() == topic.name && known.partition() == number.value() &&
        known.epoch() == added->epoch()) {
      return added;
    }
  }
  for (const Segment& segment : partition->chain) {
    if (segment.state == v1::SEGMENT_STATE_RETIRED) continue;
    *added->add_chain() = federation::SegmentOf(segment);
  }
  return added;
}

// The sub-clusters and Kafka topics that the chains name.
void AddReferences(const Image& image, v1::SubscriptionsResponse* response) {
  std::set<uint32_t> sub_clusters;
  std::set<uint32_t> kafka_topics;
  for (const v1::Subscription& each : response->subscriptions()) {
    for (const v1::Segment& segment : each.chain()) {
      sub_clusters.insert(segment.sub_cluster_id());
      kafka_topics.insert(segment.kafka_topic_id());
    }
  }
  for (const uint32_t id : sub_clusters) {
    if (auto row = federation::RowOf(image, Table::kSubClusters, KeyOf(id))) {
      *response->add_sub_clusters() = row->sub_cluster();
    }
  }
  for (const uint32_t id : kafka_topics) {
    if (auto row = federation::RowOf(image, Table::kKafkaTopics, KeyOf(id))) {
      *response->add_kafka_topics() = row->kafka_topic();
    }
  }
}

void AddVpcSubscriptions(const Image& image, const std::string& host,
                         const std::string& vpc,
                         const v1::SubscriptionsRequest& request,
                         v1::SubscriptionsResponse* response) {
  const auto member =
      image.Get<VpcMember>(Table::kVpcMembers, KeyOf(vpc, host));
  if (!member) return;
  for (const VpcMember::From& from : member->from) {
    const auto topic = image.topic(from.topic);
    if (!topic) continue;
    v1::SubscribedKey* key = AddSubscription(image, from.topic, *topic,
                                             from.partition, request, response)
                                 ->add_keys();
    key->set_key(vpc);
    key->set_from_epoch(from.epoch.value());
    key->set_from_offset(from.offset);
    key->set_membership_version(member->version);
  }
}

absl::Status ResourceSubscriptions(const Image& image,
                                   const v1::SubscriptionsRequest& request,
                                   v1::SubscriptionsResponse* response) {
  const TopicId id = image.FindTopic(request.resource_topic());
  const auto topic = image.topic(id);
  if (!topic || topic->kind != v1::TOPIC_KIND_RESOURCE) {
    return absl::NotFoundError("resource_topic: no resource topic is called " +
                               Quote(request.resource_topic()));
  }
  image.table(Table::kResources)
      .ForEach([&](std::string_view row_key, std::string_view) {
        ByteReader reader(row_key);
        if (reader.Big32() != id.value()) return;
        const std::string resource(reader.rest());
        const auto binding = image.binding(id, resource);
        if (!binding) return;
        for (const Binding::Target& target : binding->targets) {
          AddSubscription(image, id, *topic, target.partition, request,
                          response)
              ->add_keys()
              ->set_key(resource);
        }
      });
  AddReferences(image, response);
  return absl::OkStatus();
}

}  // namespace

RoutedTopic RouteKey(const Image& image, std::string_view key,
                     v1::RouteResult* result) {
  return KeyRouter(image).Route({key}, {result}).front();
}

absl::Status RouteMembers(const Image& image,
                          const v1::RouteMembersRequest& request,
                          v1::RouteMembersResponse* response) {
  const auto vpc = image.vpc(request.vpc());
  if (!vpc) {
    return absl::NotFoundError("vpc: no VPC is called " + Quote(request.vpc()));
  }
  TopicId topic_id;
  std::string candidates;
  for (const auto& [id, topic] : image.Topics()) {
    if (topic.kind != v1::TOPIC_KIND_UNICAST) continue;
    if (!request.topic().empty() && topic.name != request.topic()) continue;
    candidates += (candidates.empty() ? "" : ", ") + topic.name;
    if (topic_id.valid()) {
      return absl::InvalidArgumentError(
          "topic: there are several unicast topics, name one of: " +
          candidates);
    }
    topic_id = id;
  }
  if (!topic_id.valid()) {
    return absl::NotFoundError("topic: no unicast topic is called " +
                               Quote(request.topic()));
  }
  std::map<PartitionNumber, v1::MemberGroup*> groups;
  KeyRouter router(image);
  for (const std::string& host :
       federation::VpcHosts(image, request.vpc(), SIZE_MAX)) {
    const auto binding = image.binding(topic_id, host);
    if (!binding || binding->targets.empty()) continue;
    const PartitionNumber number = binding->targets.front().partition;
    v1::MemberGroup*& group = groups[number];
    if (group == nullptr) {
      group = response->add_groups();
      router.FillTarget(topic_id, number, group->mutable_target());
    }
    v1::MemberHost* member = group->add_hosts();
    member->set_id(host);
    const auto row =
        image.GetOr<VpcMember>(Table::kVpcMembers, KeyOf(request.vpc(), host));
    member->mutable_vms()->Assign(row.vms.begin(), row.vms.end());
  }
  response->set_membership_version(vpc->membership_version);
  return absl::OkStatus();
}

absl::Status FindOwner(const Image& image, const v1::OwnerRequest& request,
                       v1::OwnerResponse* response) {
  const auto vpc = image.vpc(request.vpc());
  if (!vpc) {
    return absl::NotFoundError("vpc: no VPC is called " + Quote(request.vpc()));
  }
  response->set_instance(vpc->owner);
  response->set_epoch(vpc->owner_epoch);
  return absl::OkStatus();
}

absl::Status FindSubscriptions(const Image& image,
                               const v1::SubscriptionsRequest& request,
                               v1::SubscriptionsResponse* response) {
  if (!request.resource_topic().empty()) {
    if (!request.host().empty()) {
      return absl::InvalidArgumentError(
          "resource_topic: is given together with host; expected one of them");
    }
    return ResourceSubscriptions(image, request, response);
  }
  const auto host = image.host(request.host());
  if (!host) {
    return absl::NotFoundError("host: no host is called " +
                               Quote(request.host()));
  }
  for (const auto& [id, topic] : image.Topics()) {
    if (topic.kind != v1::TOPIC_KIND_UNICAST) continue;
    const auto binding = image.binding(id, request.host());
    if (!binding) continue;
    for (const Binding::Target& target : binding->targets) {
      AddSubscription(image, id, topic, target.partition, request, response)
          ->add_keys()
          ->set_key(request.host());
    }
  }
  for (const std::string& vpc : host->vpcs) {
    AddVpcSubscriptions(image, request.host(), vpc, request, response);
  }
  AddReferences(image, response);
  return absl::OkStatus();
}

}  // namespace kafed::controller
