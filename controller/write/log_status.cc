#include "controller/write/log_status.h"

#include <chrono>

#include "common/status_macros.h"

namespace kafed::controller {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::steady_clock;

absl::Status Ask(metastore::VirtualLog* log,
                 v1::DescribeLogResponse* response) {
  const auto asked_at = steady_clock::now();
  ASSIGN_OR_RETURN(const LogIndex tail, log->Tail());
  const auto took = steady_clock::now() - asked_at;
  ASSIGN_OR_RETURN(const LogIndex first, log->FirstKept());
  ASSIGN_OR_RETURN(const uint64_t bytes, log->SizeBytes());
  response->set_answered_us(
      static_cast<uint64_t>(duration_cast<microseconds>(took).count()));
  response->set_last_index(tail.value());
  response->set_first_index(first.value());
  response->set_size_bytes(bytes);
  return absl::OkStatus();
}

}  // namespace

void DescribeLog(const NodeLogOptions& options, const NodeLog& log,
                 v1::DescribeLogResponse* response) {
  response->set_backend(options.backend);
  response->set_budget_bytes(options.log_budget_bytes);
  if (log.shared()) {
    response->set_servers(options.quorum.servers);
    response->set_path(options.quorum.path);
    response->set_copied_to(log.journal->journaled().value());
  }
  const absl::Status asked = Ask(log.virtual_log.get(), response);
  response->set_error(std::string(asked.message()));
  // Asked first: the chain may have grown.
  for (const auto& link : log.virtual_log->CurrentChain().links) {
    v1::LogLink* const out = response->add_links();
    out->set_loglet(link.loglet);
    out->set_first_index(link.first.value());
  }
}

}  // namespace kafed::controller
