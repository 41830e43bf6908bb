#include "controller/write/tail_prover.h"

#include <utility>

#include "common/log.h"
#include "common/status_macros.h"

namespace kafed::controller {
namespace {
// How long a replica may take to get to a tail; a proof that comes late is
// worth little.
constexpr milliseconds kPatience{1'000};
}  // namespace

TailProver::TailProver(metastore::SharedLog* log, const Replica* replica,
                       const Clock* clock, milliseconds interval, Proven proven)
    : log_(*log),
      replica_(*replica),
      clock_(*clock),
      interval_(interval),
      proven_(std::move(proven)) {
  thread_ = std::thread([this] { Loop(); });
}

TailProver::~TailProver() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void TailProver::Loop() {
  const auto stopping = [this] {
    mutex_.AssertReaderHeld();
    return stopping_;
  };
  bool told = false;
  while (true) {
    const absl::Status proven = Prove();
    if (!proven.ok() && !std::exchange(told, true)) {
      LogWarning("the log's tail can't be proven, no leases are given",
                 {{"why", proven}});
    }
    if (proven.ok() && std::exchange(told, false)) {
      LogInfo("the log's tail is proven again", {});
    }
    absl::MutexLock lock(&mutex_);
    if (mutex_.AwaitWithTimeout(absl::Condition(&stopping),
                                absl::Milliseconds(interval_.count()))) {
      return;
    }
  }
}

absl::Status TailProver::Prove() {
  const milliseconds at = clock_.Steady();
  ASSIGN_OR_RETURN(const LogIndex tail, log_.Tail());
  const Position wanted{replica_.position().incarnation, tail};
  RETURN_IF_ERROR(replica_.WaitFor(wanted, kPatience).status());
  proven_(at, tail);
  return absl::OkStatus();
}

}  // namespace kafed::controller
