#include "federation/view/route_view.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/bytes.h"
#include "common/murmur2.h"

namespace kafed::federation {
namespace {

// Of the buckets of a hashed topic; nodes use fewer.
constexpr uint32_t kMaxRangeBits = 20;

struct ViewPartition {
  std::vector<Segment> chain;
  uint32_t low = 0;
  uint32_t high = 0;
  std::vector<uint32_t> parents;
  template <typename A>
  void Fields(A& a) {
    a(chain, low, high, parents);
  }
};

struct KeyPartitions {
  std::vector<uint32_t> partitions;
  template <typename A>
  void Fields(A& a) {
    a(partitions);
  }
};

std::string NumberKey(uint32_t number) {
  std::string key;
  PutBig32(number, &key);
  return key;
}

std::string PairKey(uint32_t a, uint32_t b) {
  std::string key;
  PutBig32(a, &key);
  PutBig32(b, &key);
  return key;
}

// Topic id and key in a buffer of its own: no allocation on look-ups.
class KeyBuffer {
 public:
  KeyBuffer() {}  // NOLINT: bytes that are not set are not read
  KeyBuffer(TopicId topic, std::string_view id) { Set(topic, id); }
  void Set(TopicId topic, std::string_view id) {
    size_ = std::min(id.size(), bytes_.size() - 4);
    const uint32_t number = topic.value();
    const std::array<char, 4> head = {
        static_cast<char>(number >> 24), static_cast<char>(number >> 16),
        static_cast<char>(number >> 8), static_cast<char>(number)};
    std::memcpy(bytes_.data(), head.data(), 4);
    std::memcpy(bytes_.data() + 4, id.data(), size_);
  }
  std::string_view view() const { return {bytes_.data(), size_ + 4}; }

