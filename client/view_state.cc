#include "client/view_state.h"

#include <utility>

#include "common/status_macros.h"

namespace kafed::client {

ViewState::ViewState() : current_(std::make_shared<PublishedView>()) {}

void ViewState::Load(PublishedView view, bool resumable) {
  resumable_ = resumable;
  Publish(std::move(view));
}

std::optional<v1::Position> ViewState::Begin() {
  pending_.reset();
  const ViewPointer now = current();
  if (!resumable_ || now->at.index() == 0) return std::nullopt;
  return now->at;
}

absl::StatusOr<bool> ViewState::Apply(const v1::FollowResponse& response) {
  if (response.full()) {
    pending_.emplace();
  } else if (!pending_) {
    pending_ = current()->view;
  }
  for (const v1::Row& row : response.rows()) {
    // A kind of row that a newer node knows is none that routes need.
    if (row.row_case() == v1::Row::ROW_NOT_SET) continue;
    RETURN_IF_ERROR(pending_->Apply(row));
  }
  if (!response.has_position()) return false;
  PublishedView next{*std::move(pending_), response.position()};
  pending_.reset();
  const ViewPointer now = current();
  if (next.position() < now->position()) {
    return absl::FailedPreconditionError(
        "position: the node is at " + ToString(next.position()) +
        ", behind this view's " + ToString(now->position()));
  }
  resumable_ = true;
  Publish(std::move(next));
  return true;
}

void ViewState::Publish(PublishedView view) {
  auto next = std::make_shared<const PublishedView>(std::move(view));
  MonitorLock lock(&mutex_);
  current_.swap(next);
  ready_ = true;
}

ViewPointer ViewState::current() const {
  MonitorLock lock(&mutex_);
  return current_;
}

bool ViewState::ready() const {
  MonitorLock lock(&mutex_);
  return ready_;
}

bool ViewState::WaitFor(Position position, milliseconds timeout) const {
  MonitorLock lock(&mutex_);
  const auto reached = [&] {
    mutex_.AssertHeld();
    return ready_ && current_->position() >= position;
  };
  return mutex_.AwaitFor(timeout, reached);
}

bool ViewState::WaitReady(milliseconds timeout) const {
  return WaitFor(Position{}, timeout);
}

}  // namespace kafed::client
