// Hosts, resources and the bindings of keys.
#include <algorithm>
#include <string>

#include "common/status_macros.h"
#include "federation/image/apply_family.h"
#include "federation/image/limits.h"
#include "federation/image/slots.h"

namespace kafed::federation {
namespace {

// Adds `delta` to the charge of the slot and the share a partition sits in,
// and keeps the list of Kafka topics with room.
absl::Status Charge(TopicId topic_id, const Topic& topic,
                    const Partition& partition, int64_t delta, Editor* editor) {
  const Image& image = editor->image();
  const Segment* segment = partition.Writable();
  if (segment == nullptr) return absl::OkStatus();  // sealed: nothing to count
  const std::string slots_key = KeyOf(segment->kafka_topic);
  std::string slots(
      image.table(Table::kSlots).Find(slots_key).value_or(std::string_view()));
  uint32_t charge = 0;
  if (!AddCharge(segment->kafka_partition, delta, &slots, &charge)) {
    return DoesNotApply("KeyBound", "the Kafka partition has no slot");
  }
  editor->PutBytes(Table::kSlots, slots_key, slots);

  const std::string share_key = KeyOf(topic_id, segment->sub_cluster);
  auto share = image.GetOr<Share>(Table::kShares, share_key);
  share.charge =
      static_cast<uint64_t>(static_cast<int64_t>(share.charge) + delta);
  const uint32_t limit =
      EffectiveLimits(topic, *image.sub_cluster(segment->sub_cluster))
          .keys_per_partition;
  const bool room = charge < limit || HasRoom(slots, limit);
  const auto at = std::lower_bound(share.with_room.begin(),
                                   share.with_room.end(), segment->kafka_topic);
  const bool listed =
      at != share.with_room.end() && *at == segment->kafka_topic;
  if (room && !listed) share.with_room.insert(at, segment->kafka_topic);
  if (!room && listed) share.with_room.erase(at);
  editor->Put(Table::kShares, share_key, share);
  return absl::OkStatus();
}

uint32_t ChargeOf(const v1::KeyBound& record, const Segment& segment,
                  const Image& image) {
  if (!record.exclusive()) return 1;
  return EffectiveLimits(*image.topic(TopicId(record.topic_id())),
                         *image.sub_cluster(segment.sub_cluster))
      .keys_per_partition;
}

void CountKeys(TopicId id, int64_t delta, Editor* editor) {
  auto counters = editor->image().topic_counters(id);
  counters.keys =
      static_cast<uint64_t>(static_cast<int64_t>(counters.keys) + delta);
  editor->Put(Table::kTopicCounters, KeyOf(id), counters);
}

void RememberFormer(TopicId topic, const std::string& key,
                    PartitionNumber partition, Editor* editor) {
  FormerBinding former;
  former.partition = partition;
  former.removed_ms = editor->time_ms();
  const std::string row_key = KeyOf(topic, key);
  editor->Put(Table::kFormerBindings, row_key, former);
  Counters counters = editor->image().counters();
  editor->PutBytes(Table::kFormerQueue, KeyOf(counters.former_next++), row_key);
  editor->Put(Table::kCounters, "", counters);
}

}  // namespace

absl::Status Apply(const v1::HostAdded& record, Editor* editor) {
  const v1::HostSpec& spec = record.host();
  if (editor->image().host(spec.id())) {
    return DoesNotApply("HostAdded", spec.id() + " exists already");
  }
  Host row;
  row.region = spec.region();
  row.zone = spec.zone();
  row.labels.assign(spec.labels().begin(), spec.labels().end());
  std::sort(row.labels.begin(), row.labels.end());
  editor->Put(Table::kHosts, spec.id(), row);
  return absl::OkStatus();
}

absl::Status Apply(const v1::HostRemoved& record, Editor* editor) {
  const auto row = editor->image().host(record.id());
  if (!row) return DoesNotApply("HostRemoved", "no such host");
  if (!row->vpcs.empty()) {
    return DoesNotApply("HostRemoved", "it is still a member of a VPC");
  }
  editor->Erase(Table::kHosts, record.id());
  return absl::OkStatus();
}

absl::Status Apply(const v1::KeyBound& record, Editor* editor) {
  const TopicId topic_id(record.topic_id());
  const PartitionNumber number(record.partition());
  const Image& image = editor->image();
  const auto topic = image.topic(topic_id);
  const auto partition = image.partition(topic_id, number);
  if (!topic || !partition || partition->Writable() == nullptr) {
    return DoesNotApply("KeyBound", "no such topic or writable partition");
  }
  const Segment segment = *partition->Writable();
  const std::string binding_key = KeyOf(topic_id, record.key());
  auto binding = image.GetOr<Binding>(Table::kBindings, binding_key);
  const SubClusterId home(record.home_sub_cluster_id());
  for (const Binding::Target& target : binding.targets) {
    if (target.home == home) {
      return DoesNotApply("KeyBound", record.key() + " is bound already");
    }
  }
  const uint32_t charge = ChargeOf(record, segment, image);
  if (binding.targets.empty()) CountKeys(topic_id, 1, editor);
  binding.targets.push_back({number, home, charge});
  editor->PutView(Table::kBindings, binding_key, binding);

  const std::string keys_key = KeyOf(topic_id, number);
  auto keys = image.GetOr<PartitionKeys>(Table::kPartitionKeys, keys_key);
  keys.keys.push_back(record.key());
  editor->Put(Table::kPartitionKeys, keys_key, keys);

  if (topic->kind == v1::TOPIC_KIND_UNICAST) {
    auto host = image.host(record.key());
    if (!host) return DoesNotApply("KeyBound", "no such host");
    if (!host->home.valid()) {
      host->home = segment.sub_cluster;
      editor->Put(Table::kHosts, record.key(), *host);
    }
  }
  return Charge(topic_id, *topic, *partition, charge, editor);
}

absl::Status Apply(const v1::KeyUnbound& record, Editor* editor) {
  const TopicId topic_id(record.topic_id());
  const PartitionNumber number(record.partition());
  const Image& image = editor->image();
  const auto topic = image.topic(topic_id);
  const auto partition = image.partition(topic_id, number);
  const std::string binding_key = KeyOf(topic_id, record.key());
  auto binding = image.Get<Binding>(Table::kBindings, binding_key);
  if (!topic || !partition || !binding) {
    return DoesNotApply("KeyUnbound", "no such binding");
  }
  const auto target = std::find_if(
      binding->targets.begin(), binding->targets.end(),
      [&](const Binding::Target& each) { return each.partition == number; });
  if (target == binding->targets.end()) {
    return DoesNotApply("KeyUnbound", "it is not bound to this partition");
  }
  const uint32_t charge = target->charge;
  binding->targets.erase(target);
  if (binding->targets.empty()) {
    editor->EraseView(Table::kBindings, binding_key);
    CountKeys(topic_id, -1, editor);
  } else {
    editor->PutView(Table::kBindings, binding_key, *binding);
  }
  const std::string keys_key = KeyOf(topic_id, number);
  auto keys = image.GetOr<PartitionKeys>(Table::kPartitionKeys, keys_key);
  std::erase(keys.keys, record.key());
  if (keys.keys.empty()) {
    editor->Erase(Table::kPartitionKeys, keys_key);
  } else {
    editor->Put(Table::kPartitionKeys, keys_key, keys);
  }
  if (topic->kind == v1::TOPIC_KIND_UNICAST) {
    RememberFormer(topic_id, record.key(), number, editor);
  }
  // A resource's partition stays charged: it is never used for another.
  if (topic->kind == v1::TOPIC_KIND_RESOURCE) return absl::OkStatus();
  return Charge(topic_id, *topic, *partition, -static_cast<int64_t>(charge),
                editor);
}

absl::Status Apply(const v1::ResourceAdded& record, Editor* editor) {
  Resource row;
  row.region = record.region();
  row.zone = record.zone();
  editor->Put(Table::kResources, KeyOf(TopicId(record.topic_id()), record.id()),
              row);
  return absl::OkStatus();
}

absl::Status Apply(const v1::ResourceRemoved& record, Editor* editor) {
  const TopicId topic(record.topic_id());
  const auto binding = editor->image().binding(topic, record.id());
  if (!binding || binding->targets.empty()) {
    return DoesNotApply("ResourceRemoved", "no such resource");
  }
  const PartitionNumber number = binding->targets.front().partition;
  v1::KeyUnbound unbound;
  unbound.set_topic_id(record.topic_id());
  unbound.set_key(record.id());
  unbound.set_partition(number.value());
  RETURN_IF_ERROR(Apply(unbound, editor));
  const auto partition = editor->image().partition(topic, number);
  if (const Segment* segment = partition->Writable(); segment != nullptr) {
    const std::string key = KeyOf(topic, segment->sub_cluster);
    auto share = editor->image().GetOr<Share>(Table::kShares, key);
    ++share.dead;
    editor->Put(Table::kShares, key, share);
  }
  editor->Erase(Table::kResources, KeyOf(topic, record.id()));
  return absl::OkStatus();
}

}  // namespace kafed::federation
