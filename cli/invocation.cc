#include "cli/invocation.h"

#include "cli/text.h"
#include "common/status_macros.h"
#include "common/uuid.h"

namespace kafed::cli {
namespace {

constexpr char kUsagePayload[] = "kafed.usage";

}  // namespace

absl::Status UsageError(std::string_view message) {
  absl::Status status = absl::InvalidArgumentError(std::string(message));
  status.SetPayload(kUsagePayload, absl::Cord("1"));
  return status;
}

bool IsUsageError(const absl::Status& status) {
  return status.GetPayload(kUsagePayload).has_value();
}

Invocation::Invocation(const GlobalOptions& options, const Streams& streams)
    : options_(options),
      streams_(streams),
      printer_(streams.out, options.output),
      request_id_(options.request_id) {
  if (request_id_.empty()) {
    request_id_ = AsBytes(NewRequestId(RealClock().Wall()));
  }
}

Connection& Invocation::connection() {
  if (!connection_) {
    RetryPolicy policy;
    policy.timeout = options_.timeout;
    connection_ = std::make_unique<Connection>(options_.servers, policy);
  }
  return *connection_;
}

v1::MutationOptions Invocation::MutationOptions() {
  v1::MutationOptions options;
  options.set_request_id(request_id_);
  options.set_dry_run(options_.dry_run);
  return options;
}

absl::Status Invocation::Confirm(std::string_view what) {
  if (options_.yes || options_.dry_run) return absl::OkStatus();
  if (!streams_.asks) {
    return UsageError("this would " + std::string(what) +
                      "; add --yes to confirm it, or --dry-run to only look");
  }
  *streams_.error << "This will " << what << ". Go on? [y/N] " << std::flush;
  std::string answer;
  std::getline(*streams_.in, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") {
    return absl::OkStatus();
  }
  return absl::CancelledError("not confirmed; nothing was changed");
}

absl::Status Invocation::WithRequestId(const absl::Status& status) {
  if (!absl::IsDeadlineExceeded(status) && !absl::IsUnknown(status)) {
    return status;
  }
  return absl::Status(status.code(),
                      std::string(status.message()) +
                          "; the outcome is unknown: run it again with "
                          "--request-id " +
                          ToHex(request_id_) + ", which changes nothing twice");
}

absl::Status Invocation::CallChange(const Message& request, Message* response) {
  return WithRequestId(Call(request, response));
}

void Invocation::PrintChange(const v1::MutationResponse& response) {
  printer_.PrintMessage(response, {});
  printer_.PrintLine((response.dry_run() ? "dry run, nothing changed: " : "") +
                     response.summary() + " (position " +
                     FormatPosition(response.position()) + ")");
}

}  // namespace kafed::cli
