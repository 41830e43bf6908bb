#include "client/kafka/kafka_config.h"

#include "common/log.h"
#include "common/security_file.h"
#include "common/status_macros.h"

namespace kafed::client {
namespace {

void LogLine(const rd_kafka_t* kafka, int level, const char* facility,
             const char* text) {
  const LogLevel at = level <= 3   ? LogLevel::kWarning
                      : level <= 5 ? LogLevel::kInfo
                                   : LogLevel::kDebug;
  Log(at, "librdkafka",
      {{"client", rd_kafka_name(kafka)}, {"at", facility}, {"text", text}});
}

absl::Status Set(rd_kafka_conf_t* conf, const std::string& key,
                 const std::string& value, bool secret) {
  char error[512] = "";
  if (rd_kafka_conf_set(conf, key.c_str(), value.c_str(), error,
                        sizeof(error)) == RD_KAFKA_CONF_OK) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      key + ": librdkafka does not take the value" +
      (secret ? "" : " '" + value + "': " + error));
}

}  // namespace

absl::StatusOr<ConfPointer> MakeConf(const v1::SubClusterRow& sub_cluster,
                                     const std::string& secrets_dir,
                                     const Settings& settings) {
  ASSIGN_OR_RETURN(const auto credentials,
                   ReadSecurityFile(secrets_dir, sub_cluster.security_ref()));
  ConfPointer conf(rd_kafka_conf_new());
  const Settings base = {
      {"bootstrap.servers", sub_cluster.bootstrap_servers()},
      {"client.id", "kafed-client"},
      {"socket.keepalive.enable", "true"},
      // Only the node makes topics. Another cluster that came behind the same
      // address would else take, and acknowledge, what is not meant for it.
      {"allow.auto.create.topics", "false"},
      {"reconnect.backoff.ms", "50"},
      {"reconnect.backoff.max.ms", "2000"},
  };
  for (const auto& [key, value] : base) {
    RETURN_IF_ERROR(Set(conf.get(), key, value, false));
  }
  for (const auto& [key, value] : credentials) {
    RETURN_IF_ERROR(Set(conf.get(), key, value, true));
  }
  for (const auto& [key, value] : settings) {
    RETURN_IF_ERROR(Set(conf.get(), key, value, false));
  }
  rd_kafka_conf_set_log_cb(conf.get(), LogLine);
  return conf;
}

absl::Status KafkaError(rd_kafka_resp_err_t error, const std::string& what) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();
  const std::string text =
      what + ": " + rd_kafka_err2name(error) + ": " + rd_kafka_err2str(error);
  switch (error) {
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
      return absl::DeadlineExceededError(text);
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
      return absl::InvalidArgumentError(text);
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return absl::NotFoundError(text);
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
      return absl::PermissionDeniedError(text);
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
      return absl::FailedPreconditionError(text);
    default:
      return absl::UnavailableError(text);
  }
}

}  // namespace kafed::client
