// The loglet of several nodes: kept by a ZooKeeper ensemble.
//
//   PATH            "v1 FIRST"
//   PATH/gate       "open" or "sealed"
//   PATH/trimmed    "FIRST_KEPT DELETED_BEFORE"
//   PATH/probe      written to prove that the ensemble has a quorum
//   PATH/e/B/N      entry N, in buckets of 1,000; bytes as store/log_value.h
//
// Every append is one multi: the gate is as it was (nobody has sealed), the
// predecessor stands, and the entry does not. So no gap can form, and nothing
// follows a seal. Appends are not pipelined; who will pipeline must also learn
// of foreign appends, by a change of the gate. A connection that is lost on the
// way leaves the outcome open; the writer repeats the same append, and ids are
// compared.
//
// A tail is linearizable by a write of one's own before it is read. A thread
// follows the log by watches, for WaitFor and to read ahead.
//
// ZooKeeper keeps everything in memory: trim, and set a budget. One append at a
// time; reads do not wait for it. Thread-safe.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "metastore/coord/zookeeper_session.h"
#include "metastore/log/loglet.h"
#include "metastore/log/tail_signal.h"

namespace kafed::metastore {

struct ZooKeeperLogletOptions {
  std::string path;  // of its own, such as "/kafed/log-1"; made when missing
  LogIndex first{1};
  // Payload bytes kept at most; beyond it appends are refused rather than
  // history lost. 0: no limit.
  uint64_t budget_bytes = 0;
};

class ZooKeeperLoglet : public Loglet {
 public:
  // One message of ZooKeeper takes at most 1 MiB.
  static constexpr size_t kMaxMultiBytes = 900 * 1024;

  // `session` and `clock` must outlive the loglet. FailedPrecondition when the
  // path holds something else, or a loglet that begins elsewhere.
  static absl::StatusOr<std::unique_ptr<ZooKeeperLoglet>> Open(
      ZooKeeperSession* session, ZooKeeperLogletOptions options,
      const Clock& clock = RealClock());
  ~ZooKeeperLoglet() override;

  LogIndex First() const override { return options_.first; }
  absl::StatusOr<TailState> CheckTail() override;
  // As SharedLog; a batch of more than kMaxMultiBytes is InvalidArgument.
  AppendOutcome AppendBatchAt(LogIndex first,
                              std::span<const LogEntry> entries) override;
  absl::StatusOr<std::vector<LogEntry>> Read(LogIndex from,
                                             size_t max_bytes) override;
  absl::StatusOr<LogIndex> FirstKept() override;
  absl::StatusOr<uint64_t> SizeBytes() override;
  absl::Status WaitFor(LogIndex index, milliseconds deadline) override;
  absl::Status Trim(LogIndex before) override;
  absl::StatusOr<LogIndex> Seal() override;

 private:
  struct Trimmed {
    LogIndex first_kept;
    LogIndex deleted_before;  // deletion may be behind
    int32_t version = 0;
  };

  ZooKeeperLoglet(ZooKeeperSession* session, ZooKeeperLogletOptions options,
                  const Clock& clock);
  std::string BucketPath(LogIndex index) const;
  std::string EntryPath(LogIndex index) const;
  std::string Child(const char* name) const;

  absl::Status MakeNodes();
  absl::StatusOr<Trimmed> ReadTrimmed();
  absl::Status DeleteEntries(LogIndex from, LogIndex before);

  // All REQUIRE mutex_.
  // Learns the gate, what is trimmed, and the tail.
  absl::Status Refresh();
  absl::Status FindTail();
  absl::Status WalkToTail();
  absl::Status EnsureBuckets(LogIndex first, LogIndex last);
  absl::Status CheckRoom(uint64_t added_bytes);
  absl::StatusOr<uint64_t> KeptBytes();
  AppendOutcome TryAppend(LogIndex first, std::span<const LogEntry> entries,
                          bool* again);
  // The outcome of an append at an index that is taken already.
  AppendOutcome Compare(LogIndex first, std::span<const LogEntry> entries);
  void NoteTail(LogIndex tail, uint64_t running_bytes);

  void Follow();  // the thread
  // Sets the watches; whether there is something to learn already.
  absl::StatusOr<bool> Look();

  ZooKeeperSession& session_;
  const ZooKeeperLogletOptions options_;
  TailSignal signal_;
  std::atomic<uint64_t> first_kept_;

  std::mutex mutex_;  // held during I/O
  LogIndex tail_;
  uint64_t running_bytes_ = 0;  // up to the tail
  int32_t gate_version_ = 0;
  bool sealed_ = false;
  std::set<uint64_t> buckets_;  // known to be there

  std::mutex ahead_mutex_;
  std::map<LogIndex, LogEntry> ahead_;  // read by the thread, not yet by Read
  size_t ahead_bytes_ = 0;

  std::atomic<bool> stopping_{false};
  std::thread follower_;
};

}  // namespace kafed::metastore
