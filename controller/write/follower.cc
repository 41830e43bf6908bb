#include "controller/write/follower.h"

#include <chrono>

#include "common/log.h"

namespace kafed::controller {
namespace {
// How long it may take to notice the end of the node.
constexpr milliseconds kPatience{500};
constexpr milliseconds kRetryPause{100};
}  // namespace

Follower::Follower(metastore::SharedLog* log, const Replica* replica,
                   Writer* writer, const Clock* clock)
    : log_(*log), replica_(*replica), writer_(*writer), clock_(*clock) {
  thread_ = std::thread([this] { Loop(); });
}

Follower::~Follower() {
  stopping_ = true;
  thread_.join();
}

void Follower::Loop() {
  while (!stopping_) {
    const LogIndex next = Next(replica_.position().index);
    const absl::Status stands = log_.WaitFor(next, clock_.Steady() + kPatience);
    if (stands.ok()) {
      writer_.FollowTo(next, kPatience);
    } else if (!absl::IsDeadlineExceeded(stands)) {
      LogWarning("the log can't be followed, retrying", {{"why", stands}});
      std::this_thread::sleep_for(kRetryPause);
    }
  }
}

}  // namespace kafed::controller
