// Snapshotter: saves the image now and then, and trims the log behind it.
//
// Streams one image out while writes go on. A thread of its own.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "controller/write/replica.h"
#include "metastore/log/shared_log.h"
#include "metastore/log/snapshot_store.h"

namespace kafed::controller {

struct SnapshotterOptions {
  uint64_t every_entries = 10'000;
  uint64_t history_entries = 1'000'000;
  uint64_t every_bytes = 0;  // of entries; 0: not looked at
};

class Snapshotter {
 public:
  // All outlive it. `log_bytes`: bytes of all entries so far, ever rising.
  Snapshotter(const SnapshotterOptions& options, Replica* replica,
              metastore::SharedLog* log, metastore::SnapshotStore* snapshots,
              std::function<uint64_t()> log_bytes);
  ~Snapshotter();

  // Saves the newest image now, if it is newer than the newest snapshot.
  absl::Status SaveNow();

  uint64_t saved() const { return saved_; }
  uint64_t failed() const { return failed_; }

 private:
  void Loop();
  uint64_t NewestIndex() const;
  bool Due() const;

  const SnapshotterOptions options_;
  Replica& replica_;
  metastore::SharedLog& log_;
  metastore::SnapshotStore& snapshots_;
  const std::function<uint64_t()> log_bytes_;
  std::atomic<uint64_t> saved_at_bytes_{0};
  std::atomic<uint64_t> saved_{0};
  std::atomic<uint64_t> failed_{0};
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace kafed::controller
