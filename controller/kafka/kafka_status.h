// librdkafka's and the brokers' error codes, as statuses.
//
// Environment: Unavailable (try again), DeadlineExceeded (no answer in time).
// Refusals: PermissionDenied, FailedPrecondition (credentials, options),
// NotFound, AlreadyExists, InvalidArgument (a topic, setting or timestamp that
// Kafka does not take).
#pragma once

#include <librdkafka/rdkafka.h>

#include <string>

#include "absl/status/status.h"

namespace kafed::controller {

// `text` empty: librdkafka's own words for the code.
absl::Status FromKafka(rd_kafka_resp_err_t code, std::string text = "");

}  // namespace kafed::controller
