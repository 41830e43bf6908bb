// The first record of an incarnation: what a restore does to the image.
//
// A backup is older than what the lost nodes had done since. Whatever they may
// have handed out after it must not come again with another meaning: epochs,
// versions and session numbers begin above anything that the former
// incarnation can have reached, new Kafka topics get names of their own, and
// partitions of resources that were free in the backup are given up.
#include <algorithm>

#include "federation/image/apply_family.h"
#include "federation/image/incarnation.h"

namespace kafed::federation {
namespace {

// The epoch of a segment in this incarnation: whoever may still write to it
// with its former one is told apart.
Epoch EpochNow(const Image& before, TopicId topic, PartitionNumber number,
               Epoch epoch, Epoch raised) {
  const auto row = before.partition(topic, number);
  const Segment* open = row ? row->Writable() : nullptr;
  return open != nullptr && open->epoch == epoch ? raised : epoch;
}

void RaiseEpochs(const Image& before, Epoch raised, Editor* editor) {
  before.table(Table::kSegmentTallies)
      .ForEach([&](std::string_view key, std::string_view value) {
        ByteReader reader(key);
        const TopicId topic(reader.Big32());
        const PartitionNumber number(reader.Big32());
        const Epoch epoch(reader.Big64());
        auto tally = DecodeRow<SegmentTally>(value);
        ++tally.unproven_sessions;  // what came after the backup is unknown
        editor->Erase(Table::kSegmentTallies, key);
        editor->Put(Table::kSegmentTallies,
                    KeyOf(topic, number,
                          EpochNow(before, topic, number, epoch, raised)),
                    tally);
      });
  before.table(Table::kPartitions)
      .ForEach([&](std::string_view key, std::string_view value) {
        auto row = DecodeRow<Partition>(value);
        if (row.Writable() == nullptr) return;
        row.chain.back().epoch = raised;
        editor->PutView(Table::kPartitions, key, row);
      });
}

uint64_t Raise(uint64_t version, uint64_t floor) {
  return floor + (version & UINT32_MAX);
}

// Agents ignore what looks older than what they have seen.
void RaiseVersions(const Image& before, Epoch raised, uint64_t floor,
                   Editor* editor) {
  before.table(Table::kVpcs)
      .ForEach([&](std::string_view key, std::string_view value) {
        auto row = DecodeRow<Vpc>(value);
        row.membership_version = Raise(row.membership_version, floor);
        row.owner_epoch = Raise(row.owner_epoch, floor);
        editor->Put(Table::kVpcs, key, row);
      });
  before.table(Table::kVpcMembers)
      .ForEach([&](std::string_view key, std::string_view value) {
        auto row = DecodeRow<VpcMember>(value);
        row.version = Raise(row.version, floor);
        for (VpcMember::From& from : row.from) {
          from.epoch =
              EpochNow(before, from.topic, from.partition, from.epoch, raised);
        }
        editor->Put(Table::kVpcMembers, key, row);
      });
  before.table(Table::kPendingMarkers)
      .ForEach([&](std::string_view key, std::string_view value) {
        auto row = DecodeRow<PendingMarker>(value);
        row.version = Raise(row.version, floor);
        editor->Put(Table::kPendingMarkers, key, row);
      });
}

void RenewGenerations(const Image& before, Editor* editor) {
  for (const auto& [id, topic] : before.Topics()) {
    Topic row = topic;
    row.generation = NextGeneration(editor->image(), topic.name);
    editor->PutName(GenerationName(row.name), row.generation);
    editor->PutView(Table::kTopics, KeyOf(id), row);
  }
}

// What is free here may have served a resource after the backup.
void GiveUpFreeResourcePartitions(const Image& before, Editor* editor) {
  before.table(Table::kKafkaTopics)
      .ForEach([&](std::string_view key, std::string_view value) {
        const auto kafka_topic = DecodeRow<KafkaTopic>(value);
        const auto topic = before.topic(kafka_topic.topic);
        if (!topic || topic->kind != v1::TOPIC_KIND_RESOURCE) return;
        auto slots = before.GetOr<Slots>(Table::kSlots, key);
        uint32_t given_up = 0;
        for (Slots::Slot& slot : slots.slots) {
          if (slot.partition_plus_1 == 0 || slot.charge != 0) continue;
          slot.charge = 1;
          ++given_up;
        }
        if (given_up == 0) return;
        editor->Put(Table::kSlots, key, slots);
        const std::string share_key =
            KeyOf(kafka_topic.topic, kafka_topic.sub_cluster);
        auto share = editor->image().GetOr<Share>(Table::kShares, share_key);
        share.charge += given_up;
        share.dead += given_up;
        std::erase(share.with_room, KafkaTopicId(ByteReader(key).Big32()));
        editor->Put(Table::kShares, share_key, share);
      });
}

void EraseAll(Table table, const Image& before, Editor* editor) {
  before.table(table).ForEach([&](std::string_view key, std::string_view) {
    editor->Erase(table, key);
  });
}

}  // namespace

uint32_t NextGeneration(const Image& image, std::string_view topic_name) {
  const uint32_t last = image.FindName(GenerationName(topic_name));
  const uint64_t counter = image.head().incarnation.counter;
  const auto floor = static_cast<uint32_t>(
      counter <= 1 ? 0 : counter * kGenerationsPerCounter);
  return std::max(last, floor) + 1;
}

absl::Status Apply(const v1::IncarnationBegan& record, Editor* editor) {
  const uint64_t counter = editor->head().incarnation.counter;
  if (record.reason() != kReasonRestore) return absl::OkStatus();
  const Image before = editor->image();
  const Epoch raised = FirstEpoch(counter);
  RaiseEpochs(before, raised, editor);
  RaiseVersions(before, raised, counter << 32, editor);
  RenewGenerations(before, editor);
  GiveUpFreeResourcePartitions(before, editor);
  // Nobody of the former incarnation is still there.
  EraseAll(Table::kSessions, before, editor);
  EraseAll(Table::kSessionSources, before, editor);
  EraseAll(Table::kNodes, before, editor);
  EraseAll(Table::kOffices, before, editor);
  Counters counters = before.counters();
  counters.next_session = (counter << 32) + 1;
  editor->Put(Table::kCounters, "", counters);
  return absl::OkStatus();
}

}  // namespace kafed::federation
