#include <algorithm>
#include <set>
#include <tuple>

#include "common/status_macros.h"
#include "federation/image/entry_codec.h"
#include "federation/plan/planners.h"
#include "federation/plan/validate.h"

namespace kafed::federation {
namespace {

using Counts = std::span<const v1::SegmentCount>;

std::string NameOf(const v1::SegmentCount& count) {
  return "topic " + std::to_string(count.topic_id()) + ", partition " +
         std::to_string(count.partition()) + ", epoch " +
         std::to_string(count.epoch());
}

// Whether there is such a segment.
bool IsSegment(const v1::SegmentCount& count, const Image& image) {
  const auto partition = image.partition(TopicId(count.topic_id()),
                                         PartitionNumber(count.partition()));
  return partition &&
         std::any_of(partition->chain.begin(), partition->chain.end(),
                     [&](const Segment& segment) {
                       return segment.epoch.value() == count.epoch();
                     });
}

// Whether there can have been such a segment: its topic was deleted since, or
// it is of a former incarnation, of which a backup may know nothing.
bool MayHaveBeen(const v1::SegmentCount& count, const Image& image) {
  const uint64_t of_counter = count.epoch() >> 32;
  const uint64_t counter = image.head().incarnation.counter;
  if (of_counter == 0 || of_counter > counter) return false;
  if (of_counter < counter) return true;
  const TopicId topic(count.topic_id());
  if (!topic.valid() || topic.value() >= image.counters().next_topic) {
    return false;
  }
  if (!image.topic(topic)) return true;
  const auto partition =
      image.partition(topic, PartitionNumber(count.partition()));
  if (!partition || partition->chain.empty()) {
    return count.partition() < image.topic_counters(topic).next_partition;
  }
  return count.epoch() < partition->chain.back().epoch.value();
}

absl::Status CheckCounts(Counts counts, const Image& image) {
  std::set<std::tuple<uint32_t, uint32_t, uint64_t>> seen;
  for (const v1::SegmentCount& count : counts) {
    if (!IsSegment(count, image) && !MayHaveBeen(count, image)) {
      return absl::InvalidArgumentError("counts: there is no segment of " +
                                        NameOf(count));
    }
    if (!seen.emplace(count.topic_id(), count.partition(), count.epoch())
             .second) {
      return absl::InvalidArgumentError("counts: the segment of " +
                                        NameOf(count) + " is given twice");
    }
  }
  return absl::OkStatus();
}

size_t LoggedBytes(const v1::Record& record) {
  const size_t bytes = record.ByteSizeLong();
  // What packs well must still be unpacked.
  if (bytes <= kMaxCountBytes || bytes > kMaxDecodedEntryBytes / 2) {
    return bytes;
  }
  v1::Entry entry;
  *entry.add_records() = record;
  return EncodeEntry(entry).size();
}

// Leaves out what an entry can't hold: who does not close the session must
// still get rid of it.
void LeaveOutCounts(v1::Record* record) {
  v1::SessionClosed& closed = *record->mutable_session_closed();
  const int all = closed.counts_size();
  while (LoggedBytes(*record) > kMaxCountBytes) {
    const int kept = closed.counts_size() / 2;
    closed.mutable_counts()->DeleteSubrange(kept, closed.counts_size() - kept);
  }
  const int left_out = all - closed.counts_size();
  if (left_out == 0) return;
  closed.set_reason(closed.reason() + ", without the counts of " +
                    Counted(static_cast<uint64_t>(left_out), "segment"));
}

}  // namespace

absl::StatusOr<v1::OpenSessionResponse> PlanOpenSession(
    const v1::OpenSessionRequest& request, uint32_t ttl_ms,
    uint32_t message_timeout_ms, Draft* draft) {
  if (request.source().size() != sizeof(Source)) {
    return absl::InvalidArgumentError("source: has " +
                                      std::to_string(request.source().size()) +
                                      " bytes, expected 16");
  }
  if (request.source() == std::string(sizeof(Source), '\0')) {
    return absl::InvalidArgumentError(
        "source: is all zero; expected 16 random bytes");
  }
  if (!request.name().empty()) {
    RETURN_IF_ERROR(ValidateId("name", request.name()));
  }
  if (!request.region().empty()) {
    RETURN_IF_ERROR(ValidateName("region", request.region()));
  }
  v1::OpenSessionResponse response;
  response.set_ttl_ms(ttl_ms);
  response.set_message_timeout_ms(message_timeout_ms);
  const auto existing =
      draft->image().table(Table::kSessionSources).Find(request.source());
  if (existing) {
    // A retry after a lost answer.
    response.set_session_id(ByteReader(*existing).Varint());
    *response.mutable_position() = draft->position_proto();
    return response;
  }
  v1::Record record;
  v1::SessionOpened& opened = *record.mutable_session_opened();
  opened.set_session_id(draft->image().counters().next_session);
  opened.set_source(request.source());
  opened.set_name(request.name());
  opened.set_region(request.region());
  opened.set_ttl_ms(ttl_ms);
  response.set_session_id(opened.session_id());
  draft->Add(std::move(record));
  *response.mutable_position() = draft->position_proto();
  return response;
}

absl::StatusOr<Position> PlanCloseSession(
    uint64_t session_id, std::string_view source,
    std::span<const v1::SegmentCount> counts, std::string_view reason,
    bool unproven, Draft* draft) {
  const auto session = draft->image().Get<Session>(
      Table::kSessions, KeyOf(SessionId(session_id)));
  if (!session) {
    return absl::NotFoundError("session_id: there is no session " +
                               std::to_string(session_id) +
                               "; see `kafedctl session list`");
  }
  if (!source.empty() && source != session->source) {
    return absl::PermissionDeniedError("source: session " +
                                       std::to_string(session_id) +
                                       " belongs to another producer");
  }
  v1::Record record;
  v1::SessionClosed& closed = *record.mutable_session_closed();
  closed.set_session_id(session_id);
  closed.set_reason(std::string(reason));
  closed.set_unproven(unproven);
  if (!unproven) RETURN_IF_ERROR(CheckCounts(counts, draft->image()));
  for (const v1::SegmentCount& count : counts) {
    if (IsSegment(count, draft->image())) *closed.add_counts() = count;
  }
  if (unproven) {
    LeaveOutCounts(&record);
  } else if (const size_t bytes = LoggedBytes(record); bytes > kMaxCountBytes) {
    return absl::InvalidArgumentError(
        "counts: the " + std::to_string(counts.size()) + " given take " +
        std::to_string(bytes) + " bytes in the log, at most " +
        std::to_string(kMaxCountBytes) +
        " are allowed; without a close the session ends with its lease");
  }
  draft->Add(std::move(record));
  return draft->position();
}

}  // namespace kafed::federation
