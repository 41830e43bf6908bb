// A plain Kafka consumer: librdkafka and nothing of kafed's client.
#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kafed::demo {

struct PlainMessage {
  std::string kafka_topic;
  int32_t partition = 0;
  int64_t offset = 0;
  std::string key;
  std::string value;
  std::string kafed_header;  // empty: none
};

// A physical place to read: Kafka topic and partition.
using Place = std::pair<std::string, int32_t>;

class PlainConsumer {
 public:
  // `group`: whose commits GroupIsAtEnd looks at; it never joins.
  static absl::StatusOr<std::unique_ptr<PlainConsumer>> Create(
      const std::string& bootstrap,
      const std::string& group = "kafed-demo-plain");
  ~PlainConsumer();

  // Reads these places from their beginning on, besides those it reads
  // already. They must exist.
  absl::Status Add(const std::vector<Place>& places);

  // One message; false if none came within `timeout_ms`.
  absl::StatusOr<bool> Poll(int timeout_ms, PlainMessage* message);

  // Whether every place was read up to its end as of now.
  bool AtEnd();

  // Whether the group has committed every message of these places as of now.
  bool GroupIsAtEnd(const std::set<Place>& places);

 private:
  PlainConsumer() = default;
  // Whether the offsets of the list are the ends of its places.
  bool AreEnds(const rd_kafka_topic_partition_list_t& list);

  rd_kafka_t* handle_ = nullptr;
  std::set<Place> places_;
};

}  // namespace kafed::demo
