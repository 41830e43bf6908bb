// Route views in files: the snapshot container with kind "route view", the
// same bytes as a node's Admin.SaveSnapshot(route_view).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/view_state.h"
#include "kafed/v1/rows.pb.h"

namespace kafed::client {

struct LoadedView {
  PublishedView view;
  v1::ViewFilter filter;
};

absl::Status SaveView(const PublishedView& view, const v1::ViewFilter& filter,
                      milliseconds wall, const std::string& path);

// NotFound if there is no such file; else the container's errors.
absl::StatusOr<LoadedView> LoadView(const std::string& path);

}  // namespace kafed::client
