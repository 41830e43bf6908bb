// An election by an etcd cluster: the office is a key bound to the lease of its
// holder's session.
//
//   vacant --Campaign: put if absent--> held --lease runs out, Resign--> vacant
//
// A candidate that was started again finds its own name with the lease it had
// before, and puts the key anew. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "metastore/coord/election.h"
#include "metastore/coord/etcd_session.h"

namespace kafed::metastore {

class EtcdElection : public Election {
 public:
  // The office is `key`, such as "/kafed/coordinator". `session` must outlive
  // the election.
  EtcdElection(EtcdSession* session, std::string key);

  absl::StatusOr<std::string> Campaign(std::string_view candidate) override;
  absl::StatusOr<std::string> Holder() override;
  absl::Status Resign() override;

 private:
  // NotFound when `lease` has run out.
  absl::StatusOr<std::string> CampaignWith(int64_t lease,
                                           std::string_view candidate);

  EtcdSession& session_;
  const std::string key_;
};

}  // namespace kafed::metastore
