// Router: answers routing questions from one image. No gRPC, no clock, no I/O.
//
// The services fill in positions and leases; here is only what the image says.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "federation/image/image.h"
#include "kafed/v1/routing.pb.h"

namespace kafed::controller {

// Keys of one Route call at most.
inline constexpr int kMaxRouteKeys = 10'000;

// Fills result.targets, or error and error_code. `lease_ttl_ms` gets the ttl of
// the key's topic, 0 for an error; `multicast` whether it is a multicast key.
struct RoutedTopic {
  uint32_t lease_ttl_ms = 0;
  bool multicast = false;
};
RoutedTopic RouteKey(const federation::Image& image, std::string_view key,
                     v1::RouteResult* result);

absl::Status RouteMembers(const federation::Image& image,
                          const v1::RouteMembersRequest& request,
                          v1::RouteMembersResponse* response);

absl::Status FindOwner(const federation::Image& image,
                       const v1::OwnerRequest& request,
                       v1::OwnerResponse* response);

absl::Status FindSubscriptions(const federation::Image& image,
                               const v1::SubscriptionsRequest& request,
                               v1::SubscriptionsResponse* response);

// The target a partition has now; false if nothing may be written to it.
bool FillTarget(const federation::Image& image, federation::TopicId topic,
                federation::PartitionNumber partition, v1::RouteTarget* target);

}  // namespace kafed::controller
