#include "controller/session/fence_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace kafed::controller {
namespace {
constexpr milliseconds kLongestLook{60'000};

absl::Status StoppedStatus() {
  return absl::UnavailableError(
      "the change stands, but the node stopped before every producer knew of "
      "it: ask again with the same request id");
}

}  // namespace

FenceQueue::FenceQueue(LeaseTable* leases, const Clock* clock)
    : leases_(*leases), clock_(*clock) {
  thread_ = std::thread([this] { Loop(); });
}

FenceQueue::~FenceQueue() { Stop(); }

void FenceQueue::Stop() {
  std::vector<Waiting> unanswered;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    unanswered.swap(waiting_);
  }
  leases_.Poke();
  if (thread_.joinable()) thread_.join();
  for (const Waiting& each : unanswered) {
    each.done(StoppedStatus(), each.waited_for);
  }
}

void FenceQueue::Wait(Position position, Done done) {
  const milliseconds now = clock_.Steady();
  std::vector<uint64_t> sessions =
      leases_.MulticastFence(position, now).sessions;
  {
    absl::MutexLock lock(&mutex_);
    if (!stopping_) {
      waiting_.push_back({position, now, std::move(sessions), std::move(done)});
      done = nullptr;
    }
  }
  if (done) return done(StoppedStatus(), {});
  leases_.Poke();
}

milliseconds FenceQueue::Look(std::vector<Waiting>* complete) {
  milliseconds next = kLongestLook;
  const auto open = [&](Waiting& each) {
    const LeaseTable::Fence fence =
        leases_.MulticastFence(each.position, each.committed_at);
    std::vector<uint64_t> seen;
    std::set_union(each.waited_for.begin(), each.waited_for.end(),
                   fence.sessions.begin(), fence.sessions.end(),
                   std::back_inserter(seen));
    each.waited_for.swap(seen);
    if (fence.complete()) return false;
    next = std::min(next, fence.remaining);
    return true;
  };
  const auto first =
      std::stable_partition(waiting_.begin(), waiting_.end(), open);
  complete->assign(std::make_move_iterator(first),
                   std::make_move_iterator(waiting_.end()));
  waiting_.erase(first, waiting_.end());
  return next;
}

void FenceQueue::Loop() {
  const auto work = [this] {
    mutex_.AssertReaderHeld();
    return stopping_ || !waiting_.empty();
  };
  while (true) {
    // Before the look: what changes after it must wake the wait below.
    const uint64_t seen = leases_.changes();
    std::vector<Waiting> complete;
    milliseconds next{0};
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&work));
      if (stopping_) return;
      next = Look(&complete);
    }
    for (const Waiting& each : complete) {
      each.done(absl::OkStatus(), each.waited_for);
    }
    leases_.AwaitChange(seen, next);
  }
}

}  // namespace kafed::controller
