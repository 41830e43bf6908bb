// Sends hosts to the node, all or nothing, and shows how far it is.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "cli/invocation.h"

namespace kafed::cli {

// One stream with one request id; a stream that broke is sent again, and the
// node goes on where it was. The progress bar is for terminals only.
absl::Status ImportHosts(const std::vector<v1::HostSpec>& hosts,
                         Invocation* run);

// "[#####.....]  50 %  500 of 1000 hosts"
std::string ProgressBar(uint64_t done, uint64_t total);

}  // namespace kafed::cli
