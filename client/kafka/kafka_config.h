// Settings of Kafka clients: what kafed sets, and credentials from a file.
//
// Credentials come by reference: common/security_file.h. Errors name keys,
// never their values.
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

// Bootstrap servers, reconnects and logging through kafed's log, then the
// credentials, then `settings`.
absl::StatusOr<ConfPointer> MakeConf(const v1::SubClusterRow& sub_cluster,
                                     const std::string& secrets_dir,
                                     const Settings& settings);

// "_ALL_BROKERS_DOWN: text", as a status of the class of the error.
absl::Status KafkaError(rd_kafka_resp_err_t error, const std::string& what);

}  // namespace kafed::client
