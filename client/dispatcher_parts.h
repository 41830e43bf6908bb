// The parts of the Dispatcher that its .cc files share; not for others.
#pragma once

#include <array>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "client/dispatcher.h"

namespace kafed::client {

// One copy of a message: on its way, or refused and to be sent again.
struct Dispatcher::Copy {
  Message* message = nullptr;
  KeyState* key = nullptr;
  size_t target = 0;  // index into the report's targets
  Lane* lane = nullptr;
  Way* way = nullptr;
  std::array<char, kKafkaHeaderBytes> kafed_header{};
  int attempts = 0;
};

// One accepted Produce call. Owned by its key's queue until it is sent, then by
// its copies together (`unfinished` counts them).
struct Dispatcher::Message {
  struct Charge {
    Lane* lane = nullptr;
    Way* way = nullptr;
  };
  // The Kafka message's key, within the report's.
  std::string_view id() const {
    return std::string_view(report.key).substr(report.topic.size() + 1);
  }

  federation::TopicId topic;
  std::string payload;
  std::vector<Header> headers;
  DeliveryCallback done;
  milliseconds accepted{0};
  size_t bytes = 0;  // of each charge
  absl::InlinedVector<Charge, 1> charges;
  absl::InlinedVector<Copy, 1> copies;  // as many as targets, from SendAll on
  size_t unfinished = 0;
  DeliveryReport report;
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
  Routes routes;      // in the view `routed_in`
  uint64_t routed_in = 0;
  size_t under_way = 0;
  absl::InlinedVector<Place, 1> places;  // of the copies under way
  std::list<std::unique_ptr<Message>> queue;
  std::vector<Copy*> refused;
  // Highest acknowledged sequence by partition, while this exists.
  absl::InlinedVector<std::pair<uint32_t, uint64_t>, 1> acknowledged;
  Wait why = Wait::kNone;

  bool waits() const { return !queue.empty() || !refused.empty(); }
  // Place of the highest acknowledged sequence; 0: none.
  uint64_t& Acknowledged(uint32_t partition) {
    for (auto& [number, sequence] : acknowledged) {
      if (number == partition) return sequence;
    }
    return acknowledged.emplace_back(partition, 0).second;
  }
};

inline uint64_t LaneKey(federation::TopicId topic,
                        federation::PartitionNumber number) {
  return uint64_t{topic.value()} << 32 | number.value();
}

}  // namespace kafed::client
