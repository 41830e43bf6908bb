// Facts that were seen in Kafka, on their way into the log.
//
// Between the look at Kafka and the entry the image may have changed: a Kafka
// topic may be doomed or gone, a host may have left again. What does not apply
// any more is left out when the entry is planned, and nothing is recorded
// twice.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "controller/write/writer.h"
#include "kafed/v1/records.pb.h"

namespace kafed::controller {

// Records, in one entry, those facts that still apply: KafkaTopicCreated,
// KafkaTopicDeleted, KafkaTopicDriftFound and MarkersWritten.
absl::Status RecordFacts(const std::vector<v1::Record>& facts, Writer* writer);

}  // namespace kafed::controller
