// The loglet of several nodes: kept by an etcd cluster.
//
//   PATH            "v1 FIRST"
//   PATH/e/N        entry N, 20 digits; bytes as store/log_value.h
//   PATH/gate       "open" or "sealed"
//   PATH/trimmed    "FIRST_KEPT DELETED_BEFORE"
//
// Its rules are quorum_loglet.h's; an append is one transaction. Reads are
// linearizable as they are. Followed by one watch over the entries and the
// gate: it brings the entries themselves, and what it may have missed is read.
//
// No old revision is ever asked for, so compaction is the operators' business:
// without --auto-compaction-retention etcd keeps what was trimmed, until its
// space is used up. Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "metastore/coord/change_count.h"
#include "metastore/coord/etcd_session.h"
#include "metastore/coord/etcd_watch.h"
#include "metastore/log/quorum_loglet.h"

namespace kafed::metastore {

class EtcdLoglet : public QuorumLoglet {
 public:
  // A request of etcd takes 1.5 MiB and 128 operations, unless told otherwise.
  static constexpr size_t kMaxBatchBytes = 1024 * 1024;
  static constexpr size_t kMaxBatchEntries = 128;

  // `session` and `clock` must outlive the loglet. FailedPrecondition when the
  // path holds something else, or a loglet that begins elsewhere.
  static absl::StatusOr<std::unique_ptr<EtcdLoglet>> Open(
      EtcdSession* session, QuorumLogletOptions options,
      const Clock& clock = RealClock());
  ~EtcdLoglet() override;

 private:
  EtcdLoglet(EtcdSession* session, QuorumLogletOptions options,
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
  std::string EntryKey(LogIndex index) const;
  EtcdRange Entries(LogIndex from, size_t count) const;
  absl::StatusOr<LogIndex> IndexOf(std::string_view key) const;
  // The first of `pairs` that have no gap from `from` on.
  absl::StatusOr<std::vector<StoredEntry>> Decode(
      LogIndex from, const std::vector<EtcdPair>& pairs) const;
  absl::Status MakeKeys();
  void NotePut(std::string_view key, std::string_view value);

  EtcdSession& session_;
  ChangeCount changes_;

  std::mutex news_mutex_;
  std::vector<StoredEntry> news_;  // told by the watch, not yet taken
  size_t news_bytes_ = 0;
  bool unsure_ = false;  // there may be more than the news

  std::unique_ptr<EtcdWatch> watch_;
};

}  // namespace kafed::metastore
