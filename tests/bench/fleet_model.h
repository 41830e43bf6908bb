// The reference fleet as rows and as an image: 10 sub-clusters in three zones
// (3/3/4), Kafka topics of 50 partitions, hosts spread evenly over logical
// partitions of the topic `nca`.
//
// It measures nothing. Benchmarks call it before their clocks start.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "federation/image/image.h"
#include "federation/plan/draft.h"
#include "federation/view/route_view.h"

namespace kafed::bench {

inline constexpr federation::TopicId kTopic{1};

struct FleetShape {
  uint32_t hosts = 1'000'000;
  uint32_t partitions = 100'000;
  bool uuid = false;  // names of 36 characters instead of 11
};

// "host-000123", or a UUID that depends on `index` only.
std::string HostName(uint32_t index, bool uuid);

// A view that was filled as a Mirror's is: batch by batch from another
// process, in the order of a feed, so that the heap holds nothing else.
federation::RouteView MakeView(const FleetShape& shape);

// Names of `count` uniformly chosen hosts, back to back in memory.
class KeyStream {
 public:
  KeyStream(const FleetShape& shape, size_t count);
  std::string_view operator[](size_t i) const { return keys_[i]; }
  const std::string_view* data() const { return keys_.data(); }
  size_t size() const { return keys_.size(); }

 private:
  std::string bytes_;
  std::vector<std::string_view> keys_;
};

// Commits what `plan` adds as the next entry of `image`; ends the program when
// it is refused.
void Commit(federation::Image* image,
            const std::function<absl::Status(federation::Draft*)>& plan,
            std::vector<federation::ChangedRow>* changes = nullptr);

v1::HostSpec HostOf(const std::string& id, uint32_t index);

// An image with the fleet, with a tenth more room than it needs.
federation::Image MakeImage(const FleetShape& shape);

}  // namespace kafed::bench
