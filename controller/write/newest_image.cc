#include "controller/write/newest_image.h"

#include "common/status_macros.h"

namespace kafed::controller {

absl::StatusOr<std::shared_ptr<const federation::Image>> NewestImage(
    metastore::SharedLog* log, const Replica& replica, milliseconds timeout) {
  const auto tail = log->Tail();
  RETURN_IF_ERROR(Annotate(tail.status(), "asking the log for its tail"));
  const Position newest{replica.position().incarnation, *tail};
  auto image = replica.WaitFor(newest, timeout);
  if (image.ok()) return image;
  return Annotate(image.status(), "following the log");
}

}  // namespace kafed::controller
