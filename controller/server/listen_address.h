// Whether this machine can listen on an address, and if not, why.
//
// gRPC and civetweb only say that they failed. A socket is bound and closed
// again at once, so what comes after may still fail if another process is
// quicker.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace kafed::controller {

// `address` is HOST:PORT. Unavailable names `field`, the address and the
// reason: the port is in use, the host is unknown or not of this machine.
absl::Status CheckListen(std::string_view field, const std::string& address);

}  // namespace kafed::controller
