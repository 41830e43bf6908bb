// Verify: reads a data directory from end to end and names what is damaged.
//
// Writes nothing. It compares checksums of files, entries and snapshots, the
// chain of the entries' hashes, and each snapshot with what the log before it
// says; then the invariants of the newest image. What can still be recovered
// is the newest sound snapshot and the entries behind it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/position.h"
#include "federation/image/image.h"

namespace kafed::controller {

struct VerifyReport {
  std::string node_id;
  LogIndex first_entry;  // of those that are kept
  LogIndex last_entry;   // as far as the log can be read
  uint64_t entries = 0;  // read and sound
  uint64_t snapshots = 0;
  // One sentence for each thing that is wrong; empty: all is well.
  std::vector<std::string> damage;
  federation::Image recovered;
};

// NotFound when it is no data directory; FailedPrecondition while a node runs
// on it, or for one of a newer version; DataLoss when storage does not open.
absl::StatusOr<VerifyReport> Verify(const std::string& directory,
                                    const Clock& clock = RealClock());

// Saves the recovered image as a backup that Restore takes;
// FailedPrecondition if nothing was recovered.
absl::Status SaveRecovered(const VerifyReport& report, const std::string& path);

}  // namespace kafed::controller
