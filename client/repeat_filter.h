// RepeatFilter: drops messages that were seen before, by (source, key).
//
// A source's sequence rises over all its keys, so per key what is not above the
// last one seen is a repeat. Bounded: the pairs that were used longest ago are
// forgotten first. Not thread-safe.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/kafka_header.h"

namespace kafed::client {

class RepeatFilter {
 public:
  explicit RepeatFilter(size_t limit) : limit_(limit) {}

  static std::string NameOf(const Source& source, const std::string& key) {
    return std::string(reinterpret_cast<const char*>(source.data()),
                       source.size()) +
           key;
  }

  // True: newer than all seen of this pair; it is the last one seen now.
  bool Take(const std::string& name, uint64_t sequence) {
    const auto at = index_.find(name);
    if (at == index_.end()) {
      order_.emplace_front(name, sequence);
      index_[name] = order_.begin();
      if (order_.size() > limit_) {
        index_.erase(order_.back().first);
        order_.pop_back();
      }
      return true;
    }
    order_.splice(order_.begin(), order_, at->second);
    if (sequence <= at->second->second) return false;
    at->second->second = sequence;
    return true;
  }

  // (name, last sequence), the longest unused first.
  std::vector<std::pair<std::string, uint64_t>> Entries() const {
    return {order_.rbegin(), order_.rend()};
  }
  size_t size() const { return order_.size(); }

 private:
  using Order = std::list<std::pair<std::string, uint64_t>>;
  const size_t limit_;
  Order order_;  // the most recent first
  absl::flat_hash_map<std::string, Order::iterator> index_;
};

}  // namespace kafed::client
