// The Events service: entries as stored, in order, without gaps.
//
// A range that can't be answered is refused, never answered with nothing: an
// incarnation that there is not, an index beyond the tail, an end before the
// beginning. Thread-safe.
#pragma once

#include <atomic>

#include "controller/rpc/rpc_context.h"
#include "kafed/v1/events.grpc.pb.h"

namespace kafed::controller {

class EventsService final : public v1::Events::CallbackService {
 public:
  // Outlives the service.
  explicit EventsService(const RpcContext* context) : context_(*context) {}

  grpc::ServerWriteReactor<v1::Entry>* Read(
      grpc::CallbackServerContext* call,
      const v1::ReadEventsRequest* request) override;

  // Ends streams that wait at the tail, soon, with Unavailable.
  void Stop() { stopped_ = true; }

 private:
  const RpcContext& context_;
  std::atomic<bool> stopped_{false};
};

}  // namespace kafed::controller
