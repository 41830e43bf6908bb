// The loglet of several nodes: kept by a ZooKeeper ensemble.
//
//   PATH            "v1 FIRST"
//   PATH/gate       "open" or "sealed"
//   PATH/trimmed    "FIRST_KEPT DELETED_BEFORE"
//   PATH/probe      written to prove that the ensemble has a quorum
//   PATH/e/B/N      entry N, in buckets of 1,000; bytes as store/log_value.h
//
// Its rules are quorum_loglet.h's; an append is one multi. A tail is
// linearizable by a write of one's own before it is read. Followed by watches.
//
// ZooKeeper keeps everything in memory: trim, and set a budget. Thread-safe.
#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "metastore/coord/zookeeper_session.h"
#include "metastore/log/quorum_loglet.h"

namespace kafed::metastore {

using ZooKeeperLogletOptions = QuorumLogletOptions;

class ZooKeeperLoglet : public QuorumLoglet {
 public:
  // One message of ZooKeeper takes at most 1 MiB.
  static constexpr size_t kMaxMultiBytes = 900 * 1024;

  // `session` and `clock` must outlive the loglet. FailedPrecondition when the
  // path holds something else, or a loglet that begins elsewhere.
  static absl::StatusOr<std::unique_ptr<ZooKeeperLoglet>> Open(
      ZooKeeperSession* session, ZooKeeperLogletOptions options,
      const Clock& clock = RealClock());
  ~ZooKeeperLoglet() override;

 private:
  ZooKeeperLoglet(ZooKeeperSession* session, ZooKeeperLogletOptions options,
                  const Clock& clock);

  absl::Status ProveQuorum() override;
  absl::StatusOr<State> ReadState(LogIndex next) override;
  absl::StatusOr<Value> ReadValue(const char* name) override;
  absl::StatusOr<int64_t> SetValue(const char* name, std::string_view data,
                                   int64_t version) override;
  absl::StatusOr<std::vector<StoredEntry>> ReadEntries(LogIndex from,
                                                       size_t count) override;
  absl::StatusOr<std::optional<StoredEntry>> ReadNewest() override;
  AppendOutcome Write(int64_t gate_version, LogIndex first,
                      std::vector<std::string> values) override;
  absl::Status DeleteEntries(LogIndex from, LogIndex before) override;
  absl::StatusOr<Seen> Look(LogIndex next) override;
  uint64_t Changes() const override;
  void WaitForChange(uint64_t seen, milliseconds timeout) const override;
  void Wake() override;

  std::string Child(const char* name) const;
  std::string BucketPath(LogIndex index) const;
  std::string EntryPath(LogIndex index) const;
  std::vector<std::string> EntryPaths(LogIndex from, size_t count) const;
  // Those up to the first that does not stand.
  static absl::StatusOr<std::vector<StoredEntry>> Decode(
      LogIndex from, std::span<const absl::StatusOr<ZooKeeperNode>> nodes);
  absl::Status MakeNodes();
  absl::Status EnsureBuckets(LogIndex first, LogIndex last);

  ZooKeeperSession& session_;
  std::set<uint64_t> buckets_;  // known to be there; only Write uses it
  // The entry that is watched beside the gate, and changes() before; 0: none.
  // Only Look uses them.
  LogIndex watched_{0};
  uint64_t looked_at_ = 0;
};

}  // namespace kafed::metastore
