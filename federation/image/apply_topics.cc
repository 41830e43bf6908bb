// Logical topics, Kafka topics, partitions and their chains.
#include <algorithm>
#include <string>

#include "common/murmur2.h"
#include "common/status_macros.h"
#include "federation/image/apply_family.h"
#include "federation/image/limits.h"
#include "federation/image/segment_state.h"
#include "federation/image/spec_fields.h"

namespace kafed::federation {
namespace {

absl::Status ChangeSegment(std::string_view record, uint32_t topic,
                           uint32_t partition, uint64_t epoch,
                           v1::SegmentState to, uint64_t end_offset,
                           Editor* editor) {
  const std::string key = KeyOf(TopicId(topic), PartitionNumber(partition));
  auto row = editor->image().Get<Partition>(Table::kPartitions, key);
  if (!row) return DoesNotApply(record, "no such partition");
  for (Segment& segment : row->chain) {
    if (segment.epoch != Epoch(epoch)) continue;
    if (!IsValidTransition(segment.state, to)) {
      return DoesNotApply(record,
                          "from " + v1::SegmentState_Name(segment.state));
    }
    segment.state = to;
    if (to == v1::SEGMENT_STATE_SEALED) segment.end_offset = end_offset;
    editor->PutView(Table::kPartitions, key, *row);
    return absl::OkStatus();
  }
  return DoesNotApply(record, "no segment of this epoch");
}

}  // namespace

void DropPartitions(TopicId topic, KafkaTopicId id, Editor* editor) {
  const auto slots = editor->image().GetOr<Slots>(Table::kSlots, KeyOf(id));
  for (const Slots::Slot& slot : slots.slots) {
    if (slot.partition_plus_1 == 0) continue;
    const std::string key =
        KeyOf(topic, PartitionNumber(slot.partition_plus_1 - 1));
    const auto keys =
        editor->image().GetOr<PartitionKeys>(Table::kPartitionKeys, key);
    for (const std::string& bound : keys.keys) {
      if (editor->image().binding(topic, bound)) {
        editor->EraseView(Table::kBindings, KeyOf(topic, bound));
      }
      editor->Erase(Table::kResources, KeyOf(topic, bound));
    }
    editor->Erase(Table::kPartitionKeys, key);
    editor->EraseView(Table::kPartitions, key);
  }
  editor->Erase(Table::kSlots, KeyOf(id));
}

absl::Status Apply(const v1::LogicalTopicCreated& record, Editor* editor) {
  const TopicId id(record.id());
  Counters counters = editor->image().counters();
  if (record.id() != counters.next_topic) {
    return DoesNotApply("LogicalTopicCreated", "its id is not the next one");
  }
  ++counters.next_topic;
  editor->Put(Table::kCounters, "", counters);
  Topic row;
  SetSpec(record.spec(), &row);
  row.generation = record.generation();
  row.range_bits = record.range_bits();
  editor->PutName(TopicName(row.name), record.id());
  editor->PutName(GenerationName(row.name), record.generation());
  editor->PutView(Table::kTopics, KeyOf(id), row);
  editor->Put(Table::kTopicCounters, KeyOf(id), TopicCounters());
  return absl::OkStatus();
}

absl::Status Apply(const v1::LogicalTopicDeleted& record, Editor* editor) {
  const TopicId id(record.id());
  const Image before = editor->image();
  const auto topic = before.topic(id);
  if (!topic) return DoesNotApply("LogicalTopicDeleted", "no such topic");
  before.table(Table::kKafkaTopics)
      .ForEach([&](std::string_view key, std::string_view value) {
        auto row = DecodeRow<KafkaTopic>(value);
        if (row.topic != id) return;
        DropPartitions(id, KafkaTopicId(ByteReader(key).Big32()), editor);
        row.state = KafkaTopicState::kDoomed;
        editor->PutView(Table::kKafkaTopics, key, row);
      });
  for (const auto& [sub_cluster, unused] : before.SubClusters()) {
    editor->Erase(Table::kShares, KeyOf(id, sub_cluster));
  }
  for (uint32_t i = 0;
       topic->kind == v1::TOPIC_KIND_HASHED && i < (1u << topic->range_bits);
       ++i) {
    editor->Erase(Table::kHashBuckets, KeyOf(id, i));
  }
  editor->Erase(Table::kTopicCounters, KeyOf(id));
  editor->Erase(Table::kNames, TopicName(topic->name));
  editor->EraseView(Table::kTopics, KeyOf(id));
  return absl::OkStatus();
}

absl::Status Apply(const v1::KafkaTopicPlanned& record, Editor* editor) {
  const KafkaTopicId id(record.id());
  const TopicId topic_id(record.topic_id());
  const SubClusterId sub_cluster_id(record.sub_cluster_id());
  const Image& image = editor->image();
  const auto topic = image.topic(topic_id);
  const auto sub_cluster = image.sub_cluster(sub_cluster_id);
  Counters counters = image.counters();
  TopicCounters topic_counters = image.topic_counters(topic_id);
  if (!topic || !sub_cluster || record.id() != counters.next_kafka_topic ||
      record.number() != topic_counters.next_kafka_topic ||
      record.first_partition() != topic_counters.next_partition) {
    return DoesNotApply("KafkaTopicPlanned",
                        "its topic, sub-cluster or numbers are not as planned");
  }
  ++counters.next_kafka_topic;
  editor->Put(Table::kCounters, "", counters);
  ++topic_counters.next_kafka_topic;
  ++topic_counters.kafka_topics;
  topic_counters.next_partition += record.partitions();
  editor->Put(Table::kTopicCounters, KeyOf(topic_id), topic_counters);

  KafkaTopic row;
  row.topic = topic_id;
  row.sub_cluster = sub_cluster_id;
  row.name = topic->name + ".g" + std::to_string(topic->generation) + "." +
             std::to_string(record.number());
  row.partitions = record.partitions();
  editor->PutView(Table::kKafkaTopics, KeyOf(id), row);

  Slots slots;
  for (uint32_t i = 0; i < record.partitions(); ++i) {
    const PartitionNumber number(record.first_partition() + i);
    slots.slots.push_back({number.value() + 1, 0});
    Partition partition;
    partition.chain.push_back({.sub_cluster = sub_cluster_id,
                               .kafka_topic = id,
                               .kafka_partition = i,
                               .epoch = Epoch(record.epoch())});
    editor->PutView(Table::kPartitions, KeyOf(topic_id, number), partition);
  }
  editor->Put(Table::kSlots, KeyOf(id), slots);

  Share share = image.share(topic_id, sub_cluster_id);
  ++share.kafka_topics;
  if (EffectiveLimits(*topic, *sub_cluster).keys_per_partition != 0) {
    share.with_room.push_back(id);
  }
  editor->Put(Table::kShares, KeyOf(topic_id, sub_cluster_id), share);
  return absl::OkStatus();
}

absl::Status Apply(const v1::KafkaTopicCreated& record, Editor* editor) {
  const KafkaTopicId id(record.id());
  auto row = editor->image().kafka_topic(id);
  if (!row) return DoesNotApply("KafkaTopicCreated", "no such Kafka topic");
  row->replication = record.replication();
  if (row->state == KafkaTopicState::kPlanned) {
    row->state = KafkaTopicState::kReady;
    auto counters = editor->image().topic_counters(row->topic);
    ++counters.kafka_topics_ready;
    editor->Put(Table::kTopicCounters, KeyOf(row->topic), counters);
  }
  editor->PutView(Table::kKafkaTopics, KeyOf(id), *row);
  return absl::OkStatus();
}

absl::Status Apply(const v1::KafkaTopicDeleted& record, Editor* editor) {
  const KafkaTopicId id(record.id());
  const auto row = editor->image().kafka_topic(id);
  if (!row || row->state != KafkaTopicState::kDoomed) {
    return DoesNotApply("KafkaTopicDeleted", "it is not doomed");
  }
  editor->EraseView(Table::kKafkaTopics, KeyOf(id));
  return absl::OkStatus();
}

absl::Status Apply(const v1::KafkaTopicDriftFound& record, Editor* editor) {
  const KafkaTopicId id(record.id());
  auto row = editor->image().kafka_topic(id);
  if (!row) return DoesNotApply("KafkaTopicDriftFound", "no such Kafka topic");
  row->drift = record.drift();
  // Clients do not see drift: the row is not stamped.
  editor->Put(Table::kKafkaTopics, KeyOf(id), *row);
  return absl::OkStatus();
}

absl::Status Apply(const v1::HashRangeAssigned& record, Editor* editor) {
  const TopicId id(record.topic_id());
  const PartitionNumber number(record.partition());
  const Image& image = editor->image();
  const auto topic = image.topic(id);
  auto partition = image.partition(id, number);
  if (!topic || !partition || record.low() > record.high() ||
      record.high() >= kHashSpace) {
    return DoesNotApply("HashRangeAssigned", "no such partition or range");
  }
  partition->low = record.low();
  partition->high = record.high();
  partition->parents.assign(record.parents().begin(), record.parents().end());
  editor->PutView(Table::kPartitions, KeyOf(id, number), *partition);
  for (uint32_t b = BucketOf(record.low(), topic->range_bits);
       b <= BucketOf(record.high(), topic->range_bits); ++b) {
    auto bucket = image.GetOr<HashBucket>(Table::kHashBuckets, KeyOf(id, b));
    AssignRange(record.low(), record.high(), record.partition(), &bucket);
    editor->Put(Table::kHashBuckets, KeyOf(id, b), bucket);
  }
  return absl::OkStatus();
}

absl::Status Apply(const v1::SegmentOpened& record, Editor* editor) {
  const std::string key =
      KeyOf(TopicId(record.topic_id()), PartitionNumber(record.partition()));
  auto row = editor->image().Get<Partition>(Table::kPartitions, key);
  if (!row) return DoesNotApply("SegmentOpened", "no such partition");
  const Segment segment = FieldsOf(record.segment());
  if (row->Writable() != nullptr ||
      (!row->chain.empty() && segment.epoch <= row->chain.back().epoch)) {
    return DoesNotApply("SegmentOpened",
                        "the chain has a writable segment or a later epoch");
  }
  row->chain.push_back(segment);
  editor->PutView(Table::kPartitions, key, *row);
  return absl::OkStatus();
}

absl::Status Apply(const v1::SegmentClosing& record, Editor* editor) {
  return ChangeSegment("SegmentClosing", record.topic_id(), record.partition(),
                       record.epoch(), v1::SEGMENT_STATE_CLOSING, 0, editor);
}

absl::Status Apply(const v1::SegmentSealed& record, Editor* editor) {
  return ChangeSegment("SegmentSealed", record.topic_id(), record.partition(),
                       record.epoch(), v1::SEGMENT_STATE_SEALED,
                       record.end_offset(), editor);
}

absl::Status Apply(const v1::SegmentOrphaned& record, Editor* editor) {
  return ChangeSegment("SegmentOrphaned", record.topic_id(), record.partition(),
                       record.epoch(), v1::SEGMENT_STATE_ORPHANED, 0, editor);
}

absl::Status Apply(const v1::SegmentRetired& record, Editor* editor) {
  return ChangeSegment("SegmentRetired", record.topic_id(), record.partition(),
                       record.epoch(), v1::SEGMENT_STATE_RETIRED, 0, editor);
}

}  // namespace kafed::federation
