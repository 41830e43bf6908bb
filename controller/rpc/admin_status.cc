// Status, explanations and snapshots.
#include <unistd.h>

#include <deque>
#include <fstream>
#include <set>

#include "absl/time/time.h"
#include "common/snapshot_container.h"
#include "common/status_macros.h"
#include "controller/rpc/admin_service.h"
#include "controller/rpc/chunk_reactor.h"
#include "controller/rpc/router.h"
#include "controller/rpc/status_conversion.h"
#include "controller/version.h"
#include "federation/image/entry_codec.h"
#include "federation/image/image_io.h"
#include "federation/image/limits.h"
#include "federation/plan/validate.h"
#include "federation/view/view_feed.h"

namespace kafed::controller {

using federation::Image;
using federation::SubClusterId;
using federation::Table;
using federation::Topic;
using federation::TopicId;

namespace {

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t total = 0;
  uint64_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// What happens to a topic's keys if the sub-clusters in `lost` are gone.
void AddHeadroom(const Image& image, TopicId topic_id, const Topic& topic,
                 const std::string& loss, const std::set<SubClusterId>& lost,
                 const std::string& region, v1::StatusResponse* response) {
  uint64_t keys = 0;
  uint64_t room = 0;
  for (const auto& [id, row] : image.SubClusters()) {
    if (row.region != region) continue;
    const uint64_t used = image.share(topic_id, id).charge;
    if (lost.contains(id)) {
      keys += used;
      continue;
    }
    const auto limits = EffectiveLimits(topic, row);
    const uint64_t capacity =
        Capacity(limits) * limits.failover_permille / 1000;
    room += capacity > used ? capacity - used : 0;
  }
  if (keys == 0) return;
  v1::Headroom* out = response->add_headroom();
  out->set_topic(topic.name);
  out->set_loss(loss);
  out->set_keys(keys);
  out->set_room(room);
}

void AddHeadrooms(const Image& image, v1::StatusResponse* response) {
  const auto sub_clusters = image.SubClusters();
  // Sub-clusters that are in one zone only are lost with it.
  std::map<std::pair<std::string, std::string>, std::set<SubClusterId>> zones;
  for (const auto& [id, row] : sub_clusters) {
    if (row.zones.size() == 1) zones[{row.region, row.zones[0]}].insert(id);
  }
  for (const auto& [topic_id, topic] : image.Topics()) {
    if (topic.kind == v1::TOPIC_KIND_HASHED) continue;
    for (const auto& [id, row] : sub_clusters) {
      AddHeadroom(image, topic_id, topic, "sub-cluster " + row.name, {id},
                  row.region, response);
    }
    for (const auto& [zone, lost] : zones) {
      AddHeadroom(image, topic_id, topic, "zone " + zone.second, lost,
                  zone.first, response);
    }
  }
}

// The record that bound the key, from the log.
absl::StatusOr<v1::KeyBound> FindDecision(metastore::SharedLog* log,
                                          LogIndex index, TopicId topic,
                                          std::string_view key) {
  ASSIGN_OR_RETURN(const auto entries, log->Read(index, 1));
  if (entries.empty()) return absl::NotFoundError("the entry is gone");
  ASSIGN_OR_RETURN(const v1::Entry entry,
                   federation::DecodeEntry(entries.front().payload));
  for (const v1::Record& record : entry.records()) {
    if (record.has_key_bound() &&
        record.key_bound().topic_id() == topic.value() &&
        record.key_bound().key() == key) {
      return record.key_bound();
    }
  }
  return absl::NotFoundError("the entry holds no binding of this key");
}

void ExplainDecision(const absl::StatusOr<v1::KeyBound>& bound,
                     v1::ExplainResponse* response) {
  if (!bound.ok()) {
    response->add_lines("the numbers of the decision are not kept any more: " +
                        std::string(bound.status().message()));
    return;
  }
  const v1::PlacementReason& reason = bound->reason();
  response->add_lines(
      "chosen among " + std::to_string(reason.candidates()) +
      " sub-clusters of the region: it had the largest residual capacity, " +
      std::to_string(reason.used()) + " of " + std::to_string(reason.limit()) +
      " keys used at weight " + std::to_string(reason.weight()));
  response->add_lines(reason.spilled()
                          ? "the wanted zone was full: another zone was taken"
                          : "it is in the wanted zone, or none was wanted");
  response->add_lines(
      "the partition was the emptiest with room in the oldest "
      "Kafka topic with room: it held " +
      std::to_string(reason.partition_keys()) + " keys before");
}

// A snapshot made from one image.
class SnapshotReactor final : public ChunkReactor<v1::SnapshotChunk> {
 public:
  SnapshotReactor(const RpcContext& context, grpc::CallbackServerContext* call,
                  bool route_view)
      : ChunkReactor(context, call), route_view_(route_view) {}

