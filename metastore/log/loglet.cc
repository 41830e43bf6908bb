#include "metastore/log/loglet.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace kafed::metastore {

const char* ToString(AppendResult result) {
  switch (result) {
    case AppendResult::kOk:
      return "ok";
    case AppendResult::kConflict:
      return "conflict";
    case AppendResult::kUnknown:
      return "unknown";
    case AppendResult::kSealed:
      return "sealed";
    case AppendResult::kRefused:
      return "refused";
  }
  return "invalid";
}

absl::StatusOr<LogIndex> Loglet::Tail() {
  ASSIGN_OR_RETURN(const TailState state, CheckTail());
  return state.tail;
}

uint64_t PayloadBytes(std::span<const LogEntry> entries) {
  uint64_t bytes = 0;
  for (const LogEntry& entry : entries) bytes += entry.payload.size();
  return bytes;
}

absl::Status CheckBatch(LogIndex first, std::span<const LogEntry> entries) {
  if (!first.valid()) {
    return absl::InvalidArgumentError(
        "cannot append at index 0: the first index is 1");
  }
  if (entries.empty()) {
    return absl::InvalidArgumentError(
        "cannot append an empty batch: it needs at least one entry");
  }
  uint64_t index = first.value();
  for (const LogEntry& entry : entries) {
    if (entry.payload.size() > kMaxEntryBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("entry ", index, " has ", entry.payload.size(),
                       " bytes, the limit is ", kMaxEntryBytes,
                       ": split the operation into several entries"));
    }
    ++index;
  }
  if (const uint64_t bytes = PayloadBytes(entries); bytes > kMaxBatchBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the batch of ", entries.size(), " entries at ",
                     first.value(), " has ", bytes, " bytes, the limit is ",
                     kMaxBatchBytes, ": append it in several batches"));
  }
  return absl::OkStatus();
}

AppendOutcome OkOutcome(LogIndex tail) {
  return {AppendResult::kOk, tail, absl::OkStatus()};
}

AppendOutcome ConflictOutcome(LogIndex wanted, LogIndex tail) {
  return {AppendResult::kConflict, tail,
          absl::AbortedError(absl::StrCat("cannot append at ", wanted.value(),
                                          ": the tail is ", tail.value()))};
}

AppendOutcome SealedOutcome(LogIndex tail) {
  return {AppendResult::kSealed, tail,
          absl::FailedPreconditionError(
              absl::StrCat("the log is sealed at ", tail.value()))};
}

AppendOutcome UnknownOutcome(LogIndex tail, absl::Status why) {
  return {AppendResult::kUnknown, tail, std::move(why)};
}

AppendOutcome RefusedOutcome(LogIndex tail, absl::Status why) {
  return {AppendResult::kRefused, tail, std::move(why)};
}

absl::Status TrimmedStatus(LogIndex wanted, LogIndex first_kept) {
  return absl::OutOfRangeError(absl::StrCat(
      "entry ", wanted.value(), " has been trimmed: the first one kept is ",
      first_kept.value()));
}

absl::Status BudgetStatus(uint64_t kept_bytes, uint64_t added_bytes,
                          uint64_t budget_bytes) {
  return absl::ResourceExhaustedError(
      absl::StrCat("the log's budget of ", budget_bytes,
                   " bytes is used up: ", kept_bytes, " kept, ", added_bytes,
                   " to be added; trim history or raise the budget"));
}

absl::Status ReadFromZeroStatus() {
  return absl::InvalidArgumentError(
      "cannot read from index 0: the first index is 1");
}

}  // namespace kafed::metastore
