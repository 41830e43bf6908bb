// The event log.
#include "controller/rpc/admin_service.h"
#include "controller/rpc/status_conversion.h"

namespace kafed::controller {

AdminService::Unary* AdminService::DescribeLog(
    Call* call, const v1::DescribeLogRequest*,
    v1::DescribeLogResponse* response) {
  return Offload(call, [this, response] {
    // First, so that the log's last index is not before it.
    *response->mutable_position() = PositionOf(*context_.replica->image());
    context_.describe_log(response);
    response->set_lag_ms(LagMs(context_));
    return absl::OkStatus();
  });
}

}  // namespace kafed::controller
