#include "tests/support/embedded_kafka/mock_cluster.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace kafed::tests {
namespace {

constexpr int kMaxPartitions = 10000;
constexpr size_t kMaxTopicName = 249;
constexpr size_t kClusterIdLength = 22;
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string RandomClusterId() {
  std::array<uint8_t, kClusterIdLength> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) !=
      static_cast<ssize_t>(bytes.size())) {
    return {};
  }
  std::string id;
  for (uint8_t byte : bytes) id += kAlphabet[byte % kAlphabet.size()];
  // An id that starts with '-' is taken for an option by command lines.
  if (id[0] == '-' || id[0] == '_') id[0] = 'k';
  return id;
}

bool IsTopicName(std::string_view name) {
  if (name.empty() || name.size() > kMaxTopicName || name == "." ||
      name == "..") {
    return false;
  }
  return std::all_of(name.begin(), name.end(), [](char c) {
    return c == '.' || kAlphabet.find(c) != std::string_view::npos;
  });
}

absl::Status FromKafka(rd_kafka_resp_err_t error) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();
  return absl::InternalError(rd_kafka_err2str(error));
}

}  // namespace

struct MockCluster::Handles {
  rd_kafka_t* kafka = nullptr;
  rd_kafka_mock_cluster_t* cluster = nullptr;

  ~Handles() {
    if (cluster != nullptr) rd_kafka_mock_cluster_destroy(cluster);
    if (kafka != nullptr) rd_kafka_destroy(kafka);
  }
};

absl::StatusOr<std::unique_ptr<MockCluster>> MockCluster::Start(
    int brokers, const std::string& cluster_id) {
  auto result = std::unique_ptr<MockCluster>(new MockCluster());
  result->brokers_ = brokers;
  result->cluster_id_ = cluster_id.empty() ? RandomClusterId() : cluster_id;
  result->handles_ = std::make_unique<Handles>();
  Handles& handles = *result->handles_;
  std::array<char, 512> error{};
  // Errors only: this handle is never used as a client.
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "log_level", "3", nullptr, 0);
  handles.kafka =
      rd_kafka_new(RD_KAFKA_PRODUCER, conf, error.data(), error.size());
  if (handles.kafka == nullptr) return absl::InternalError(error.data());
  handles.cluster = rd_kafka_mock_cluster_new(handles.kafka, brokers);
  if (handles.cluster == nullptr) {
    return absl::InternalError("the mock cluster did not start");
  }
  result->bootstrap_ = rd_kafka_mock_cluster_bootstraps(handles.cluster);
  return result;
}

MockCluster::~MockCluster() = default;

absl::Status MockCluster::Create(const std::string& topic, int partitions) {
  if (!IsTopicName(topic)) {
    return absl::InvalidArgumentError(
        "topic: 1 to 249 of letters, digits, '.', '_' and '-'");
  }
  if (partitions < 1 || partitions > kMaxPartitions) {
    return absl::InvalidArgumentError("partitions: from 1 to 10000");
  }
  if (topics_.contains(topic)) {
    return absl::AlreadyExistsError("topic exists");
  }
  const rd_kafka_resp_err_t error = rd_kafka_mock_topic_create(
      handles_->cluster, topic.c_str(), partitions, std::min(brokers_, 3));
  if (error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
    return absl::FailedPreconditionError(
        "topic: a client asked for it before it was created, so it has the "
        "mock's 4 partitions");
  }
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) topics_[topic] = partitions;
  return FromKafka(error);
}

absl::Status MockCluster::CheckBroker(int broker) const {
  if (broker >= 1 && broker <= brokers_) return absl::OkStatus();
  return absl::NotFoundError("broker: from 1 to " + std::to_string(brokers_));
}

absl::Status MockCluster::SetDown(int broker) {
  absl::Status known = CheckBroker(broker);
  if (!known.ok()) return known;
  return FromKafka(rd_kafka_mock_broker_set_down(handles_->cluster, broker));
}

absl::Status MockCluster::SetUp(int broker) {
  absl::Status known = CheckBroker(broker);
  if (!known.ok()) return known;
  return FromKafka(rd_kafka_mock_broker_set_up(handles_->cluster, broker));
}

absl::Status MockCluster::SetRoundTripMs(int broker, int round_trip_ms) {
  absl::Status known = CheckBroker(broker);
  if (!known.ok()) return known;
  if (round_trip_ms < 0) {
    return absl::InvalidArgumentError("milliseconds: 0 or more");
  }
  return FromKafka(
      rd_kafka_mock_broker_set_rtt(handles_->cluster, broker, round_trip_ms));
}

}  // namespace kafed::tests
