#include "controller/peer/office.h"

#include "common/log.h"
#include "federation/plan/planners.h"

namespace kafed::controller {

OfficeHolder::OfficeHolder(metastore::Election* election, uint64_t node_id,
                           const Replica* replica, Writer* writer,
                           milliseconds interval)
    : election_(*election),
      node_id_(node_id),
      candidate_(std::to_string(node_id)),
      replica_(*replica),
      writer_(*writer),
      interval_(interval) {
  thread_ = std::thread([this] { Loop(); });
}

OfficeHolder::~OfficeHolder() { Resign(); }

void OfficeHolder::Resign() {
  if (!thread_.joinable()) return;
  signal_.Stop();
  thread_.join();
  if (!in_office_.exchange(false)) return;
  const absl::Status resigned = election_.Resign();
  if (!resigned.ok()) {
    LogWarning("the coordinator's office could not be given up",
               {{"why", resigned}});
  }
}

void OfficeHolder::Loop() {
  do {
    const bool held = Campaign();
    if (held != in_office_.exchange(held)) {
      LogInfo(held ? "this node is the coordinator"
                   : "this node is not the coordinator any more",
              {{"epoch", federation::CoordinatorOf(*replica_.image()).epoch}});
    }
  } while (signal_.Sleep(interval_));
}

bool OfficeHolder::Campaign() {
  const auto holder = election_.Campaign(candidate_);
  if (!holder.ok() || *holder != candidate_) return false;
  const federation::Office recorded =
      federation::CoordinatorOf(*replica_.image());
  if (in_office_ && recorded.node_id == node_id_) return true;
  const auto elected = writer_.Run(
      [this](federation::Draft* draft) -> absl::StatusOr<std::string> {
        federation::PlanElectCoordinator(node_id_, draft);
        return std::string();
      });
  return elected.ok();
}

}  // namespace kafed::controller