 private:
  std::array<char, 260> bytes_;
  size_t size_;
};

// The partition of a key that has one, from the bytes of its KeyPartitions.
std::optional<PartitionNumber> OnlyPartition(std::string_view bytes) {
  ByteReader reader(bytes);
  if (reader.Varint() != 1) return std::nullopt;
  return PartitionNumber(reader.Varint32());
}

}  // namespace

RouteView::RouteView() : small_(std::make_shared<Small>()) {}

absl::Status RouteView::Apply(const v1::Row& row) {
  switch (row.row_case()) {
    case v1::Row::kSubCluster: {
      auto small = std::make_shared<Small>(*small_);
      if (row.deleted()) {
        small->sub_clusters.erase(row.sub_cluster().id());
      } else {
        small->sub_clusters[row.sub_cluster().id()] = row.sub_cluster();
      }
      small_ = std::move(small);
      return absl::OkStatus();
    }
    case v1::Row::kTopic:
      if (row.topic().range_bits() > kMaxRangeBits) {
        return absl::InvalidArgumentError(
            "row.topic.range_bits: is " +
            std::to_string(row.topic().range_bits()) + ", at most " +
            std::to_string(kMaxRangeBits) + " are possible");
      }
      ApplyTopic(row.topic(), row.deleted());
      return absl::OkStatus();
    case v1::Row::kKafkaTopic:
      ApplyKafkaTopic(row.kafka_topic(), row.deleted());
      return absl::OkStatus();
    case v1::Row::kPartition:
      ApplyPartition(row.partition(), row.deleted());
      return absl::OkStatus();
    case v1::Row::kKey:
      ApplyKey(row.key(), row.deleted());
      return absl::OkStatus();
    case v1::Row::ROW_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      "row: has no content, or is of a kind this version does not know");
}

void RouteView::ApplyTopic(const v1::TopicRow& row, bool deleted) {
  auto small = std::make_shared<Small>(*small_);
  const auto old = small->topics.find(row.id());
  if (old != small->topics.end()) {
    const auto id = small->topic_ids.find(old->second.name());
    if (id != small->topic_ids.end() && id->second == row.id()) {
      small->topic_ids.erase(id);
    }
    if (deleted) {
      for (uint32_t b = 0; old->second.kind() == v1::TOPIC_KIND_HASHED &&
                           b < (1u << old->second.range_bits());
           ++b) {
        buckets_.Erase(PairKey(row.id(), b));
      }
      small->topics.erase(old);
      writable_.Edit(row.id()) = {};
    }
  }
  if (!deleted) {
    small->topic_ids[row.name()] = row.id();
    small->topics[row.id()] = row;
  }
  small_ = std::move(small);
}

void RouteView::ApplyKafkaTopic(const v1::KafkaTopicRow& row, bool deleted) {
  const std::string key = NumberKey(row.id());
  if (deleted) {
    kafka_topics_.Erase(key);
  } else {
    kafka_topics_.Put(key, row.SerializeAsString());
  }
  ready_.Edit(row.id()) = !deleted && row.ready() ? 1 : 0;
}

void RouteView::ApplyPartition(const v1::PartitionRow& row, bool deleted) {
  const std::string key = PairKey(row.topic_id(), row.partition());
  Segment& writable = writable_.Edit(row.topic_id()).Edit(row.partition());
  if (deleted) {
    partitions_.Erase(key);
    writable = Segment();
    return;
  }
  ViewPartition partition;
  for (const v1::Segment& segment : row.chain()) {
    partition.chain.push_back(FieldsOf(segment));
  }
  partition.low = row.low();
  partition.high = row.high();
  partition.parents.assign(row.parents().begin(), row.parents().end());
  partitions_.Put(key, EncodeRow(partition));
  const Segment* newest = WritableOf(partition.chain);
  writable = newest == nullptr ? Segment() : *newest;
  const v1::TopicRow* topic = this->topic(TopicId(row.topic_id()));
  if (topic == nullptr || topic->kind() != v1::TOPIC_KIND_HASHED) return;
  if (row.high() == 0) return;  // no range yet
  for (uint32_t b = BucketOf(row.low(), topic->range_bits());
       b <= BucketOf(row.high(), topic->range_bits()); ++b) {
    HashBucket bucket;
    const std::string bucket_key = PairKey(row.topic_id(), b);
    if (const auto bytes = buckets_.Find(bucket_key)) {
      bucket = DecodeRow<HashBucket>(*bytes);
    }
    AssignRange(row.low(), row.high(), row.partition(), &bucket);
    buckets_.Put(bucket_key, EncodeRow(bucket));
  }
}

void RouteView::ApplyKey(const v1::KeyRow& row, bool deleted) {
  const KeyBuffer key(TopicId(row.topic_id()), row.key());
  if (deleted) {
    keys_.Erase(key.view());
    return;
  }
  KeyPartitions value;
  value.partitions.assign(row.partitions().begin(), row.partitions().end());
  keys_.Put(key.view(), EncodeRow(value));
}

absl::StatusOr<std::vector<Target>> RouteView::Route(
    std::string_view key) const {
  const size_t slash = key.find('/');
  const std::string_view name = key.substr(0, slash);
  if (slash == std::string_view::npos) {
    return absl::InvalidArgumentError("key: '" + std::string(key) +
                                      "' has no topic; expected TOPIC/ID");
  }
  const TopicId id = FindTopic(name);
  if (!id.valid()) {
    return absl::NotFoundError("key: no topic is called '" + std::string(name) +
                               "'");
  }
  return Route(id, key.substr(slash + 1));
}

absl::StatusOr<std::vector<Target>> RouteView::Route(
    TopicId id, std::string_view key) const {
  const v1::TopicRow* row = topic(id);
  if (row == nullptr) return absl::NotFoundError("key: no such topic");
  std::vector<Target> targets;
  if (row->kind() == v1::TOPIC_KIND_MULTICAST) {
    const auto bytes = keys_.Find(KeyBuffer(id, key).view());
    if (bytes) {
      for (const uint32_t number :
           DecodeRow<KeyPartitions>(*bytes).partitions) {
        Target target;
        if (!Resolve(id, PartitionNumber(number), &target)) break;
        targets.push_back(target);
      }
    }
  } else if (Target target; RouteOne(id, key, &target)) {
    targets.push_back(target);
  }
  if (targets.empty()) {
    return absl::NotFoundError("key: '" + row->name() + "/" + std::string(key) +
                               "' is not bound");
  }
  return targets;
}

bool RouteView::RouteOne(TopicId id, std::string_view key,
                         Target* target) const {
  const auto bytes = keys_.Find(KeyBuffer(id, key).view());
  const auto number = bytes ? OnlyPartition(*bytes) : OwnerOfHash(id, key);
  return number && Resolve(id, *number, target);
}

size_t RouteView::RouteMany(TopicId id, std::span<const std::string_view> ids,
                            std::span<Target> targets) const {
  constexpr size_t kGroup = 16;
  std::array<KeyBuffer, kGroup> buffers;
  std::array<std::string_view, kGroup> keys;
  std::array<std::optional<std::string_view>, kGroup> values;
  std::array<std::optional<PartitionNumber>, kGroup> numbers;
  std::array<const Segment*, kGroup> segments;
  size_t found = 0;
  for (size_t base = 0; base < ids.size(); base += kGroup) {
    const size_t count = std::min(kGroup, ids.size() - base);
    for (size_t i = 0; i < count; ++i) {
      buffers[i].Set(id, ids[base + i]);
      keys[i] = buffers[i].view();
    }
    keys_.FindMany({keys.data(), count}, {values.data(), count});
    for (size_t i = 0; i < count; ++i) {
      numbers[i] = values[i] ? OnlyPartition(*values[i])
                             : OwnerOfHash(id, ids[base + i]);
      segments[i] = numbers[i] ? WritableAt(id, *numbers[i]) : nullptr;
      if (segments[i] == nullptr) continue;
      __builtin_prefetch(segments[i]);  // which may lie in two lines
      __builtin_prefetch(&segments[i]->end_offset);
    }
    for (size_t i = 0; i < count; ++i) {
      Target& target = targets[base + i];
      if (numbers[i] && FillTarget(id, *numbers[i], segments[i], &target)) {
        ++found;
      } else {
        target = Target();
      }
    }
  }
  return found;
}

std::optional<PartitionNumber> RouteView::OwnerOfHash(
    TopicId id, std::string_view key) const {
  const v1::TopicRow* row = topic(id);
  if (row == nullptr || row->kind() != v1::TOPIC_KIND_HASHED) {
    return std::nullopt;
  }
  const uint32_t hash = KeyHash(key);
  const auto bucket =
      buckets_.Find(PairKey(id.value(), BucketOf(hash, row->range_bits())));
  if (!bucket) return std::nullopt;
  return OwnerOf(DecodeRow<HashBucket>(*bucket), hash);
}

const Segment* RouteView::WritableAt(TopicId id, PartitionNumber number) const {
  const RadixArray<Segment>* partitions = writable_.Find(id.value());
  return partitions == nullptr ? nullptr : partitions->Find(number.value());
}

bool RouteView::FillTarget(TopicId id, PartitionNumber number,
                           const Segment* writable, Target* target) const {
  if (writable == nullptr || !writable->epoch.valid()) return false;
  const uint8_t* ready = ready_.Find(writable->kafka_topic.value());
  target->topic = id;
  target->partition = number;
  target->segment = *writable;
  target->ready = ready != nullptr && *ready != 0;
  return true;
}

bool RouteView::Resolve(TopicId id, PartitionNumber number,
                        Target* target) const {
  return FillTarget(id, number, WritableAt(id, number), target);
}

TopicId RouteView::FindTopic(std::string_view name) const {
  const auto at =
      small_->topic_ids.find(absl::string_view(name.data(), name.size()));
  return at == small_->topic_ids.end() ? TopicId() : TopicId(at->second);
}

const v1::TopicRow* RouteView::topic(TopicId id) const {
  const auto at = small_->topics.find(id.value());
  return at == small_->topics.end() ? nullptr : &at->second;
}

const v1::SubClusterRow* RouteView::sub_cluster(SubClusterId id) const {
  const auto at = small_->sub_clusters.find(id.value());
  return at == small_->sub_clusters.end() ? nullptr : &at->second;
}

std::optional<v1::KafkaTopicRow> RouteView::kafka_topic(KafkaTopicId id) const {
  const auto bytes = kafka_topics_.Find(NumberKey(id.value()));
  v1::KafkaTopicRow row;
  if (!bytes ||
      !row.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) {
    return std::nullopt;
  }
  return row;
}

std::optional<v1::PartitionRow> RouteView::partition(
    TopicId id, PartitionNumber number) const {
  const auto bytes = partitions_.Find(PairKey(id.value(), number.value()));
  if (!bytes) return std::nullopt;
  const auto stored = DecodeRow<ViewPartition>(*bytes);
  v1::PartitionRow row;
  row.set_topic_id(id.value());
  row.set_partition(number.value());
  for (const Segment& segment : stored.chain) {
    *row.add_chain() = SegmentOf(segment);
  }
  row.set_low(stored.low);
  row.set_high(stored.high);
  row.mutable_parents()->Assign(stored.parents.begin(), stored.parents.end());
  return row;
}

std::vector<const v1::TopicRow*> RouteView::topics() const {
  std::vector<const v1::TopicRow*> rows;
  for (const auto& [id, row] : small_->topics) rows.push_back(&row);
  std::sort(rows.begin(), rows.end(),
            [](const auto* a, const auto* b) { return a->id() < b->id(); });
  return rows;
}

std::vector<const v1::SubClusterRow*> RouteView::sub_clusters() const {
  std::vector<const v1::SubClusterRow*> rows;
  for (const auto& [id, row] : small_->sub_clusters) rows.push_back(&row);
  std::sort(rows.begin(), rows.end(),
            [](const auto* a, const auto* b) { return a->id() < b->id(); });
  return rows;
}

std::vector<PartitionNumber> RouteView::PartitionsOf(TopicId id) const {
  std::vector<PartitionNumber> numbers;
  partitions_.ForEach([&](std::string_view key, std::string_view) {
    ByteReader reader(key);
    if (reader.Big32() == id.value()) numbers.emplace_back(reader.Big32());
  });
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

void RouteView::ForEachRow(
    const std::function<void(const v1::Row&)>& visit) const {
  v1::Row row;
  for (const v1::SubClusterRow* each : sub_clusters()) {
    *row.mutable_sub_cluster() = *each;
    visit(row);
  }
  for (const v1::TopicRow* each : topics()) {
    *row.mutable_topic() = *each;
    visit(row);
  }
  kafka_topics_.ForEach([&](std::string_view key, std::string_view) {
    *row.mutable_kafka_topic() =
        *kafka_topic(KafkaTopicId(ByteReader(key).Big32()));
    visit(row);
  });
  partitions_.ForEach([&](std::string_view key, std::string_view) {
    ByteReader reader(key);
    const TopicId topic(reader.Big32());
    *row.mutable_partition() =
        *partition(topic, PartitionNumber(reader.Big32()));
    visit(row);
  });
  keys_.ForEach([&](std::string_view key, std::string_view value) {
    ByteReader reader(key);
    v1::KeyRow& each = *row.mutable_key();
    each.Clear();
    each.set_topic_id(reader.Big32());
    each.set_key(std::string(reader.rest()));
    for (const uint32_t number : DecodeRow<KeyPartitions>(value).partitions) {
      each.add_partitions(number);
    }
    visit(row);
  });
}

size_t RouteView::MemoryBytes() const {
  return kafka_topics_.MemoryBytes() + partitions_.MemoryBytes() +
         keys_.MemoryBytes() + buckets_.MemoryBytes() +
         writable_.MemoryBytes() + ready_.MemoryBytes();
}

TableDigest RouteView::Digest() const {
  TableDigest sum = kafka_topics_.digest();
  sum.Add(partitions_.digest());
  sum.Add(keys_.digest());
  for (const auto& [id, row] : small_->sub_clusters) {
    sum.Add(DigestRow(NumberKey(id), row.SerializeAsString()));
  }
  for (const auto& [id, row] : small_->topics) {
    sum.Add(DigestRow(NumberKey(id) + "t", row.SerializeAsString()));
  }
  return sum;
}

}  // namespace kafed::federation
