// One implementation of the log: a link in the virtual log's chain.
//
// A loglet holds the indexes from First() on; indexes are those of the whole
// log, so a loglet that follows another does not begin at 1. It knows nothing
// of its neighbours. tests/unit/metastore/loglet_contract_test.cc is the
// contract as a test, run on every implementation.
#pragma once

#include <span>

#include "metastore/log/shared_log.h"

namespace kafed::metastore {

struct TailState {
  LogIndex tail;
  bool sealed = false;  // then `tail` is final
};

class Loglet : public SharedLog {
 public:
  // The index of the first entry that this loglet has or will have; >= 1. The
  // tail of an empty loglet is one before it.
  virtual LogIndex First() const = 0;

  // The tail and whether it is final, as of one moment; linearizable.
  virtual absl::StatusOr<TailState> CheckTail() = 0;

  absl::StatusOr<LogIndex> Tail() final;
};

// The checks of a batch that need no state: InvalidArgument when it is empty,
// starts before 1, or an entry or the whole is too large; the message names the
// index and both sizes.
absl::Status CheckBatch(LogIndex first, std::span<const LogEntry> entries);

// The outcomes, worded once for all implementations.
AppendOutcome OkOutcome(LogIndex tail);
AppendOutcome ConflictOutcome(LogIndex wanted, LogIndex tail);
AppendOutcome SealedOutcome(LogIndex tail);
AppendOutcome UnknownOutcome(LogIndex tail, absl::Status why);
AppendOutcome RefusedOutcome(LogIndex tail, absl::Status why);

// The statuses likewise.
absl::Status TrimmedStatus(LogIndex wanted, LogIndex first_kept);
absl::Status BudgetStatus(uint64_t kept_bytes, uint64_t added_bytes,
                          uint64_t budget_bytes);
absl::Status ReadFromZeroStatus();

uint64_t PayloadBytes(std::span<const LogEntry> entries);

}  // namespace kafed::metastore
