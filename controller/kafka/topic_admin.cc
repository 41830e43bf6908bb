#include "controller/kafka/topic_admin.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string_view>

#include "common/status_macros.h"
#include "controller/kafka/kafka_status.h"

namespace kafed::controller {
namespace {

// librdkafka answers at its own timeout; this only catches its absence.
constexpr milliseconds kGrace{2'000};

template <typename T, void (*destroy)(T*)>
struct Destroyer {
  void operator()(T* object) const { destroy(object); }
};
template <typename T, void (*destroy)(T*)>
using Owned = std::unique_ptr<T, Destroyer<T, destroy>>;

using Event = Owned<rd_kafka_event_t, rd_kafka_event_destroy>;
using Queue = Owned<rd_kafka_queue_t, rd_kafka_queue_destroy>;
using Options = Owned<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>;
using NewTopic = Owned<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy>;
using DeleteTopic = Owned<rd_kafka_DeleteTopic_t, rd_kafka_DeleteTopic_destroy>;
using Resource =
    Owned<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy>;

template <typename T>
auto RawPointers(const std::vector<T>& owned) {
  std::vector<typename T::pointer> raw;
  raw.reserve(owned.size());
  for (const T& each : owned) raw.push_back(each.get());
  return raw;
}

// Sends a request and waits for its one answer.
absl::StatusOr<Event> Ask(KafkaHandle* handle, rd_kafka_admin_op_t op,
                          milliseconds timeout,
                          const std::function<void(rd_kafka_AdminOptions_t*,
                                                   rd_kafka_queue_t*)>& send) {
  std::array<char, 256> error{};
  const int ms =
      static_cast<int>(std::clamp<int64_t>(timeout.count(), 1, 600'000));
  const Queue queue(rd_kafka_queue_new(handle->get()));
  const Options options(rd_kafka_AdminOptions_new(handle->get(), op));
  if (rd_kafka_AdminOptions_set_request_timeout(options.get(), ms, error.data(),
                                                error.size()) !=
      RD_KAFKA_RESP_ERR_NO_ERROR) {
    return absl::InternalError(error.data());
  }
  send(options.get(), queue.get());
  Event event(
      rd_kafka_queue_poll(queue.get(), ms + static_cast<int>(kGrace.count())));
  if (event == nullptr) {
    return absl::DeadlineExceededError("librdkafka did not answer in time");
  }
  const rd_kafka_resp_err_t code = rd_kafka_event_error(event.get());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return handle->StatusOf(code, rd_kafka_event_error_string(event.get()));
  }
  handle->Worked();
  return event;
}

// The statuses in the order of `names`, whatever order Kafka answered in.
std::vector<absl::Status> InOrder(const KafkaHandle& handle,
                                  std::span<const std::string> names,
                                  const rd_kafka_topic_result_t** results,
                                  size_t count) {
  std::map<std::string, absl::Status> by_name;
  for (size_t i = 0; i < count; ++i) {
    const char* text = rd_kafka_topic_result_error_string(results[i]);
    by_name[rd_kafka_topic_result_name(results[i])] =
        FromKafka(rd_kafka_topic_result_error(results[i]),
                  text == nullptr ? "" : handle.Scrub(text));
  }
  std::vector<absl::Status> ordered;
  for (const std::string& name : names) {
    const auto at = by_name.find(name);
    ordered.push_back(
        at != by_name.end()
            ? at->second
            : absl::UnavailableError("Kafka did not answer for " + name));
  }
  return ordered;
}

absl::StatusOr<NewTopic> MakeNewTopic(const NewKafkaTopic& topic) {
  std::array<char, 256> error{};
  NewTopic made(rd_kafka_NewTopic_new(
      topic.name.c_str(), static_cast<int>(topic.partitions),
      static_cast<int>(topic.replication), error.data(), error.size()));
  if (made == nullptr) {
    return absl::InvalidArgumentError(topic.name + ": " + error.data());
  }
  for (const auto& [name, value] : topic.config) {
    rd_kafka_NewTopic_set_config(made.get(), name.c_str(), value.c_str());
  }
  return made;
}

}  // namespace

absl::StatusOr<std::vector<absl::Status>> AdminCreateTopics(
    KafkaHandle* handle, std::span<const NewKafkaTopic> topics,
    milliseconds timeout) {
  if (topics.empty()) return std::vector<absl::Status>();
  std::vector<NewTopic> made;
  std::vector<std::string> names;
  for (const NewKafkaTopic& topic : topics) {
    ASSIGN_OR_RETURN(NewTopic one, MakeNewTopic(topic));
    made.push_back(std::move(one));
    names.push_back(topic.name);
  }
  auto raw = RawPointers(made);
  ASSIGN_OR_RETURN(
      const Event event,
      Ask(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout,
          [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
            rd_kafka_CreateTopics(handle->get(), raw.data(), raw.size(),
                                  options, queue);
          }));
  size_t count = 0;
  const rd_kafka_topic_result_t** results = rd_kafka_CreateTopics_result_topics(
      rd_kafka_event_CreateTopics_result(event.get()), &count);
  return InOrder(*handle, names, results, count);
}

absl::StatusOr<std::vector<absl::Status>> AdminDeleteTopics(
    KafkaHandle* handle, std::span<const std::string> names,
    milliseconds timeout) {
  if (names.empty()) return std::vector<absl::Status>();
  std::vector<DeleteTopic> made;
  for (const std::string& name : names) {
    made.emplace_back(rd_kafka_DeleteTopic_new(name.c_str()));
  }
  auto raw = RawPointers(made);
  ASSIGN_OR_RETURN(
      const Event event,
      Ask(handle, RD_KAFKA_ADMIN_OP_DELETETOPICS, timeout,
          [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
            rd_kafka_DeleteTopics(handle->get(), raw.data(), raw.size(),
                                  options, queue);
          }));
  size_t count = 0;
  const rd_kafka_topic_result_t** results = rd_kafka_DeleteTopics_result_topics(
      rd_kafka_event_DeleteTopics_result(event.get()), &count);
  return InOrder(*handle, names, results, count);
}

absl::StatusOr<KafkaCluster::TopicConfigs> AdminDescribeConfigs(
    KafkaHandle* handle, std::span<const std::string> names,
    milliseconds timeout) {
  if (names.empty()) return KafkaCluster::TopicConfigs();
  std::vector<Resource> made;
  for (const std::string& name : names) {
    made.emplace_back(
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
  }
  auto raw = RawPointers(made);
  ASSIGN_OR_RETURN(
      const Event event,
      Ask(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout,
          [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
            rd_kafka_DescribeConfigs(handle->get(), raw.data(), raw.size(),
                                     options, queue);
          }));
  size_t count = 0;
  const rd_kafka_ConfigResource_t** resources =
      rd_kafka_DescribeConfigs_result_resources(
          rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  KafkaCluster::TopicConfigs configs;
  for (size_t i = 0; i < count; ++i) {
    if (rd_kafka_ConfigResource_error(resources[i]) !=
        RD_KAFKA_RESP_ERR_NO_ERROR) {
      continue;
    }
    auto& config = configs[rd_kafka_ConfigResource_name(resources[i])];
    size_t entries = 0;
    const rd_kafka_ConfigEntry_t** entry =
        rd_kafka_ConfigResource_configs(resources[i], &entries);
    for (size_t e = 0; e < entries; ++e) {
      const char* value = rd_kafka_ConfigEntry_value(entry[e]);
      if (value != nullptr) {
        config[rd_kafka_ConfigEntry_name(entry[e])] = value;
      }
    }
  }
  return configs;
}

}  // namespace kafed::controller
