// Election: who of several processes holds an office, kept by a quorum.
//
// The office is held as long as the holder's session with the quorum lives, and
// is vacant some time after it has died: two processes may believe for a while
// that they hold it. Nothing may rest on it but efficiency; what must not
// happen twice is guarded by the log.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kafed::metastore {

class Election {
 public:
  virtual ~Election() = default;

  // Takes the office if it is vacant; who holds it afterwards, the candidate
  // itself included. Unavailable: not known. One candidate for a session: to
  // be called again and again, which also keeps the office.
  virtual absl::StatusOr<std::string> Campaign(std::string_view candidate) = 0;

  // Who holds the office; empty: nobody.
  virtual absl::StatusOr<std::string> Holder() = 0;

  // Gives the office up if this process holds it.
  virtual absl::Status Resign() = 0;
};

}  // namespace kafed::metastore
