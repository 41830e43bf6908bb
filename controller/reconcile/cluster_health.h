// What a look at a sub-cluster says about its health, as a record.
//
//               seen                    3 failures in a row
//   [Pending] --------> [Active] <------------------------> [Unreachable]
//       |                  |  ^           seen
//       |  other Kafka     v  | the right Kafka again
//       +-------------> [Mismatched]
//
// Only transitions are records; a growing number of brokers is one, because
// later topics are replicated by it. Pure functions.
#pragma once

#include <optional>
#include <string>

#include "controller/kafka/kafka_cluster.h"
#include "federation/image/image.h"
#include "kafed/v1/records.pb.h"

namespace kafed::controller {

// After a look that worked; nullopt: nothing to record. Mismatched if the Kafka
// cluster id is not the one expected or learnt, or is another sub-cluster's.
std::optional<v1::SubClusterStateChanged> AfterLook(
    const federation::Image& image, federation::SubClusterId id,
    const KafkaClusterDescription& seen);

// After `failures` looks in a row that failed, the last one by `why`.
std::optional<v1::SubClusterStateChanged> AfterFailures(
    const federation::Image& image, federation::SubClusterId id,
    uint32_t failures, const absl::Status& why);

// Failures in a row that make a sub-cluster unreachable.
inline constexpr uint32_t kFailuresToUnreachable = 3;

}  // namespace kafed::controller
