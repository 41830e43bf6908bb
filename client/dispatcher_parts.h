// The parts of the Dispatcher that its .cc files share; not for others.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "client/dispatcher.h"

namespace kafed::client {

// One accepted Produce call. Owned by its key's queue until it is sent, then by
// its copies together (`copies` counts them).
struct Dispatcher::Message {
  struct Charge {
    federation::SubClusterId sub_cluster;
    uint64_t lane = 0;
  };
  federation::TopicId topic;
  std::string id;  // the Kafka message's key
  std::string payload;
  std::vector<Header> headers;
  DeliveryCallback done;
  milliseconds accepted{0};
  size_t bytes = 0;  // of each charge
  std::vector<Charge> charges;
  size_t copies = 0;  // not finished yet
  DeliveryReport report;
};

// One copy of a message: on its way, or refused and to be sent again.
struct Dispatcher::Copy {
  Message* message = nullptr;
  KeyState* key = nullptr;
  size_t target = 0;  // index into the report's targets
  std::string kafed_header;
  int attempts = 0;
};

// A key with something under way or waiting.
struct Dispatcher::KeyState {
  struct Place {
    federation::PartitionNumber partition;
    federation::Epoch epoch;
    const Outlet* outlet = nullptr;
    friend bool operator==(const Place&, const Place&) = default;
  };
  std::string name;
  bool keyed = true;  // false: an empty id, without order
  size_t under_way = 0;
  std::vector<Place> places;  // of the copies under way
  std::deque<std::unique_ptr<Message>> queue;
  std::vector<Copy*> refused;
  // Highest acknowledged sequence by partition, while this exists.
  absl::flat_hash_map<uint32_t, uint64_t> acknowledged;
  Wait why = Wait::kNone;

  bool waits() const { return !queue.empty() || !refused.empty(); }
};

inline uint64_t LaneKey(federation::TopicId topic,
                        federation::PartitionNumber number) {
  return uint64_t{topic.value()} << 32 | number.value();
}

}  // namespace kafed::client
