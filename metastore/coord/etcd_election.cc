#include "metastore/coord/etcd_election.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace kafed::metastore {
namespace {

// The office changed hands between a look and a put, or a lease ran out.
constexpr int kMaxTries = 3;

}  // namespace

EtcdElection::EtcdElection(EtcdSession* session, std::string key)
    : session_(*session), key_(std::move(key)) {}

absl::StatusOr<std::string> EtcdElection::Campaign(std::string_view candidate) {
  for (int tries = 0; tries < kMaxTries; ++tries) {
    ASSIGN_OR_RETURN(const int64_t lease, session_.Lease());
    auto holder = CampaignWith(lease, candidate);
    if (absl::IsNotFound(holder.status())) {
      session_.ForgetLease(lease);
    } else if (!absl::IsAborted(holder.status())) {
      return holder;
    }
  }
  return absl::UnavailableError(
      absl::StrCat("etcd: the office ", key_, " is changing hands"));
}

absl::StatusOr<std::string> EtcdElection::CampaignWith(
    int64_t lease, std::string_view candidate) {
  ASSIGN_OR_RETURN(const EtcdFound found, session_.Find({.from = key_}));
  EtcdCheck check{EtcdCheck::Kind::kAbsent, key_};
  if (!found.pairs.empty()) {
    const EtcdPair& held = found.pairs[0];
    if (held.value != candidate || held.lease == lease) return held.value;
    check = {EtcdCheck::Kind::kRevision, key_, held.revision};
  }
  const EtcdWrite put{EtcdWrite::Kind::kPut, key_, std::string(candidate),
                      lease};
  RETURN_IF_ERROR(session_.Commit({&check, 1}, {&put, 1}).status());
  return std::string(candidate);
}

absl::StatusOr<std::string> EtcdElection::Holder() {
  ASSIGN_OR_RETURN(EtcdFound found, session_.Find({.from = key_}));
  if (found.pairs.empty()) return std::string();
  return std::move(found.pairs[0].value);
}

absl::Status EtcdElection::Resign() {
  const int64_t lease = session_.KeptLease();
  if (lease == 0) return absl::OkStatus();
  const EtcdCheck own{EtcdCheck::Kind::kLease, key_, lease};
  const EtcdWrite deletes{EtcdWrite::Kind::kDelete, key_};
  const absl::Status given = session_.Commit({&own, 1}, {&deletes, 1}).status();
  // Held by another, or by nobody.
  return absl::IsAborted(given) ? absl::OkStatus() : given;
}

}  // namespace kafed::metastore
