// Replica: this node's copy of the state: the newest image, published.
//
// Readers take a shared_ptr to an immutable image; that is a reference count,
// no lock is held while they use it. The writer (or a tailer) publishes a new
// one after each committed entry. Waiters and listeners are told afterwards.
//
// Thread-safe. One publisher.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "federation/image/image.h"
#include "federation/view/change_log.h"

namespace kafed::controller {

class Replica {
 public:
  explicit Replica(federation::Image image);

  std::shared_ptr<const federation::Image> image() const;
  Position position() const { return image()->position(); }

  // Makes `image` the newest; its position is after the former one's.
  void Publish(federation::Image image,
               std::vector<federation::ChangedRow> changes);

  // The image once it is at `position` or after; DeadlineExceeded, naming both
  // positions, if it does not get there within `timeout`.
  absl::StatusOr<std::shared_ptr<const federation::Image>> WaitFor(
      Position position, milliseconds timeout) const;

  // Called after each publish, from the publisher's thread; must be quick.
  void AddListener(std::function<void()> listener);

  const federation::ChangeLog& changes() const { return changes_; }

 private:
  mutable absl::Mutex mutex_;
  std::shared_ptr<const federation::Image> image_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::function<void()>> listeners_ ABSL_GUARDED_BY(mutex_);
  federation::ChangeLog changes_;
};

// The image's position with its nonce.
v1::Position PositionOf(const federation::Image& image);

// NotFound if `position` is of another incarnation than the image's with the
// same counter, naming both nonces; one without a nonce is of any.
absl::Status CheckNonce(std::string_view field, const v1::Position& position,
                        const federation::Image& image);

}  // namespace kafed::controller
