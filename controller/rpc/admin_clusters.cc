// Sub-clusters, logical topics, resources, instances and sessions.
#include <algorithm>
#include <cmath>
#include <set>

#include "common/status_macros.h"
#include "controller/rpc/admin_service.h"
#include "controller/rpc/status_conversion.h"
#include "controller/write/newest_image.h"
#include "federation/image/limits.h"
#include "federation/image/spec_fields.h"
#include "federation/placement/lbmrc.h"
#include "federation/plan/validate.h"

namespace kafed::controller {

using federation::Draft;
using federation::Image;
using federation::KeyOf;
using federation::Quote;
using federation::SubClusterId;
using federation::Table;
using federation::TopicId;

namespace {

v1::TopicStatus TopicStatusOf(const Image& image, TopicId id,
                              const federation::Topic& row) {
  const federation::TopicCounters counters = image.topic_counters(id);
  v1::TopicStatus status;
  status.set_id(id.value());
  *status.mutable_spec() = SpecOf(row);
  status.set_generation(row.generation);
  status.set_partitions(counters.next_partition);
  status.set_keys(counters.keys);
  status.set_kafka_topics(counters.kafka_topics);
  status.set_kafka_topics_ready(counters.kafka_topics_ready);
  return status;
}

absl::Status NoService(const std::string& where, const std::string& instance,
                       const federation::Instance& row) {
  std::string services;
  for (const auto& quota : row.quotas) {
    services.append(services.empty() ? "" : ", ").append(quota.service);
  }
  return absl::NotFoundError(where + " is none of instance " + instance +
                             "; it has: " + services);
}

absl::Status CheckVpcs(const v1::ReportInstanceRequest& request,
                       const Image& image) {
  std::set<std::string_view> seen;
  for (const std::string& vpc : request.vpcs()) {
    if (!image.vpc(vpc)) {
      return absl::NotFoundError("vpcs: no VPC is called " + Quote(vpc));
    }
    if (!seen.insert(vpc).second) {
      return absl::InvalidArgumentError("vpcs: " + Quote(vpc) +
                                        " is given twice");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLoad(const v1::ReportInstanceRequest& request,
                       const federation::Instance& row) {
  std::set<std::string_view> seen;
  for (const v1::Quota& load : request.load()) {
    const bool known = std::any_of(
        row.quotas.begin(), row.quotas.end(),
        [&](const auto& quota) { return quota.service == load.service(); });
    const std::string where = "load: service " + Quote(load.service());
    if (!known) return NoService(where, request.id(), row);
    if (!seen.insert(load.service()).second) {
      return absl::InvalidArgumentError(where + " is given twice");
    }
    if (!std::isfinite(load.used()) || load.used() < 0) {
      return absl::InvalidArgumentError(where + ": used is " +
                                        std::to_string(load.used()) +
                                        "; expected a number, 0 or more");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckReport(const v1::ReportInstanceRequest& request,
                         const Image& image) {
  const auto row =
      image.Get<federation::Instance>(Table::kInstances, request.id());
  if (!row) {
    return absl::NotFoundError("id: no instance is called " +
                               Quote(request.id()));
  }
  RETURN_IF_ERROR(CheckLoad(request, *row));
  return CheckVpcs(request, image);
}

// Hosts of one entry when a new topic binds those that exist.
constexpr size_t kBindPage = 1'000;

}  // namespace

v1::SubClusterStatus StatusOf(const Image& image, SubClusterId id,
                              const federation::SubCluster& row) {
  v1::SubClusterStatus status;
  status.set_id(id.value());
  *status.mutable_spec() = SpecOf(row);
  status.set_state(row.state);
  status.set_brokers(row.brokers);
  status.set_reason(row.reason);
  status.set_kafka_cluster_id(row.kafka_cluster_id);
  std::map<uint32_t, uint32_t> ready;
  image.table(Table::kKafkaTopics)
      .ForEach([&](std::string_view, std::string_view value) {
        const auto topic = DecodeRow<federation::KafkaTopic>(value);
        if (topic.sub_cluster != id) return;
        if (topic.state == federation::KafkaTopicState::kReady) {
          ++ready[topic.topic.value()];
        }
        if (!topic.drift.empty()) {
          status.add_drift(topic.name + ": " + topic.drift);
        }
      });
  for (const auto& [topic_id, topic] : image.Topics()) {
    const federation::Share share = image.share(topic_id, id);
    if (share.kafka_topics == 0) continue;
    v1::TopicShare* out = status.add_shares();
    out->set_topic(topic.name);
    out->set_kafka_topics(share.kafka_topics);
    out->set_kafka_topics_ready(ready[topic_id.value()]);
    out->set_keys(share.charge);
    out->set_key_limit(Capacity(EffectiveLimits(topic, row)));
    out->set_dead_partitions(share.dead);
  }
  return status;
}

AdminService::Unary* AdminService::AddSubCluster(
    Call* call, const v1::AddSubClusterRequest* request,
    v1::MutationResponse* response) {
  return Change(call, *request, response, [request](Draft* draft) {
    return PlanAddSubCluster(*request, draft);
  });
}

AdminService::Unary* AdminService::UpdateSubCluster(
    Call* call, const v1::UpdateSubClusterRequest* request,
    v1::MutationResponse* response) {
  return Change(call, *request, response, [request](Draft* draft) {
    return PlanUpdateSubCluster(*request, draft);
  });
}

AdminService::Unary* AdminService::RemoveSubCluster(
    Call* call, const v1::RemoveSubClusterRequest* request,
    v1::MutationResponse* response) {
  return Change(call, *request, response, [request](Draft* draft) {
    return PlanRemoveSubCluster(*request, draft);
  });
}

AdminService::Unary* AdminService::ListSubClusters(
    Call* call, const v1::ListSubClustersRequest* request,
    v1::ListSubClustersResponse* response) {
  const auto image = context_.replica->image();
  for (const auto& [id, row] : image->SubClusters()) {
    if (!request->name().empty() && row.name != request->name()) continue;
    *response->add_sub_clusters() = StatusOf(*image, id, row);
  }
  *response->mutable_position() = PositionOf(*image);
  if (!request->name().empty() && response->sub_clusters().empty()) {
    return Answer(call, absl::NotFoundError("name: no sub-cluster is called " +
                                            Quote(request->name())));
  }
  return Answer(call, absl::OkStatus());
}

AdminService::Unary* AdminService::CreateTopic(
    Call* call, const v1::CreateTopicRequest* request,
    v1::MutationResponse* response) {
  return Offload(call, [this, call, request, response] {
    return CreateTopicAndBind(call, *request, response);
  });
}

absl::Status AdminService::CreateTopicAndBind(
    const Call* call, const v1::CreateTopicRequest& request,
    v1::MutationResponse* response) {
  RETURN_IF_ERROR(CheckOptions(request.options()));
  ASSIGN_OR_RETURN(
      const Committed created,
      context_.writer->Run(
          {.plan = [&](Draft* draft) -> absl::StatusOr<std::string> {
             ASSIGN_OR_RETURN(const auto answer,
                              PlanCreateTopic(request, draft));
             return answer.SerializeAsString();
           },
           .request_id = request.options().request_id(),
           .fingerprint = Fingerprint(request),
           .dry_run = request.options().dry_run(),
           .abandoned = [call] { return call->IsCancelled(); }}));
  response->ParseFromString(created.response);
  if (request.options().dry_run()) MarkDryRun(created, response);
  if (response->dry_run() || request.spec().kind() != v1::TOPIC_KIND_UNICAST) {
    return absl::OkStatus();
  }
  // Hosts that exist are bound page by page; a retry goes on where it stopped,
  // because hosts that are bound already are left alone.
  ASSIGN_OR_RETURN(const auto image,
                   context_.replica->WaitFor(created.position, kReadWait));
  const TopicId topic = image->FindTopic(request.spec().name());
  BlockTable::Cursor cursor = 0;
  while (cursor != BlockTable::kEnd) {
    std::vector<std::string> hosts;
    cursor = image->table(Table::kHosts)
                 .Scan(cursor, kBindPage,
                       [&](std::string_view key, std::string_view) {
                         hosts.emplace_back(key);
                       });
    if (hosts.empty()) continue;
    RETURN_IF_ERROR(
        Annotate(context_.writer
                     ->Run([&](Draft* draft) -> absl::StatusOr<std::string> {
                       RETURN_IF_ERROR(PlanBindHosts(hosts, topic, draft));
                       return std::string();
                     })
                     .status(),
                 "topic " + request.spec().name() +
                     " was created, but not all hosts could be bound"));
  }
  *response->mutable_position() = PositionOf(*context_.replica->image());
  return absl::OkStatus();
}

AdminService::Unary* AdminService::DeleteTopic(
    Call* call, const v1::DeleteTopicRequest* request,
    v1::MutationResponse* response) {
  return Change(call, *request, response, [request](Draft* draft) {
    return PlanDeleteTopic(*request, draft);
  });
}

AdminService::Unary* AdminService::ListTopics(
    Call* call, const v1::ListTopicsRequest*,
    v1::ListTopicsResponse* response) {
  const auto image = context_.replica->image();
  for (const auto& [id, row] : image->Topics()) {
    *response->add_topics() = TopicStatusOf(*image, id, row);
  }
  *response->mutable_position() = PositionOf(*image);
  return Answer(call, absl::OkStatus());
}

AdminService::Unary* AdminService::DescribeTopic(
    Call* call, const v1::DescribeTopicRequest* request,
    v1::DescribeTopicResponse* response) {
  const auto image = context_.replica->image();
  const TopicId id = image->FindTopic(request->name());
  const auto row = image->topic(id);
  if (!row) {
    return Answer(call, absl::NotFoundError("name: no topic is called " +
                                            Quote(request->name())));
  }
  *response->mutable_topic() = TopicStatusOf(*image, id, *row);
  const auto limit =
      SizeOf("max_partitions", request->max_partitions(), kMaxPage);
  if (!limit.ok()) return Answer(call, limit.status());
  const uint32_t partitions = image->topic_counters(id).next_partition;
  for (uint32_t i = 0; i < partitions && i < *limit; ++i) {
    const federation::PartitionNumber number(i);
    const auto partition = image->partition(id, number);
    if (!partition) continue;
    v1::PartitionStatus* out = response->add_partitions();
    out->set_partition(i);
    for (const auto& segment : partition->chain) {
      *out->add_chain() = federation::SegmentOf(segment);
    }
    out->set_low(partition->low);
    out->set_high(partition->high);
    out->set_keys(
        static_cast<uint32_t>(image
                                  ->GetOr<federation::PartitionKeys>(
                                      Table::kPartitionKeys, KeyOf(id, number))
                                  .keys.size()));
    const federation::Segment* segment = partition->Writable();
    if (segment == nullptr) continue;
    if (const auto at = image->sub_cluster(segment->sub_cluster)) {
      out->set_sub_cluster(at->name);
    }
    if (const auto at = image->kafka_topic(segment->kafka_topic)) {
      out->set_kafka_topic(at->name);
    }
  }
  *response->mutable_position() = PositionOf(*image);
  return Answer(call, absl::OkStatus());
}

AdminService::Unary* AdminService::AddResource(
    Call* call, const v1::AddResourceRequest* request,
    v1::MutationResponse* response) {
  return Change(call, *request, response, [request](Draft* draft) {
    return PlanAddResource(*request, draft);
  });
}

AdminService::Unary* AdminService::RemoveResource(
    Call* call, const v1::RemoveResourceRequest* request,
    v1::MutationResponse* response) {
  return Change(call, *request, response, [request](Draft* draft) {
    return PlanRemoveResource(*request, draft);
  });
}

AdminService::Unary* AdminService::ListResources(
    Call* call, const v1::ListResourcesRequest* request,
    v1::ListResourcesResponse* response) {
  const auto page = PageOf(request->page_token(), request->page_size());
  if (!page.ok()) return Answer(call, page.status());
  const auto image = context_.replica->image();
  if (!request->topic().empty()) {
    const auto topic = federation::ResourceTopic(*image, request->topic());
    if (!topic.ok()) return Answer(call, topic.status());
  }
  const auto next =
      image->table(Table::kResources)
          .Scan(page->cursor, page->size,
                [&](std::string_view key, std::string_view) {
                  ByteReader reader(key);
                  const TopicId id(reader.Big32());
                  const auto topic = image->topic(id);
                  if (!topic || (!request->topic().empty() &&
                                 topic->name != request->topic())) {
                    return;
                  }
                  const auto binding = image->binding(id, reader.rest());
                  if (!binding || binding->targets.empty()) return;
                  v1::ResourceStatus* out = response->add_resources();
                  out->set_topic(topic->name);
                  out->set_id(std::string(reader.rest()));
                  const auto number = binding->targets.front().partition;
                  out->set_partition(number.value());
                  const auto partition = image->partition(id, number);
                  if (partition && partition->Writable() != nullptr) {
                    out->set_sub_cluster(
                        image->sub_cluster(partition->Writable()->sub_cluster)
                            ->name);
                  }
                });
  response->set_next_page_token(TokenOf(next));
  *response->mutable_position() = PositionOf(*image);
  return Answer(call, absl::OkStatus());
}

AdminService::Unary* AdminService::AddInstance(
    Call* call, const v1::AddInstanceRequest* request,
    v1::MutationResponse* response) {
  return Change(
      call, *request, response,
      [this, request](Draft* draft) -> absl::StatusOr<v1::MutationResponse> {
        ASSIGN_OR_RETURN(auto answer, PlanAddInstance(*request, draft));
        PlanOrphans(request->spec().region(), context_.loads->Copy(), draft);
        return answer;
      });
}

AdminService::Unary* AdminService::RemoveInstance(
    Call* call, const v1::RemoveInstanceRequest* request,
    v1::MutationResponse* response) {
  return Change(call, *request, response, [this, request](Draft* draft) {
    return PlanRemoveInstance(*request, context_.loads->Copy(), draft);
  });
}

AdminService::Unary* AdminService::ListInstances(
    Call* call, const v1::ListInstancesRequest*,
    v1::ListInstancesResponse* response) {
  const auto image = context_.replica->image();
  const federation::LoadReports reports = context_.loads->Copy();
  image->table(Table::kInstances)
      .ForEach([&](std::string_view key, std::string_view value) {
        const auto row = DecodeRow<federation::Instance>(value);
        const std::string id(key);
        const auto load = federation::LoadOf(id, row, reports);
        v1::InstanceStatus* out = response->add_instances();
        *out->mutable_spec() = SpecOf(id, row);
        for (size_t i = 0; i < load.size(); ++i) {
          out->mutable_spec()
              ->mutable_quotas(static_cast<int>(i))
              ->set_used(load[i].used);
        }
        out->set_vpcs(row.vpcs);
        out->set_residual(federation::Residual(load));
        out->set_overloaded(federation::Utilization(load) >
                            federation::kOverloadedShare);
      });
  std::sort(response->mutable_instances()->begin(),
            response->mutable_instances()->end(),
            [](const auto& a, const auto& b) {
              return a.spec().id() < b.spec().id();
            });
  *response->mutable_position() = PositionOf(*image);
  return Answer(call, absl::OkStatus());
}

AdminService::Unary* AdminService::ReportInstance(
    Call* call, const v1::ReportInstanceRequest* request,
    v1::ReportInstanceResponse* response) {
  return Offload(call, [this, request, response]() -> absl::Status {
    auto image = context_.replica->image();
    if (!CheckReport(*request, *image).ok()) {
      // What it names may have just been added at another node.
      ASSIGN_OR_RETURN(image,
                       NewestImage(context_.log, *context_.replica, kReadWait));
      RETURN_IF_ERROR(CheckReport(*request, *image));
    }
    const auto row =
        image->Get<federation::Instance>(Table::kInstances, request->id());
    context_.loads->Set(request->id(),
                        {request->load().begin(), request->load().end()});
    const federation::LoadReports reports = context_.loads->Copy();
    response->set_overloaded(federation::Utilization(federation::LoadOf(
                                 request->id(), *row, reports)) >
                             federation::kOverloadedShare);
    if (response->overloaded()) {
      const std::vector<std::string> vpcs(request->vpcs().begin(),
                                          request->vpcs().end());
      ASSIGN_OR_RETURN(const Committed committed,
                       context_.writer->Run(
                           [&](Draft* draft) -> absl::StatusOr<std::string> {
                             v1::ReportInstanceResponse planned;
                             for (std::string& id : PlanRelieve(
                                      request->id(), vpcs, reports, draft)) {
                               *planned.add_moved() = std::move(id);
                             }
                             return planned.SerializeAsString();
                           }));
      v1::ReportInstanceResponse planned;
      planned.ParseFromString(committed.response);
      *response->mutable_moved() = planned.moved();
    }
    *response->mutable_position() = PositionOf(*context_.replica->image());
    return absl::OkStatus();
  });
}

AdminService::Unary* AdminService::ListSessions(
    Call* call, const v1::ListSessionsRequest*,
    v1::ListSessionsResponse* response) {
  const auto image = context_.replica->image();
  for (const SessionLease& lease : context_.leases->List()) {
    const auto row = image->Get<federation::Session>(
        Table::kSessions, KeyOf(federation::SessionId(lease.session_id)));
    if (!row) continue;
    v1::SessionStatus* out = response->add_sessions();
    out->set_session_id(lease.session_id);
    out->set_source(row->source);
    out->set_name(row->name);
    out->set_region(row->region);
    out->mutable_acknowledged()->set_incarnation(
        lease.acknowledged.incarnation);
    out->mutable_acknowledged()->set_index(lease.acknowledged.index.value());
    out->set_lease_remaining_ms(static_cast<uint64_t>(lease.remaining.count()));
    out->set_connected(lease.connected);
  }
  *response->mutable_position() = PositionOf(*image);
  return Answer(call, absl::OkStatus());
}

AdminService::Unary* AdminService::EndSession(
    Call* call, const v1::EndSessionRequest* request,
    v1::MutationResponse* response) {
  return Change(
      call, *request, response,
      [this, request](Draft* draft) -> absl::StatusOr<v1::MutationResponse> {
        const auto counts = context_.leases->LastCounts(request->session_id());
        RETURN_IF_ERROR(PlanCloseSession(request->session_id(), "", counts,
                                         "ended by operator", true, draft)
                            .status());
        return federation::Answer(
            *draft,
            "session " + std::to_string(request->session_id()) + " ended");
      },
      [this, id = request->session_id()] { context_.leases->Forget(id); });
}

}  // namespace kafed::controller
