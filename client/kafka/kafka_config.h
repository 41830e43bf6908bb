// Settings of Kafka clients: what kafed sets, and credentials from a file.
//
// Credentials are never in the log of the metadata cluster: a sub-cluster names
// a file in the client's secrets folder, with lines `key = value` of
// security.protocol, sasl.* and ssl.*; '#' begins a comment. Errors name lines
// and keys, never values.
#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "kafed/v1/rows.pb.h"

namespace kafed::client {

using Settings = std::vector<std::pair<std::string, std::string>>;

struct DestroyConf {
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
};
using ConfPointer = std::unique_ptr<rd_kafka_conf_t, DestroyConf>;

// Empty settings for an empty `ref`; NotFound, InvalidArgument otherwise.
absl::StatusOr<Settings> LoadCredentials(const std::string& secrets_dir,
                                         const std::string& ref);

// Bootstrap servers, reconnects and logging through kafed's log, then the
// credentials, then `settings`.
absl::StatusOr<ConfPointer> MakeConf(const v1::SubClusterRow& sub_cluster,
                                     const std::string& secrets_dir,
                                     const Settings& settings);

// "_ALL_BROKERS_DOWN: text", as a status of the class of the error.
absl::Status KafkaError(rd_kafka_resp_err_t error, const std::string& what);

}  // namespace kafed::client
