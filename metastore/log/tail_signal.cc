#include "metastore/log/tail_signal.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kafed::metastore {

LogIndex TailSignal::Get() const {
  std::lock_guard lock(mutex_);
  return tail_;
}

void TailSignal::Advance(LogIndex tail) {
  {
    std::lock_guard lock(mutex_);
    tail_ = std::max(tail_, tail);
  }
  changed_.notify_all();
}

void TailSignal::MarkSealed() {
  {
    std::lock_guard lock(mutex_);
    sealed_ = true;
  }
  changed_.notify_all();
}

absl::Status TailSignal::WaitFor(LogIndex index, milliseconds deadline) {
  std::unique_lock lock(mutex_);
  while (tail_ < index) {
    if (sealed_) {
      return absl::FailedPreconditionError(
          absl::StrCat("the log is sealed at ", tail_.value(),
                       ", before index ", index.value()));
    }
    const milliseconds left = deadline - clock_.Steady();
    if (left <= milliseconds(0)) {
      return absl::DeadlineExceededError(absl::StrCat(
          "index ", index.value(), " was not appended in time: the tail is ",
          tail_.value()));
    }
    changed_.wait_for(lock, std::min(left, kLook));
  }
  return absl::OkStatus();
}

}  // namespace kafed::metastore
