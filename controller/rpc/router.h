// Router: answers routing questions from one image. No gRPC, no clock, no I/O.
//
// The services fill in positions and leases; here is only what the image says.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "controller/rpc/key_router.h"
#include "federation/image/image.h"
#include "kafed/v1/routing.pb.h"

namespace kafed::controller {

// Keys of one Route call at most.
inline constexpr int kMaxRouteKeys = 10'000;

// Fills result.targets, or error and error_code.
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

}  // namespace kafed::controller
