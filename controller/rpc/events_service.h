// The Events service: entries as stored, in order, without gaps.
#pragma once

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

 private:
  const RpcContext& context_;
};

}  // namespace kafed::controller
