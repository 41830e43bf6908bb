// The event log.
#include "controller/rpc/admin_service.h"
#include "controller/rpc/status_conversion.h"

namespace kafed::controller {

AdminService::Unary* AdminService::DescribeLog(
    Call* call, const v1::DescribeLogRequest*,
    v1::DescribeLogResponse* response) {
  return Offload(call, [this, response] {
    context_.describe_log(response);
    *response->mutable_position() = PositionOf(*context_.replica->image());
    response->set_lag_ms(LagMs(context_));
    return absl::OkStatus();
  });
}

}  // namespace kafed::controller
