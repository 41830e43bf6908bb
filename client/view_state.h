// ViewState: turns the messages of Follow streams into published views.
//
// Rows are applied to a view of its own and become visible only with the
// position that completes their batch, so that a reader never sees a reference
// that is not there yet, and a full view replaces the old one at once. The
// position never goes backwards, across any number of streams and nodes.
//
// No gRPC, no threads of its own. Apply and Begin by one thread at a time, the
// rest from any.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "client/monitor.h"
#include "common/clock.h"
#include "common/position.h"
#include "federation/view/route_view.h"
#include "kafed/v1/routing.pb.h"

namespace kafed::client {

// One published state.
struct PublishedView {
  federation::RouteView view;
  // As the node gave it, with the incarnation's nonce.
  v1::Position at;
  Position position() const { return {at.incarnation(), LogIndex(at.index())}; }
};

using ViewPointer = std::shared_ptr<const PublishedView>;

class ViewState {
 public:
  ViewState();

  // A view from a snapshot, before the first stream. `resumable`: a node may
  // send only what changed since.
  void Load(PublishedView view, bool resumable);

  // A new stream: drops a batch that was not completed. Returns the position
  // to ask from; unset where a full view is needed.
  std::optional<v1::Position> Begin();

  // One message. True: it completed a batch, which is now published.
  // FailedPrecondition: the node is behind what was published already.
  absl::StatusOr<bool> Apply(const v1::FollowResponse& response);

  // Never null.
  ViewPointer current() const;
  // A view was published or loaded.
  bool ready() const;
  // Waits until a view at `position` or later is published.
  bool WaitFor(Position position, milliseconds timeout) const;
  bool WaitReady(milliseconds timeout) const;

 private:
  void Publish(PublishedView view);

  mutable Monitor mutex_;
  ViewPointer current_ ABSL_GUARDED_BY(mutex_);
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool resumable_ = false;
  std::optional<federation::RouteView> pending_;
};

}  // namespace kafed::client
