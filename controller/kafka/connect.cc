#include <string_view>

#include "common/log.h"
#include "common/status_macros.h"
#include "controller/kafka/embedded_cluster.h"
#include "controller/kafka/kafka_cluster.h"
#include "controller/kafka/librdkafka_cluster.h"

namespace kafed::controller {
namespace {

constexpr std::string_view kEmbeddedPrefix = "embedded:";
// librdkafka sent the client nonce of SCRAM twice before 2.6.1, which Kafka
// 3.x overlooks and Kafka 4.x refuses.
constexpr int kScramVersion = 0x02060100;

void WarnAboutScram(const KafkaClusterOptions& options) {
  for (const char* name : {"sasl.mechanism", "sasl.mechanisms"}) {
    const auto at = options.security.find(name);
    if (at == options.security.end() || !at->second.starts_with("SCRAM") ||
        rd_kafka_version() >= kScramVersion) {
      continue;
    }
    LogWarning(
        "SCRAM does not work against Kafka 4.x with this librdkafka: it needs "
        "2.6.1 or later",
        {{"sub_cluster", options.name},
         {"librdkafka", rd_kafka_version_str()}});
    return;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<KafkaCluster>> ConnectKafkaCluster(
    const KafkaClusterOptions& options) {
  if (options.bootstrap_servers.empty()) {
    return absl::FailedPreconditionError("bootstrap_servers: is empty");
  }
  const std::string_view admin = options.admin;
  if (!admin.empty() && !admin.starts_with(kEmbeddedPrefix)) {
    return absl::FailedPreconditionError(
        "admin: '" + options.admin + "' is neither empty nor embedded:PATH");
  }
  WarnAboutScram(options);
  ASSIGN_OR_RETURN(auto cluster, LibrdkafkaCluster::Connect(options));
  if (admin.empty()) return std::unique_ptr<KafkaCluster>(std::move(cluster));
  return std::unique_ptr<KafkaCluster>(std::make_unique<EmbeddedCluster>(
      std::string(admin.substr(kEmbeddedPrefix.size())), std::move(cluster)));
}

}  // namespace kafed::controller
