#include "metastore/coord/zookeeper_election.h"

#include <utility>

#include "common/status_macros.h"

namespace kafed::metastore {

ZooKeeperElection::ZooKeeperElection(ZooKeeperSession* session,
                                     std::string path)
    : session_(*session), path_(std::move(path)) {}

absl::StatusOr<std::string> ZooKeeperElection::Campaign(
    std::string_view candidate) {
  {
    std::lock_guard lock(mutex_);
    candidate_ = std::string(candidate);
  }
  ASSIGN_OR_RETURN(std::string holder, Holder());
  if (!holder.empty()) return holder;
  absl::Status made = session_.CreateEphemeral(path_, candidate);
  if (absl::IsNotFound(made)) {
    RETURN_IF_ERROR(session_.CreateFolders(path_));
    made = session_.CreateEphemeral(path_, candidate);
  }
  if (made.ok()) return std::string(candidate);
  if (!absl::IsAlreadyExists(made)) return made;
  return Holder();  // another one was first
}

absl::StatusOr<std::string> ZooKeeperElection::Holder() {
  auto node = session_.Get(path_);
  if (absl::IsNotFound(node.status())) return std::string();
  RETURN_IF_ERROR(node.status());
  return std::move(node->data);
}

absl::Status ZooKeeperElection::Resign() {
  std::lock_guard lock(mutex_);
  const auto node = session_.Get(path_);
  if (absl::IsNotFound(node.status())) return absl::OkStatus();
  RETURN_IF_ERROR(node.status());
  if (node->data != candidate_) return absl::OkStatus();
  absl::Status gone = session_.Delete(path_, node->version);
  return absl::IsNotFound(gone) ? absl::OkStatus() : gone;
}

}  // namespace kafed::metastore
