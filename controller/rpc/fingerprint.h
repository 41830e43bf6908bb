// Fingerprints of requests: tell a retry from another request with its id.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <span>

#include "kafed/v1/types.pb.h"

namespace kafed::controller {

// XXH3-64 over the type and all fields but `options`; never 0. The same for
// each retry, also by another version that knows the same fields.
uint64_t Fingerprint(const google::protobuf::Message& request);

// Of an import, whose hosts come in many messages.
uint64_t Fingerprint(std::span<const v1::HostSpec> hosts);

}  // namespace kafed::controller
