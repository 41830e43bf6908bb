#include "client/kafka/kafka_config.h"

#include <fstream>
#include <string_view>

#include "common/log.h"
#include "common/status_macros.h"

namespace kafed::client {
namespace {

std::string Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return std::string(
      text.substr(first, text.find_last_not_of(" \t\r") - first + 1));
}

bool IsCredential(const std::string& key) {
  return key == "security.protocol" || key.starts_with("sasl.") ||
         key.starts_with("ssl.");
}

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

absl::StatusOr<Settings> LoadCredentials(const std::string& secrets_dir,
                                         const std::string& ref) {
  Settings settings;
  if (ref.empty()) return settings;
  if (ref.find('/') != std::string::npos || ref.front() == '.') {
    return absl::InvalidArgumentError("security_ref: '" + ref +
                                      "' is not a plain file name");
  }
  if (secrets_dir.empty()) {
    return absl::FailedPreconditionError(
        "secrets_dir: is not set, but a sub-cluster needs the credentials '" +
        ref + "'");
  }
  std::ifstream file(secrets_dir + "/" + ref);
  if (!file) {
    return absl::NotFoundError("security_ref: there is no file '" + ref +
                               "' in the secrets folder");
  }
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const std::string text = Trim(line);
    if (text.empty() || text.front() == '#') continue;
    const size_t equals = text.find('=');
    const std::string key = Trim(text.substr(0, equals));
    if (equals == std::string::npos || !IsCredential(key)) {
      return absl::InvalidArgumentError(
          ref + ":" + std::to_string(number) +
          ": expected `key = value` with security.protocol, sasl.* or ssl.*");
    }
    settings.emplace_back(key, Trim(text.substr(equals + 1)));
  }
  if (file.bad()) {
    return absl::InvalidArgumentError("security_ref: '" + ref +
                                      "' can't be read; expected a file");
  }
  return settings;
}

absl::StatusOr<ConfPointer> MakeConf(const v1::SubClusterRow& sub_cluster,
                                     const std::string& secrets_dir,
                                     const Settings& settings) {
  ASSIGN_OR_RETURN(const Settings credentials,
                   LoadCredentials(secrets_dir, sub_cluster.security_ref()));
  ConfPointer conf(rd_kafka_conf_new());
  const Settings base = {
      {"bootstrap.servers", sub_cluster.bootstrap_servers()},
      {"client.id", "kafed-client"},
      {"socket.keepalive.enable", "true"},
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
