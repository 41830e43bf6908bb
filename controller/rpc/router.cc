#include "controller/rpc/router.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "common/murmur2.h"
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
using federation::Partition;
using federation::PartitionNumber;
using federation::Segment;
using federation::SubClusterId;
using federation::Table;
using federation::Topic;
using federation::TopicId;
using federation::VpcMember;

void Refuse(const absl::Status& status, v1::RouteResult* result) {
  result->set_error_code(static_cast<uint32_t>(status.code()));
  result->set_error(std::string(status.message()));
}

absl::StatusOr<std::vector<PartitionNumber>> PartitionsOf(
    const Image& image, TopicId id, const Topic& topic,
    const federation::Key& key) {
  const std::string name = std::string(key.topic) + "/" + std::string(key.id);
  if (topic.kind == v1::TOPIC_KIND_HASHED) {
    const auto number = image.FindRange(id, topic, KeyHash(key.id));
    if (!number) {
      return absl::NotFoundError("key: topic " + topic.name +
                                 " has no partition for " + name);
    }
    return std::vector<PartitionNumber>{*number};
  }
  const auto binding = image.binding(id, key.id);
  if (!binding) {
    const char* what = topic.kind == v1::TOPIC_KIND_UNICAST     ? "host"
                       : topic.kind == v1::TOPIC_KIND_MULTICAST ? "VPC"
                                                                : "resource";
    if (topic.kind == v1::TOPIC_KIND_MULTICAST && image.vpc(key.id)) {
      return absl::FailedPreconditionError("key: VPC " + std::string(key.id) +
                                           " has no members yet");
    }
    return absl::NotFoundError("key: no " + std::string(what) + " is called '" +
                               std::string(key.id) + "'");
  }
  std::vector<PartitionNumber> numbers;
  for (const Binding::Target& target : binding->targets) {
    numbers.push_back(target.partition);
  }
  return numbers;
}

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
    return absl::NotFoundError("resource_topic: no resource topic is called '" +
                               request.resource_topic() + "'");
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

bool FillTarget(const Image& image, TopicId topic, PartitionNumber number,
                v1::RouteTarget* target) {
  const auto partition = image.partition(topic, number);
  const Segment* segment = partition ? partition->Writable() : nullptr;
  if (segment == nullptr) return false;
  const auto kafka_topic = image.kafka_topic(segment->kafka_topic);
  const auto sub_cluster = image.sub_cluster(segment->sub_cluster);
  if (!kafka_topic || !sub_cluster) return false;
  target->set_partition(number.value());
  target->set_sub_cluster_id(segment->sub_cluster.value());
  target->set_sub_cluster(sub_cluster->name);
  target->set_bootstrap_servers(sub_cluster->bootstrap_servers);
  target->set_kafka_topic(kafka_topic->name);
  target->set_kafka_partition(segment->kafka_partition);
  target->set_epoch(segment->epoch.value());
  target->set_ready(kafka_topic->state == federation::KafkaTopicState::kReady);
  target->set_held(segment->state == v1::SEGMENT_STATE_CLOSING);
  target->set_security_ref(sub_cluster->security_ref);
  return true;
}

RoutedTopic RouteKey(const Image& image, std::string_view text,
                     v1::RouteResult* result) {
  result->set_key(std::string(text));
  const auto key = federation::ParseKey(text);
  if (!key.ok()) {
    Refuse(key.status(), result);
    return {};
  }
  const TopicId id = image.FindTopic(key->topic);
  const auto topic = image.topic(id);
  if (!topic) {
    Refuse(absl::NotFoundError("key: no topic is called '" +
                               std::string(key->topic) + "'"),
           result);
    return {};
  }
  const auto numbers = PartitionsOf(image, id, *topic, *key);
  if (!numbers.ok()) {
    Refuse(numbers.status(), result);
    return {};
  }
  for (const PartitionNumber number : *numbers) {
    if (!FillTarget(image, id, number, result->add_targets())) {
      result->clear_targets();
      Refuse(absl::UnavailableError("key: partition " + topic->name + "/" +
                                    std::to_string(number.value()) +
                                    " has no writable segment at present"),
             result);
      return {};
    }
  }
  return {topic->lease_ttl_ms, topic->kind == v1::TOPIC_KIND_MULTICAST};
}

absl::Status RouteMembers(const Image& image,
                          const v1::RouteMembersRequest& request,
                          v1::RouteMembersResponse* response) {
  const auto vpc = image.vpc(request.vpc());
  if (!vpc) {
    return absl::NotFoundError("vpc: no VPC is called '" + request.vpc() + "'");
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
    return absl::NotFoundError("topic: no unicast topic is called '" +
                               request.topic() + "'");
  }
  std::map<PartitionNumber, v1::MemberGroup*> groups;
  for (const std::string& host :
       federation::VpcHosts(image, request.vpc(), SIZE_MAX)) {
    const auto binding = image.binding(topic_id, host);
    if (!binding || binding->targets.empty()) continue;
    const PartitionNumber number = binding->targets.front().partition;
    v1::MemberGroup*& group = groups[number];
    if (group == nullptr) {
      group = response->add_groups();
      FillTarget(image, topic_id, number, group->mutable_target());
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
    return absl::NotFoundError("vpc: no VPC is called '" + request.vpc() + "'");
  }
  response->set_instance(vpc->owner);
  response->set_epoch(vpc->owner_epoch);
  return absl::OkStatus();
}

absl::Status FindSubscriptions(const Image& image,
                               const v1::SubscriptionsRequest& request,
                               v1::SubscriptionsResponse* response) {
  if (!request.resource_topic().empty()) {
    return ResourceSubscriptions(image, request, response);
  }
  const auto host = image.host(request.host());
  if (!host) {
    return absl::NotFoundError("host: no host is called '" + request.host() +
                               "'");
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
