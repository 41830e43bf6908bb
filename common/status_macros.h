// RETURN_IF_ERROR and ASSIGN_OR_RETURN for absl::Status, and small helpers to
// build and annotate statuses.
//
// Messages are std::string: Debian's absl::string_view is not std::string_view.
// Codes are gRPC's. Three classes of error are never mixed (docs/reference/
// errors.md): rejection (InvalidArgument, NotFound, AlreadyExists,
// FailedPrecondition, ResourceExhausted), environment (Unavailable,
// DeadlineExceeded, Unknown for an unknown outcome) and fault (DataLoss,
// Internal).
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// NOLINTBEGIN(bugprone-macro-parentheses): names and declarations
#define KAFED_CONCAT_INNER(a, b) a##b
#define KAFED_CONCAT(a, b) KAFED_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expr) \
  RETURN_IF_ERROR_INNER(KAFED_CONCAT(kafed_status_, __LINE__), expr)
#define RETURN_IF_ERROR_INNER(tmp, expr)                    \
  do {                                                      \
    if (::absl::Status tmp = (expr); !tmp.ok()) return tmp; \
  } while (false)

#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_INNER(KAFED_CONCAT(kafed_statusor_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_INNER(tmp, lhs, expr) \
  auto tmp = (expr);                           \
  if (!tmp.ok()) return tmp.status();          \
  lhs = *std::move(tmp)
// NOLINTEND(bugprone-macro-parentheses)

namespace kafed {

// "context: message" with the same code; ok stays ok.
inline absl::Status Annotate(const absl::Status& status,
                             std::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), std::string(context) + ": " +
                                         std::string(status.message()));
}

// The message as a std::string_view (see the top of this file).
inline std::string_view Message(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

}  // namespace kafed
