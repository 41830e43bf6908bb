#include "cli/host_import.h"

#include <algorithm>
#include <string>

#include "cli/retry.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

constexpr size_t kHostsPerMessage = 1'000;
constexpr uint64_t kBarWidth = 40;

class Import {
 public:
  Import(const std::vector<v1::HostSpec>& hosts, Invocation* run)
      : hosts_(hosts), run_(*run) {}

  absl::Status Send() {
    ASSIGN_OR_RETURN(
        auto stream,
        run_.connection().Open(v1::ImportHostsRequest(), StepTime::kTimeout));
    bool ok = true;
    for (size_t at = 0; ok && at < hosts_.size(); at += kHostsPerMessage) {
      v1::ImportHostsRequest request;
      if (at == 0) {
        *request.mutable_options() = run_.MutationOptions();
        request.set_total(hosts_.size());
      }
      const size_t end = std::min(at + kHostsPerMessage, hosts_.size());
      for (size_t i = at; i < end; ++i) *request.add_hosts() = hosts_[i];
      ok = stream->Write(request);
    }
    if (ok) ok = stream->WritesDone();
    v1::ImportProgress progress;
    while (ok && stream->Read(&progress)) {
      Show(progress.done());
      if (progress.has_result()) result_ = progress.result();
    }
    return stream->Finish();
  }

  const v1::MutationResponse& result() const { return result_; }

  void EndBar() {
    if (shown_) *run_.streams().error << '\n';
    shown_ = false;
  }

 private:
  void Show(uint64_t done) {
    if (!run_.streams().progress) return;
    *run_.streams().error << '\r' << ProgressBar(done, hosts_.size())
                          << std::flush;
    shown_ = true;
  }

  const std::vector<v1::HostSpec>& hosts_;
  Invocation& run_;
  v1::MutationResponse result_;
  bool shown_ = false;
};

}  // namespace

std::string ProgressBar(uint64_t done, uint64_t total) {
  const uint64_t filled = total == 0 ? kBarWidth : done * kBarWidth / total;
  const uint64_t percent = total == 0 ? 100 : done * 100 / total;
  std::string number = std::to_string(percent);
  number.insert(0, 3 - std::min<size_t>(3, number.size()), ' ');
  return "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') +
         "] " + number + " %  " + std::to_string(done) + " of " +
         std::to_string(total) + " hosts";
}

absl::Status ImportHosts(const std::vector<v1::HostSpec>& hosts,
                         Invocation* run) {
  Import import(hosts, run);
  RetryPolicy policy = run->connection().policy();
  // Each step of the stream has the timeout; all of it has none.
  policy.timeout = milliseconds::max() / 4;
  const absl::Status status =
      Retry(policy, [&import](milliseconds) { return import.Send(); });
  import.EndBar();
  RETURN_IF_ERROR(run->WithRequestId(status));
  run->PrintChange(import.result());
  return absl::OkStatus();
}

}  // namespace kafed::cli