 private:
  absl::Status Produce() override {
    const auto image = context().replica->image();
    SnapshotWriter writer([this](std::string_view bytes) {
      v1::SnapshotChunk chunk;
      chunk.set_data(std::string(bytes));
      return Send(std::move(chunk));
    });
    RETURN_IF_ERROR(route_view_ ? WriteView(image, &writer)
                                : WriteImage(*image, &writer));
    return writer.Finish().status();
  }

  static absl::Status WriteImage(const Image& image, SnapshotWriter* writer) {
    RETURN_IF_ERROR(writer->Begin(federation::HeaderOf(image)));
    return federation::AddRows(image, writer);
  }

  static absl::Status WriteView(const std::shared_ptr<const Image>& image,
                                SnapshotWriter* writer) {
    v1::ViewHeader header;
    *header.mutable_position() = PositionOf(*image);
    header.set_time_ms(image->head().time_ms);
    RETURN_IF_ERROR(
        writer->Begin({SnapshotKind::kRouteView, header.SerializeAsString()}));
    const federation::ChangeLog none;
    federation::ViewFeed feed({}, &none);
    feed.Begin(image, {}, 0);
    bool more = true;
    while (more) {
      google::protobuf::RepeatedPtrField<v1::Row> rows;
      more = feed.Next(kDefaultPage, &rows);
      for (const v1::Row& row : rows) {
        RETURN_IF_ERROR(writer->Add(static_cast<uint8_t>(row.row_case()), "",
                                    row.SerializeAsString()));
      }
    }
    return absl::OkStatus();
  }

  const bool route_view_;
};

}  // namespace

AdminService::Unary* AdminService::Explain(Call* call,
                                           const v1::ExplainRequest* request,
                                           v1::ExplainResponse* response) {
  return Offload(call, [this, request, response]() -> absl::Status {
    const auto image = context_.replica->image();
    v1::RouteResult route;
    RouteKey(*image, request->key(), &route);
    if (route.error_code() != 0) {
      return absl::Status(static_cast<absl::StatusCode>(route.error_code()),
                          route.error());
    }
    ASSIGN_OR_RETURN(const federation::Key key,
                     federation::ParseKey(request->key()));
    const TopicId id = image->FindTopic(key.topic);
    const Topic topic = *image->topic(id);
    for (const v1::RouteTarget& target : route.targets()) {
      response->add_lines(
          request->key() + " is on partition " + topic.name + "/" +
          std::to_string(target.partition()) + ": Kafka topic " +
          target.kafka_topic() + ", Kafka partition " +
          std::to_string(target.kafka_partition()) + " of sub-cluster " +
          target.sub_cluster() + ", epoch " + std::to_string(target.epoch()));
    }
    *response->mutable_position() = PositionOf(*image);
    if (topic.kind == v1::TOPIC_KIND_HASHED) {
      response->add_lines(
          "the partition owns the range of the key's hash; "
          "nothing is recorded for a single key");
      return absl::OkStatus();
    }
    const auto binding = image->binding(id, key.id);
    if (!binding) return absl::OkStatus();
    *response->mutable_decided_at() = PositionOf(*image);
    response->mutable_decided_at()->set_index(binding->changed_at.value());
    ExplainDecision(FindDecision(context_.log, binding->changed_at, id, key.id),
                    response);
    return absl::OkStatus();
  });
}

AdminService::Unary* AdminService::Status(Call* call, const v1::StatusRequest*,
                                          v1::StatusResponse* response) {
  return Offload(call, [this, response]() -> absl::Status {
    const auto image = context_.replica->image();
    *response->mutable_position() = PositionOf(*image);
    response->set_node_id(context_.node_id);
    response->set_version(kVersion);
    response->set_feature_level(image->head().feature_level);
    response->set_image_hash(federation::ToString(image->Hash()));
    response->set_uptime_ms(static_cast<uint64_t>(
        (context_.clock->Steady() - context_.started_at).count()));
    ASSIGN_OR_RETURN(const LogIndex first, context_.log->FirstKept());
    response->set_log_first_index(first.value());
    for (int i = 0; i < federation::kTables; ++i) {
      const auto table = static_cast<Table>(i);
      v1::TableStatus* out = response->add_tables();
      out->set_table(std::string(federation::TableName(table)));
      out->set_rows(image->table(table).size());
    }
    for (const auto& [id, row] : image->SubClusters()) {
      *response->add_sub_clusters() = StatusOf(*image, id, row);
    }
    AddHeadrooms(*image, response);
    response->set_followers(context_.followers());
    response->set_sessions(
        static_cast<uint32_t>(image->table(Table::kSessions).size()));
    response->set_pending_markers(image->table(Table::kPendingMarkers).size());
    response->set_memory_bytes(ResidentBytes());
    response->set_health(context_.health());
    response->set_log_backend(context_.log_backend);
    response->set_lag_ms(LagMs(context_));
    return absl::OkStatus();
  });
}

grpc::ServerWriteReactor<v1::SnapshotChunk>* AdminService::SaveSnapshot(
    Call* call, const v1::SaveSnapshotRequest* request) {
  auto* reactor = new SnapshotReactor(context_, call, request->route_view());
  reactor->Start();
  return reactor;
}

}  // namespace kafed::controller
