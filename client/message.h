// What producers hand over and get back, and what subscribers are given.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/kafka_header.h"

namespace kafed::client {

// A header of a Kafka message; "kafed" is the client's own.
struct Header {
  std::string name;
  std::string value;
  friend bool operator==(const Header&, const Header&) = default;
};

// Where one copy of a message went.
struct DeliveredTo {
  uint32_t partition = 0;  // of the logical topic
  uint64_t epoch = 0;
  uint32_t sub_cluster_id = 0;
  std::string kafka_topic;
  uint32_t kafka_partition = 0;
  int64_t offset = -1;  // -1: not acknowledged
  absl::Status status;
};

// The end of one accepted Produce call.
struct DeliveryReport {
  // ok: every target acknowledged. Else the first failure; a message whose
  // targets say DeadlineExceeded or Unknown may have been written all the same.
  absl::Status status;
  std::string key;
  std::string topic;  // logical
  Source source{};
  uint64_t sequence = 0;
  // One, or one for each home of a multicast key. Empty: it was never sent.
  std::vector<DeliveredTo> targets;
};

// A message handed to the application.
struct Message {
  std::string topic;  // logical
  std::string key;    // TOPIC/ID
  std::string payload;
  std::vector<Header> headers;  // without `kafed`
  Source source{};              // zeros: not written by a kafed Producer
  uint64_t sequence = 0;
  uint64_t epoch = 0;
  uint32_t partition = 0;  // of the logical topic
  uint64_t offset = 0;
  bool late = false;  // written with an older epoch than its segment's
  // For Commit.
  uint64_t ticket = 0;
};

using DeliveryCallback = std::function<void(const DeliveryReport&)>;

struct ProducerStats {
  uint64_t accepted = 0;      // Produce calls that returned ok
  uint64_t acknowledged = 0;  // reports without error
  uint64_t failed = 0;        // reports with an error
  uint64_t retried = 0;       // copies sent again after a refused batch
  uint64_t waiting = 0;       // messages held back at present
  uint64_t buffered_bytes = 0;
};

}  // namespace kafed::client
