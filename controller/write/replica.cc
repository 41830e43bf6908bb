#include "controller/write/replica.h"

#include <string>
#include <utility>

#include "absl/time/time.h"

namespace kafed::controller {

Replica::Replica(federation::Image image)
    : image_(std::make_shared<federation::Image>(std::move(image))) {}

std::shared_ptr<const federation::Image> Replica::image() const {
  absl::ReaderMutexLock lock(&mutex_);
  return image_;
}

void Replica::Publish(federation::Image image,
                      std::vector<federation::ChangedRow> changes) {
  changes_.Append(image.head().index, std::move(changes));
  auto made = std::make_shared<const federation::Image>(std::move(image));
  std::vector<std::function<void()>> listeners;
  {
    absl::MutexLock lock(&mutex_);
    std::swap(image_, made);
    listeners = listeners_;
  }
  // `made` is the former image now: it is freed outside the lock.
  for (const auto& listener : listeners) listener();
}

absl::StatusOr<std::shared_ptr<const federation::Image>> Replica::WaitFor(
    Position position, milliseconds timeout) const {
  absl::MutexLock lock(&mutex_);
  const auto there = [&] {
    mutex_.AssertReaderHeld();
    return image_->position() >= position;
  };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&there),
                               absl::Milliseconds(timeout.count()))) {
    return absl::DeadlineExceededError("this node is at " +
                                       ToString(image_->position()) +
                                       ", asked for " + ToString(position));
  }
  return image_;
}

void Replica::AddListener(std::function<void()> listener) {
  absl::MutexLock lock(&mutex_);
  listeners_.push_back(std::move(listener));
}

absl::Status CheckNonce(std::string_view field, const v1::Position& position,
                        const federation::Image& image) {
  const Incarnation& present = image.head().incarnation;
  if (position.nonce() == 0 || position.incarnation() != present.counter ||
      position.nonce() == present.nonce) {
    return absl::OkStatus();
  }
  return absl::NotFoundError(std::string(field) + ": there is no incarnation " +
                             std::to_string(present.counter) + " with nonce " +
                             std::to_string(position.nonce()) +
                             "; this one has " + std::to_string(present.nonce));
}

v1::Position PositionOf(const federation::Image& image) {
  v1::Position position;
  position.set_incarnation(image.head().incarnation.counter);
  position.set_nonce(image.head().incarnation.nonce);
  position.set_index(image.head().index.value());
  return position;
}

}  // namespace kafed::controller
