#include "controller/kafka/kafka_handle.h"

#include <array>
#include <string_view>
#include <utility>

#include "common/log.h"
#include "common/status_macros.h"
#include "controller/kafka/control_writer.h"
#include "controller/kafka/kafka_status.h"

namespace kafed::controller {
namespace {

constexpr int kPollMs = 100;
constexpr int kSyslogWarning = 4;
// Values shorter than this would blank out innocent words.
constexpr size_t kShortestSecret = 4;

bool IsSecret(const std::string& property) {
  return property.find("password") != std::string::npos ||
         property.find("secret") != std::string::npos ||
         property.ends_with(".pem") || property.starts_with("sasl.oauthbearer");
}

// Told by reconcile/ when it matters, over and over by librdkafka.
bool IsChatter(std::string_view facility) {
  return facility == "FAIL" || facility == "CONFWARN" ||
         facility == "REQTMOUT" || facility == "ERROR" || facility == "GETPID";
}

// "... failed: Connection refused (after 3ms in state CONNECT, ...)": the part
// that differs each time would make each failure another one.
std::string WithoutTimes(std::string text) {
  const size_t at = text.rfind(" (after ");
  if (at != std::string::npos && text.ends_with(')')) text.resize(at);
  return text;
}

absl::Status SetProperty(rd_kafka_conf_t* conf, const std::string& name,
                         const std::string& value) {
  // Its text may repeat the value, so it is not used.
  std::array<char, 256> unused{};
  switch (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), unused.data(),
                            unused.size())) {
    case RD_KAFKA_CONF_OK:
      return absl::OkStatus();
    case RD_KAFKA_CONF_UNKNOWN:
      return absl::FailedPreconditionError(
          name + ": is not a property of librdkafka " +
          std::string(rd_kafka_version_str()));
    default:
      return absl::FailedPreconditionError(
          name + ": has a value that librdkafka " +
          std::string(rd_kafka_version_str()) + " refuses");
  }
}

absl::Status SetProperties(rd_kafka_conf_t* conf,
                           const KafkaClusterOptions& options) {
  const std::string timeout = std::to_string(options.fence_window.count() / 2);
  const std::pair<const char*, std::string> own[] = {
      {"bootstrap.servers", options.bootstrap_servers},
      {"client.id", "kafed-controller"},
      {"enable.idempotence", "true"},
      {"acks", "all"},
      {"linger.ms", "0"},
      {"message.timeout.ms", timeout},
      // Asking about a topic must not make it.
      {"allow.auto.create.topics", "false"},
      // Of EndOffset: the end of the log, not the last stable offset.
      {"isolation.level", "read_uncommitted"},
      {"reconnect.backoff.max.ms", "2000"},
      {"statistics.interval.ms", "0"},
  };
  for (const auto& [name, value] : own) {
    RETURN_IF_ERROR(SetProperty(conf, name, value));
  }
  for (const auto& [name, value] : options.security) {
    RETURN_IF_ERROR(SetProperty(conf, name, value));
  }
  return absl::OkStatus();
}

}  // namespace

KafkaHandle::KafkaHandle(const KafkaClusterOptions& options)
    : name_(options.name) {
  for (const auto& [property, value] : options.security) {
    if (IsSecret(property) && value.size() >= kShortestSecret) {
      secrets_.push_back(value);
    }
  }
}

absl::StatusOr<std::shared_ptr<KafkaHandle>> KafkaHandle::Make(
    const KafkaClusterOptions& options) {
  std::shared_ptr<KafkaHandle> handle(new KafkaHandle(options));
  RETURN_IF_ERROR(handle->Start(options));
  return handle;
}

absl::Status KafkaHandle::Start(const KafkaClusterOptions& options) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  const absl::Status set = SetProperties(conf, options);
  if (!set.ok()) {
    rd_kafka_conf_destroy(conf);
    return set;
  }
  rd_kafka_conf_set_opaque(conf, this);
  rd_kafka_conf_set_log_cb(conf, &KafkaHandle::OnLog);
  rd_kafka_conf_set_error_cb(conf, &KafkaHandle::OnError);
  rd_kafka_conf_set_dr_msg_cb(conf, &OnDelivery);
  std::array<char, 512> error{};
  kafka_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error.data(), error.size());
  if (kafka_ == nullptr) {
    rd_kafka_conf_destroy(conf);
    return absl::FailedPreconditionError(Scrub(error.data()));
  }
  poller_ = std::thread([this] {
    while (!stopping_) rd_kafka_poll(kafka_, kPollMs);
  });
  return absl::OkStatus();
}

KafkaHandle::~KafkaHandle() {
  stopping_ = true;
  if (poller_.joinable()) poller_.join();
  if (kafka_ == nullptr) return;
  // Nobody waits for what may still be queued; its reports free its memory.
  rd_kafka_purge(kafka_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_flush(kafka_, kPollMs);
  rd_kafka_destroy(kafka_);
}

bool KafkaHandle::dead() const {
  std::array<char, 8> unused{};
  return rd_kafka_fatal_error(kafka_, unused.data(), unused.size()) !=
         RD_KAFKA_RESP_ERR_NO_ERROR;
}

absl::Status KafkaHandle::StatusOf(rd_kafka_resp_err_t code,
                                   const std::string& text) const {
  const bool vague = code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
                     code == RD_KAFKA_RESP_ERR__TRANSPORT ||
                     code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
  if (vague) {
    absl::MutexLock lock(&mutex_);
    if (!connection_error_.ok()) return connection_error_;
  }
  return FromKafka(code, Scrub(text));
}

void KafkaHandle::Worked() {
  absl::MutexLock lock(&mutex_);
  connection_error_ = absl::OkStatus();
}

std::string KafkaHandle::Scrub(std::string text) const {
  for (const std::string& secret : secrets_) {
    for (size_t at = text.find(secret); at != std::string::npos;
         at = text.find(secret, at)) {
      text.replace(at, secret.size(), "***");
      at += 3;
    }
  }
  return text;
}

void KafkaHandle::OnLog(const rd_kafka_t* kafka, int level,
                        const char* facility, const char* text) {
  const auto* self = static_cast<const KafkaHandle*>(rd_kafka_opaque(kafka));
  if (self == nullptr) return;
  const bool warn = level <= kSyslogWarning && !IsChatter(facility);
  Log(warn ? LogLevel::kWarning : LogLevel::kDebug, "librdkafka",
      {{"sub_cluster", self->name_},
       {"facility", facility},
       {"text", self->Scrub(text)}});
}

void KafkaHandle::OnError(rd_kafka_t* /*kafka*/, int code, const char* text,
                          void* self_pointer) {
  auto* self = static_cast<KafkaHandle*>(self_pointer);
  const auto error = static_cast<rd_kafka_resp_err_t>(code);
  LogDebug("Kafka connection error",
           {{"sub_cluster", self->name_}, {"text", self->Scrub(text)}});
  // "All brokers are down" says less than what came before it.
  if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) return;
  absl::MutexLock lock(&self->mutex_);
  self->connection_error_ = FromKafka(error, WithoutTimes(self->Scrub(text)));
}

}  // namespace kafed::controller
