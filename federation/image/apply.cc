#include "federation/image/apply.h"

#include <xxhash.h>

#include <string>

#include "common/status_macros.h"
#include "federation/image/apply_family.h"

namespace kafed::federation {
namespace {

// Drops the head of a queue table while `expired` says so of its value.
template <typename Expired>
void DropWhile(Table queue, Table table, uint64_t* first, uint64_t next,
               Editor* editor, const Expired& expired) {
  while (*first < next) {
    const std::string sequence = KeyOf(*first);
    const auto entry = editor->image().table(queue).Find(sequence);
    const std::string key(entry.value_or(std::string_view()));
    if (!expired(key)) return;
    editor->Erase(table, key);
    editor->Erase(queue, sequence);
    ++*first;
  }
}

void DropExpired(Editor* editor) {
  const Counters before = editor->image().counters();
  Counters counters = before;
  const Image& image = editor->image();
  const uint64_t now = editor->time_ms();
  DropWhile(
      Table::kRequestQueue, Table::kRequests, &counters.request_first,
      counters.request_next, editor, [&](const std::string& id) {
        const auto row = image.GetOr<CompletedRequest>(Table::kRequests, id);
        return row.time_ms + kRequestWindowMs < now ||
               counters.request_next - counters.request_first > kMaxRequests;
      });
  DropWhile(Table::kFormerQueue, Table::kFormerBindings, &counters.former_first,
            counters.former_next, editor, [&](const std::string& key) {
              const auto row =
                  image.GetOr<FormerBinding>(Table::kFormerBindings, key);
              return row.removed_ms + kFormerBindingMs < now;
            });
  if (counters.request_first != before.request_first ||
      counters.former_first != before.former_first) {
    editor->Put(Table::kCounters, "", counters);
  }
}

}  // namespace

absl::Status DoesNotApply(std::string_view record, std::string_view why) {
  return absl::InternalError(std::string(record) + ": " + std::string(why));
}

uint64_t HashHeader(const v1::EntryHeader& header) {
  const std::string bytes = header.SerializeAsString();
  return XXH3_64bits(bytes.data(), bytes.size());
}

absl::Status BeginEntry(const v1::EntryHeader& header, uint64_t header_hash,
                        Editor* editor) {
  ImageHead& head = editor->head();
  const v1::Position& position = header.position();
  const bool same = position.incarnation() == head.incarnation.counter &&
                    position.nonce() == head.incarnation.nonce;
  const bool newer = position.incarnation() > head.incarnation.counter;
  if ((!same && !newer) || position.index() != head.index.value() + 1) {
    return DoesNotApply(
        "EntryHeader", "entry " + std::to_string(position.incarnation()) + ":" +
                           std::to_string(position.index()) +
                           " does not follow " + ToString(head.position()));
  }
  if (header.predecessor_hash() != head.header_hash) {
    return DoesNotApply("EntryHeader", "entry " +
                                           std::to_string(position.index()) +
                                           " names another predecessor");
  }
  if (header.feature_level() > kFeatureLevel) {
    return DoesNotApply(
        "EntryHeader",
        "feature level " + std::to_string(header.feature_level()) +
            " is above the highest this version supports, " +
            std::to_string(kFeatureLevel) + "; run a newer version");
  }
  if (header.time_ms() < head.time_ms) {
    return DoesNotApply("EntryHeader", "time goes back");
  }
  head.incarnation = {position.incarnation(), position.nonce()};
  head.index = LogIndex(position.index());
  head.header_hash = header_hash;
  head.time_ms = header.time_ms();
  head.feature_level = header.feature_level();
  DropExpired(editor);
  return absl::OkStatus();
}

#define KAFED_APPLY(kCase, field) \
  case v1::Record::kCase:         \
    return Apply(record.field(), editor)

absl::Status ApplyRecord(const v1::Record& record, Editor* editor) {
  switch (record.fact_case()) {
    case v1::Record::kFeatureLevelRaised:
      if (record.feature_level_raised().level() > kFeatureLevel) {
        return DoesNotApply(
            "FeatureLevelRaised",
            "level " + std::to_string(record.feature_level_raised().level()) +
                " is above the highest this version supports, " +
                std::to_string(kFeatureLevel) + "; run a newer version");
      }
      editor->head().feature_level = record.feature_level_raised().level();
      return absl::OkStatus();
      KAFED_APPLY(kIncarnationBegan, incarnation_began);
      KAFED_APPLY(kNodeRegistered, node_registered);
      KAFED_APPLY(kNodeRemoved, node_removed);
      KAFED_APPLY(kCoordinatorElected, coordinator_elected);
      KAFED_APPLY(kSubClusterAdded, sub_cluster_added);
      KAFED_APPLY(kSubClusterUpdated, sub_cluster_updated);
      KAFED_APPLY(kSubClusterRemoved, sub_cluster_removed);
      KAFED_APPLY(kSubClusterStateChanged, sub_cluster_state_changed);
      KAFED_APPLY(kLogicalTopicCreated, logical_topic_created);
      KAFED_APPLY(kLogicalTopicDeleted, logical_topic_deleted);
      KAFED_APPLY(kKafkaTopicPlanned, kafka_topic_planned);
      KAFED_APPLY(kKafkaTopicCreated, kafka_topic_created);
      KAFED_APPLY(kKafkaTopicDeleted, kafka_topic_deleted);
      KAFED_APPLY(kKafkaTopicDriftFound, kafka_topic_drift_found);
      KAFED_APPLY(kHashRangeAssigned, hash_range_assigned);
      KAFED_APPLY(kSegmentOpened, segment_opened);
      KAFED_APPLY(kSegmentClosing, segment_closing);
      KAFED_APPLY(kSegmentSealed, segment_sealed);
      KAFED_APPLY(kSegmentOrphaned, segment_orphaned);
      KAFED_APPLY(kSegmentRetired, segment_retired);
      KAFED_APPLY(kHostAdded, host_added);
      KAFED_APPLY(kHostRemoved, host_removed);
      KAFED_APPLY(kKeyBound, key_bound);
      KAFED_APPLY(kKeyUnbound, key_unbound);
      KAFED_APPLY(kVpcCreated, vpc_created);
      KAFED_APPLY(kVpcDeleted, vpc_deleted);
      KAFED_APPLY(kVpcHostsAdded, vpc_hosts_added);
      KAFED_APPLY(kVpcHostsRemoved, vpc_hosts_removed);
      KAFED_APPLY(kMarkersWritten, markers_written);
      KAFED_APPLY(kResourceAdded, resource_added);
      KAFED_APPLY(kResourceRemoved, resource_removed);
      KAFED_APPLY(kInstanceAdded, instance_added);
      KAFED_APPLY(kInstanceRemoved, instance_removed);
      KAFED_APPLY(kVpcOwnerChanged, vpc_owner_changed);
      KAFED_APPLY(kSessionOpened, session_opened);
      KAFED_APPLY(kSessionClosed, session_closed);
      KAFED_APPLY(kRequestCompleted, request_completed);
      KAFED_APPLY(kOperationProgressed, operation_progressed);
    case v1::Record::FACT_NOT_SET:
      break;
  }
  return DoesNotApply("Record", "of a type this version does not know");
}

#undef KAFED_APPLY

absl::Status ApplyEntry(const v1::Entry& entry, Image* image,
                        std::vector<ChangedRow>* changes) {
  const bool begins = entry.header().position().incarnation() !=
                      image->head().incarnation.counter;
  const bool says_so =
      !entry.records().empty() && entry.records(0).has_incarnation_began();
  if (begins != says_so) {
    return DoesNotApply("IncarnationBegan",
                        "must be the first record of an incarnation");
  }
  Editor editor(image, changes);
  RETURN_IF_ERROR(
      BeginEntry(entry.header(), HashHeader(entry.header()), &editor));
  for (const v1::Record& record : entry.records()) {
    RETURN_IF_ERROR(ApplyRecord(record, &editor));
  }
  return absl::OkStatus();
}

}  // namespace kafed::federation
