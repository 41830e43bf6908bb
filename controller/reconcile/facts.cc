#include "controller/reconcile/facts.h"

#include "common/log.h"

namespace kafed::controller {
namespace {

using federation::Draft;
using federation::Image;
using federation::KafkaTopicId;
using federation::KafkaTopicState;
using federation::KeyOf;
using federation::PendingMarker;
using federation::Table;

v1::MarkersWritten StillPending(const v1::MarkersWritten& written,
                                const Image& image) {
  v1::MarkersWritten left = written;
  left.clear_hosts();
  for (const std::string& host : written.hosts()) {
    const auto marker = image.Get<PendingMarker>(Table::kPendingMarkers,
                                                 KeyOf(written.vpc(), host));
    if (marker && marker->version <= written.membership_version()) {
      left.add_hosts(host);
    }
  }
  return left;
}

bool InState(const Image& image, uint32_t id, KafkaTopicState state) {
  const auto row = image.kafka_topic(KafkaTopicId(id));
  return row && row->state == state;
}

// The part of the fact that applies; no fact set: nothing does.
v1::Record Applicable(const v1::Record& fact, const Image& image) {
  v1::Record record;
  switch (fact.fact_case()) {
    case v1::Record::kKafkaTopicCreated:
      if (InState(image, fact.kafka_topic_created().id(),
                  KafkaTopicState::kPlanned)) {
        record = fact;
      }
      return record;
    case v1::Record::kKafkaTopicDeleted:
      if (InState(image, fact.kafka_topic_deleted().id(),
                  KafkaTopicState::kDoomed)) {
        record = fact;
      }
      return record;
    case v1::Record::kKafkaTopicDriftFound: {
      const auto& found = fact.kafka_topic_drift_found();
      const auto row = image.kafka_topic(KafkaTopicId(found.id()));
      if (row && row->drift != found.drift()) record = fact;
      return record;
    }
    case v1::Record::kMarkersWritten: {
      v1::MarkersWritten left = StillPending(fact.markers_written(), image);
      if (!left.hosts().empty()) *record.mutable_markers_written() = left;
      return record;
    }
    default:
      Fault("RecordFacts was given another kind of record",
            {{"case", static_cast<int>(fact.fact_case())}});
  }
}

}  // namespace

absl::Status RecordFacts(const std::vector<v1::Record>& facts, Writer* writer) {
  if (facts.empty()) return absl::OkStatus();
  return writer
      ->Run([&facts](Draft* draft) -> absl::StatusOr<std::string> {
        for (const v1::Record& fact : facts) {
          v1::Record record = Applicable(fact, draft->image());
          if (record.fact_case() != v1::Record::FACT_NOT_SET) {
            draft->Add(std::move(record));
          }
        }
        return std::string();
      })
      .status();
}

}  // namespace kafed::controller
