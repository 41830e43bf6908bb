// Writing control messages and waiting for their delivery reports.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/kafka/kafka_handle.h"

namespace kafed::controller {

// librdkafka's dr_msg_cb of a KafkaHandle: runs on its poll thread.
void OnDelivery(rd_kafka_t* kafka, const rd_kafka_message_t* message,
                void* handle);

// KafkaCluster::Write on this handle.
std::vector<absl::StatusOr<uint64_t>> WriteControlMessages(
    KafkaHandle* handle, std::span<const ControlMessage> messages,
    milliseconds timeout);

}  // namespace kafed::controller
