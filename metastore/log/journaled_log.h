// JournaledLog: a log that a quorum keeps, with this node's own copy of it.
//
//   append --> shared log --ok--+
//                               +--> [ queue ] --one synced batch--> log CF
//   read <-- own copy, or shared log --+
//
// Reads are served from the copy where it has the entries, so that history is
// as long as this node keeps it, however short the quorum's is, and a cluster
// can go on from a node's copy when the quorum has lost its data. The copy is
// written by a thread of its own: a slow disk delays no append. What it could
// not take (a full disk) it reads from the shared log later, or begins anew
// behind what is trimmed there. It is never ahead of the shared log.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "metastore/log/shared_log.h"
#include "metastore/store/store.h"

namespace kafed::metastore {

class JournaledLog : public SharedLog {
 public:
  // `shared` and `store` outlive it. FailedPrecondition where the copy is not
  // one of this log: it goes further, or holds other entries. Reads the tail.
  static absl::StatusOr<std::unique_ptr<JournaledLog>> Open(SharedLog* shared,
                                                            Store* store);
  // Writes what is queued.
  ~JournaledLog() override;

  AppendOutcome AppendBatchAt(LogIndex first,
                              std::span<const LogEntry> entries) override;
  absl::StatusOr<std::vector<LogEntry>> Read(LogIndex from,
                                             size_t max_bytes) override;
  absl::StatusOr<LogIndex> Tail() override { return shared_.Tail(); }
  // Of the copy, or of the shared log where that has more; while that can't be
  // asked, of the copy.
  absl::StatusOr<LogIndex> FirstKept() override;
  // Of the shared log.
  absl::StatusOr<uint64_t> SizeBytes() override { return shared_.SizeBytes(); }
  absl::Status WaitFor(LogIndex index, milliseconds deadline) override {
    return shared_.WaitFor(index, deadline);
  }
  // Trims the copy only: other nodes may need what the quorum has.
  absl::Status Trim(LogIndex before) override;
  absl::StatusOr<LogIndex> Seal() override { return shared_.Seal(); }

  // The last entry of the copy; durable.
  LogIndex journaled() const;
  // Payload bytes of all entries that were offered to the copy so far.
  uint64_t taken_bytes() const { return taken_bytes_; }
  // Waits until the copy has `index`; false at the end of `patience`.
  bool WaitJournaled(LogIndex index, milliseconds patience) const;

  // Bytes that wait to be written at most; what comes beyond is read again
  // from the shared log.
  static constexpr size_t kMaxQueueBytes = 32 << 20;

 private:
  JournaledLog(SharedLog* shared, Store* store)
      : shared_(*shared), store_(*store) {}
  absl::Status Load();
  absl::Status CheckCopy(LogIndex last);
  void Offer(LogIndex first, std::span<const LogEntry> entries);
  void Loop();
  // Writes `entries`, with what is missing before them; without any, all that
  // is missing up to `offered`.
  absl::Status CatchUp(std::vector<LogEntry> entries, LogIndex offered);
  // What is missing before `wanted`.
  absl::Status FillTo(LogIndex wanted);
  absl::Status Write(std::span<const LogEntry> entries);
  absl::Status BeginAnewAt(LogIndex first);

  SharedLog& shared_;
  Store& store_;
  std::atomic<uint64_t> taken_bytes_{0};
  std::mutex write_mutex_;      // one writer: appends to the copy and trims
  uint64_t running_bytes_ = 0;  // of the copy's thread

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::deque<LogEntry> queue_;
  size_t queue_bytes_ = 0;
  LogIndex queued_;   // the last that was queued or written
  LogIndex offered_;  // the last that is known to stand
  LogIndex first_;    // of the copy; one beyond last_ when there is none
  LogIndex last_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kafed::metastore
