// Sub-clusters and nodes.
#include <algorithm>

#include "common/status_macros.h"
#include "federation/image/apply_family.h"
#include "federation/image/limits.h"
#include "federation/image/spec_fields.h"

namespace kafed::federation {
namespace {

// Limits may have changed: which Kafka topics have room is found anew.
void RefreshRoom(SubClusterId id, Editor* editor) {
  const Image image = editor->image();
  const SubCluster sub_cluster = *image.sub_cluster(id);
  for (const auto& [topic_id, topic] : image.Topics()) {
    const LimitsFields limits = EffectiveLimits(topic, sub_cluster);
    if (limits.keys_per_partition == 0) continue;
    Share share = image.share(topic_id, id);
    share.with_room.clear();
    image.table(Table::kKafkaTopics)
        .ForEach([&, topic_key = topic_id](std::string_view key,
                                           std::string_view value) {
          const auto row = DecodeRow<KafkaTopic>(value);
          if (row.topic != topic_key || row.sub_cluster != id ||
              row.state == KafkaTopicState::kDoomed) {
            return;
          }
          const auto slots = image.GetOr<Slots>(Table::kSlots, key);
          if (std::any_of(slots.slots.begin(), slots.slots.end(),
                          [&](const Slots::Slot& slot) {
                            return slot.charge < limits.keys_per_partition;
                          })) {
            share.with_room.emplace_back(ByteReader(key).Big32());
          }
        });
    std::sort(share.with_room.begin(), share.with_room.end());
    if (share.kafka_topics != 0) {
      editor->Put(Table::kShares, KeyOf(topic_id, id), share);
    }
  }
}

}  // namespace

absl::Status Apply(const v1::NodeRegistered& record, Editor* editor) {
  NodeRow row;
  row.address = record.address();
  row.feature_level = record.feature_level();
  row.version = record.version();
  row.region = record.region();
  editor->Put(Table::kNodes, KeyOf(uint64_t{record.node_id()}), row);
  return absl::OkStatus();
}

absl::Status Apply(const v1::NodeRemoved& record, Editor* editor) {
  const std::string key = KeyOf(uint64_t{record.node_id()});
  if (!editor->image().table(Table::kNodes).Find(key)) {
    return DoesNotApply("NodeRemoved", "the node is not registered");
  }
  editor->Erase(Table::kNodes, key);
  return absl::OkStatus();
}

absl::Status Apply(const v1::CoordinatorElected& record, Editor* editor) {
  const auto former =
      editor->image().GetOr<Office>(Table::kOffices, kCoordinatorOffice);
  if (record.epoch() != former.epoch + 1) {
    return DoesNotApply("CoordinatorElected", "its epoch is not the next one");
  }
  editor->Put(Table::kOffices, kCoordinatorOffice,
              Office{record.node_id(), record.epoch()});
  return absl::OkStatus();
}

absl::Status Apply(const v1::SubClusterAdded& record, Editor* editor) {
  const SubClusterId id(record.id());
  Counters counters = editor->image().counters();
  if (record.id() != counters.next_sub_cluster) {
    return DoesNotApply("SubClusterAdded", "its id is not the next one");
  }
  if (editor->image().FindSubCluster(record.spec().name()).valid()) {
    return DoesNotApply("SubClusterAdded",
                        record.spec().name() + " exists already");
  }
  ++counters.next_sub_cluster;
  editor->Put(Table::kCounters, "", counters);
  SubCluster row;
  SetSpec(record.spec(), &row);
  row.kafka_cluster_id = row.expected_kafka_cluster_id;
  editor->PutName(SubClusterName(row.name), record.id());
  editor->PutView(Table::kSubClusters, KeyOf(id), row);
  return absl::OkStatus();
}

absl::Status Apply(const v1::SubClusterUpdated& record, Editor* editor) {
  const SubClusterId id(record.id());
  auto row = editor->image().sub_cluster(id);
  if (!row) return DoesNotApply("SubClusterUpdated", "no such sub-cluster");
  SetSpec(record.spec(), &*row);
  editor->PutView(Table::kSubClusters, KeyOf(id), *row);
  RefreshRoom(id, editor);
  return absl::OkStatus();
}

absl::Status Apply(const v1::SubClusterRemoved& record, Editor* editor) {
  const SubClusterId id(record.id());
  const auto row = editor->image().sub_cluster(id);
  if (!row) return DoesNotApply("SubClusterRemoved", "no such sub-cluster");
  editor->Erase(Table::kNames, SubClusterName(row->name));
  editor->EraseView(Table::kSubClusters, KeyOf(id));
  const Image before = editor->image();
  before.table(Table::kKafkaTopics)
      .ForEach([&](std::string_view key, std::string_view value) {
        const auto kafka_topic = DecodeRow<KafkaTopic>(value);
        if (kafka_topic.sub_cluster != id) return;
        DropPartitions(kafka_topic.topic, KafkaTopicId(ByteReader(key).Big32()),
                       editor);
        editor->EraseView(Table::kKafkaTopics, key);
        if (kafka_topic.state == KafkaTopicState::kDoomed) return;
        auto counters = editor->image().topic_counters(kafka_topic.topic);
        --counters.kafka_topics;
        if (kafka_topic.state == KafkaTopicState::kReady) {
          --counters.kafka_topics_ready;
        }
        editor->Put(Table::kTopicCounters, KeyOf(kafka_topic.topic), counters);
      });
  for (const auto& [topic, unused] : before.Topics()) {
    editor->Erase(Table::kShares, KeyOf(topic, id));
  }
  return absl::OkStatus();
}

absl::Status Apply(const v1::SubClusterStateChanged& record, Editor* editor) {
  const SubClusterId id(record.id());
  auto row = editor->image().sub_cluster(id);
  if (!row)
    return DoesNotApply("SubClusterStateChanged", "no such sub-cluster");
  row->state = record.state();
  row->brokers = record.brokers();
  row->reason = record.reason();
  if (row->kafka_cluster_id.empty()) {
    row->kafka_cluster_id = record.kafka_cluster_id();
  }
  editor->PutView(Table::kSubClusters, KeyOf(id), *row);
  return absl::OkStatus();
}

}  // namespace kafed::federation
