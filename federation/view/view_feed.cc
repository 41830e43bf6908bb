#include "federation/view/view_feed.h"

#include <algorithm>

namespace kafed::federation {
namespace {

using Rows = google::protobuf::RepeatedPtrField<v1::Row>;

LogIndex ChangedAt(std::string_view value) {
  return LogIndex(ByteReader(value).Varint());
}

v1::SubClusterRow ViewOf(SubClusterId id, const SubCluster& row) {
  v1::SubClusterRow out;
  out.set_id(id.value());
  out.set_name(row.name);
  out.set_region(row.region);
  out.mutable_zones()->Assign(row.zones.begin(), row.zones.end());
  out.set_bootstrap_servers(row.bootstrap_servers);
  out.set_kafka_cluster_id(row.kafka_cluster_id);
  out.set_security_ref(row.security_ref);
  out.set_state(row.state);
  return out;
}

v1::TopicRow ViewOf(TopicId id, const Topic& row) {
  v1::TopicRow out;
  out.set_id(id.value());
  out.set_name(row.name);
  out.set_kind(row.kind);
  out.set_lease_ttl_ms(row.lease_ttl_ms);
  out.set_on_lease_end(row.on_lease_end);
  out.set_range_bits(row.range_bits);
  return out;
}

v1::KafkaTopicRow ViewOf(KafkaTopicId id, const KafkaTopic& row) {
  v1::KafkaTopicRow out;
  out.set_id(id.value());
  out.set_sub_cluster_id(row.sub_cluster.value());
  out.set_name(row.name);
  out.set_ready(row.state == KafkaTopicState::kReady);
  return out;
}

void FillPartition(std::string_view key, const Partition& row,
                   v1::PartitionRow* out) {
  ByteReader reader(key);
  out->set_topic_id(reader.Big32());
  out->set_partition(reader.Big32());
  for (const Segment& segment : row.chain) {
    *out->add_chain() = SegmentOf(segment);
  }
  out->set_low(row.low);
  out->set_high(row.high);
  out->mutable_parents()->Assign(row.parents.begin(), row.parents.end());
}

void FillKey(std::string_view key, const Binding& row, v1::KeyRow* out) {
  ByteReader reader(key);
  out->set_topic_id(reader.Big32());
  out->set_key(std::string(reader.rest()));
  for (const Binding::Target& target : row.targets) {
    out->add_partitions(target.partition.value());
  }
}

v1::Row RowOfBytes(Table table, std::string_view key, std::string_view value) {
  v1::Row row;
  const uint32_t id = ByteReader(key).Big32();
  switch (table) {
    case Table::kSubClusters:
      *row.mutable_sub_cluster() =
          ViewOf(SubClusterId(id), DecodeRow<SubCluster>(value));
      break;
    case Table::kTopics:
      *row.mutable_topic() = ViewOf(TopicId(id), DecodeRow<Topic>(value));
      break;
    case Table::kKafkaTopics:
      *row.mutable_kafka_topic() =
          ViewOf(KafkaTopicId(id), DecodeRow<KafkaTopic>(value));
      break;
    case Table::kPartitions:
      FillPartition(key, DecodeRow<Partition>(value), row.mutable_partition());
      break;
    default:
      FillKey(key, DecodeRow<Binding>(value), row.mutable_key());
  }
  return row;
}

}  // namespace

std::optional<v1::Row> RowOf(const Image& image, Table table,
                             std::string_view key) {
  const auto value = image.table(table).Find(key);
  if (!value) return std::nullopt;
  return RowOfBytes(table, key, *value);
}

v1::Row DeletedRow(Table table, std::string_view key) {
  v1::Row row;
  row.set_deleted(true);
  ByteReader reader(key);
  const uint32_t id = reader.Big32();
  switch (table) {
    case Table::kSubClusters:
      row.mutable_sub_cluster()->set_id(id);
      break;
    case Table::kTopics:
      row.mutable_topic()->set_id(id);
      break;
    case Table::kKafkaTopics:
      row.mutable_kafka_topic()->set_id(id);
      break;
    case Table::kPartitions:
      row.mutable_partition()->set_topic_id(id);
      row.mutable_partition()->set_partition(reader.Big32());
      break;
    default:
      row.mutable_key()->set_topic_id(id);
      row.mutable_key()->set_key(std::string(reader.rest()));
  }
  return row;
}

ViewFeed::ViewFeed(const v1::ViewFilter& filter, const ChangeLog* changes)
    : topics_(filter.topics().begin(), filter.topics().end()),
      regions_(filter.regions().begin(), filter.regions().end()),
      changes_(changes) {}

void ViewFeed::Begin(std::shared_ptr<const Image> image, const Position& have,
                     uint64_t have_nonce) {
  image_ = std::move(image);
  const ImageHead& head = image_->head();
  const bool known = have.index.valid() &&
                     have.incarnation == head.incarnation.counter &&
                     (have_nonce == 0 || have_nonce == head.incarnation.nonce);
  since_ = known ? have.index : LogIndex();
  full_ = !known || since_.value() < image_->counters().tombstone_floor;
  if (full_) since_ = LogIndex();
  table_ = Table::kSubClusters;
  cursor_ = 0;
  pending_.clear();
  next_pending_ = 0;
  scanning_ = full_;
  if (full_) return;
  absl::btree_set<ChangedRow> changed;
  if (!changes_->Collect(since_, head.index, &changed)) {
    scanning_ = true;
    return;
  }
  pending_.assign(changed.begin(), changed.end());
}

bool ViewFeed::PassesTopic(TopicId id) const {
  if (topics_.empty()) return true;
  const auto topic = image_->topic(id);
  return topic && topics_.contains(topic->name);
}

bool ViewFeed::PassesRegion(SubClusterId id) const {
  if (regions_.empty()) return true;
  const auto sub_cluster = image_->sub_cluster(id);
  return sub_cluster && regions_.contains(sub_cluster->region);
}

bool ViewFeed::PassesPartition(TopicId topic, PartitionNumber number) const {
  if (regions_.empty()) return true;
  const auto row = image_->partition(topic, number);
  return row && std::any_of(row->chain.begin(), row->chain.end(),
                            [&](const Segment& segment) {
                              return PassesRegion(segment.sub_cluster);
                            });
}

bool ViewFeed::Passes(Table table, std::string_view key,
                      std::string_view value) const {
  if (topics_.empty() && regions_.empty()) return true;
  ByteReader reader(key);
  const uint32_t id = reader.Big32();
  switch (table) {
    case Table::kSubClusters:
      return PassesRegion(SubClusterId(id));
    case Table::kTopics:
      return PassesTopic(TopicId(id));
    case Table::kKafkaTopics: {
      const auto row = DecodeRow<KafkaTopic>(value);
      return PassesTopic(row.topic) && PassesRegion(row.sub_cluster);
    }
    case Table::kPartitions:
      return PassesTopic(TopicId(id)) &&
             PassesPartition(TopicId(id), PartitionNumber(reader.Big32()));
    default: {
      if (!PassesTopic(TopicId(id))) return false;
      const auto row = DecodeRow<Binding>(value);
      return std::any_of(row.targets.begin(), row.targets.end(),
                         [&](const Binding::Target& target) {
                           return PassesPartition(TopicId(id),
                                                  target.partition);
                         });
    }
  }
}

void ViewFeed::AddRow(Table table, std::string_view key, Rows* rows) const {
  const auto value = image_->table(table).Find(key);
  if (value && Passes(table, key, *value)) {
    *rows->Add() = RowOfBytes(table, key, *value);
  } else {
    // Gone, or it left what the client wants: deleting twice does no harm.
    *rows->Add() = DeletedRow(table, key);
  }
}

bool ViewFeed::Next(size_t max_rows, Rows* rows) {
  if (scanning_) return NextOfScan(max_rows, rows);
  for (size_t i = 0; i < max_rows && next_pending_ < pending_.size(); ++i) {
    const ChangedRow& changed = pending_[next_pending_++];
    AddRow(changed.table, changed.key, rows);
  }
  return next_pending_ < pending_.size();
}

bool ViewFeed::NextOfScan(size_t max_rows, Rows* rows) {
  if (table_ == Table::kTombstones) return NextTombstones(max_rows, rows);
  cursor_ = image_->table(table_).Scan(
      cursor_, max_rows, [&](std::string_view key, std::string_view value) {
        if (ChangedAt(value) <= since_) return;
        if (Passes(table_, key, value)) {
          *rows->Add() = RowOfBytes(table_, key, value);
        } else if (!full_) {
          *rows->Add() = DeletedRow(table_, key);
        }
      });
  if (cursor_ != BlockTable::kEnd) return true;
  cursor_ = 0;
  if (table_ != Table::kBindings) {
    table_ = static_cast<Table>(static_cast<uint8_t>(table_) + 1);
    return true;
  }
  table_ = Table::kTombstones;
  return !full_;
}

bool ViewFeed::NextTombstones(size_t max_rows, Rows* rows) {
  cursor_ = image_->table(Table::kTombstones)
                .Scan(cursor_, max_rows,
                      [&](std::string_view key, std::string_view value) {
                        if (ChangedAt(value) <= since_) return;
                        *rows->Add() = DeletedRow(static_cast<Table>(key[0]),
                                                  key.substr(1));
                      });
  return cursor_ != BlockTable::kEnd;
}

}  // namespace kafed::federation
