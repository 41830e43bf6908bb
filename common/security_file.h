// Credentials of a sub-cluster, read from a file on the machine that uses them
// (a node or a client), so that they are never in the log.
//
//   # comment
//   security.protocol = SASL_SSL
//   sasl.mechanism = SCRAM-SHA-512
//   sasl.username = kafed
//   sasl.password = ...
//
// Names are librdkafka's: security.protocol, sasl.* and ssl.* only. Errors name
// the file and the line, never a value.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace kafed {

// The properties in DIRECTORY/REF; none for an empty ref. FailedPrecondition
// for a ref that is not a plain file name, or a file that can't be read or has
// a line that is not as above.
absl::StatusOr<std::map<std::string, std::string>> ReadSecurityFile(
    const std::string& directory, const std::string& ref);

}  // namespace kafed
