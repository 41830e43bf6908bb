// Sessions with their counts, requests and operations.
#include <string>

#include "federation/image/apply_family.h"

namespace kafed::federation {

absl::Status Apply(const v1::SessionOpened& record, Editor* editor) {
  const SessionId id(record.session_id());
  Counters counters = editor->image().counters();
  if (record.session_id() != counters.next_session) {
    return DoesNotApply("SessionOpened", "its id is not the next one");
  }
  ++counters.next_session;
  editor->Put(Table::kCounters, "", counters);
  Session row;
  row.source = record.source();
  row.name = record.name();
  row.region = record.region();
  row.ttl_ms = record.ttl_ms();
  row.opened_ms = editor->time_ms();
  editor->Put(Table::kSessions, KeyOf(id), row);
  std::string number;
  PutVarint(id.value(), &number);
  editor->PutBytes(Table::kSessionSources, record.source(), number);
  return absl::OkStatus();
}

absl::Status Apply(const v1::SessionClosed& record, Editor* editor) {
  const SessionId id(record.session_id());
  const Image& image = editor->image();
  const auto row = image.Get<Session>(Table::kSessions, KeyOf(id));
  if (!row) return DoesNotApply("SessionClosed", "no such session");
  for (const v1::SegmentCount& count : record.counts()) {
    const std::string key =
        KeyOf(TopicId(count.topic_id()), PartitionNumber(count.partition()),
              Epoch(count.epoch()));
    auto tally = image.GetOr<SegmentTally>(Table::kSegmentTallies, key);
    tally.acknowledged += count.acknowledged();
    tally.possibly_persisted += count.possibly_persisted();
    tally.unproven_sessions += record.unproven() ? 1 : 0;
    editor->Put(Table::kSegmentTallies, key, tally);
  }
  editor->Erase(Table::kSessions, KeyOf(id));
  editor->Erase(Table::kSessionSources, row->source);
  return absl::OkStatus();
}

absl::Status Apply(const v1::RequestCompleted& record, Editor* editor) {
  CompletedRequest row;
  row.time_ms = editor->time_ms();
  row.response = record.response();
  row.fingerprint = record.fingerprint();
  editor->Put(Table::kRequests, record.request_id(), row);
  Counters counters = editor->image().counters();
  editor->PutBytes(Table::kRequestQueue, KeyOf(counters.request_next++),
                   record.request_id());
  editor->Put(Table::kCounters, "", counters);
  return absl::OkStatus();
}

absl::Status Apply(const v1::OperationProgressed& record, Editor* editor) {
  if (record.done() >= record.total()) {
    editor->Erase(Table::kOperations, record.operation_id());
    return absl::OkStatus();
  }
  Operation row;
  row.name = record.name();
  row.done = record.done();
  row.total = record.total();
  row.failure = record.failure();
  row.fingerprint = record.fingerprint();
  editor->Put(Table::kOperations, record.operation_id(), row);
  return absl::OkStatus();
}

}  // namespace kafed::federation
