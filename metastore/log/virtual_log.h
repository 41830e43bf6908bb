// The log that everybody above uses: a chain of loglets behind one contract
// (after Balakrishnan et al., "Virtual Consensus in Delos", OSDI 2020).
//
//   index    1 ........ 40 | 41 ......... 77 | 78 ...
//   loglet   local (sealed)| zookeeper (sealed)| etcd   <- appends go here
//
// All but the last loglet are sealed, so only the last takes entries; readers
// walk from one to the next. To change the implementation, Extend seals the
// last and links the next at the following index. A node that meets a seal
// reads the chain register again, so that no node needs to be told.
//
// It does not choose loglets, nor copy entries between them, nor remove old
// ones. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "metastore/log/chain_register.h"
#include "metastore/log/loglet.h"

namespace kafed::metastore {

// Makes the loglet of a link; its First() must be link.first.
using LogletFactory =
    std::function<absl::StatusOr<std::shared_ptr<Loglet>>(const ChainLink&)>;

class VirtualLog : public SharedLog {
 public:
  // Opens every loglet of the chain. A chain that was never set is set to the
  // one link `initial`. `reg` and `clock` must outlive the log.
  static absl::StatusOr<std::unique_ptr<VirtualLog>> Open(
      ChainRegister* reg, LogletFactory factory, const ChainLink& initial,
      const Clock& clock = RealClock());

  AppendOutcome AppendBatchAt(LogIndex first,
                              std::span<const LogEntry> entries) override;
  absl::StatusOr<std::vector<LogEntry>> Read(LogIndex from,
                                             size_t max_bytes) override;
  absl::StatusOr<LogIndex> Tail() override;
  absl::StatusOr<LogIndex> FirstKept() override;
  absl::StatusOr<uint64_t> SizeBytes() override;
  // Outlasts a seal while the next loglet is being linked; FailedPrecondition
  // only at the deadline.
  absl::Status WaitFor(LogIndex index, milliseconds deadline) override;
  absl::Status Trim(LogIndex before) override;
  absl::StatusOr<LogIndex> Seal() override;

  // Seals the last loglet and links `loglet` behind it. Aborted when another
  // node changed the chain meanwhile. After a crash in between, calling it
  // again finishes the work.
  absl::Status Extend(const std::string& loglet);

  // The chain as this node last saw it.
  Chain CurrentChain() const;

 private:
  // The opened chain; immutable, replaced as a whole.
  struct Opened {
    Chain chain;
    std::vector<std::shared_ptr<Loglet>> loglets;
    Loglet& last() const { return *loglets.back(); }
    // The place of the loglet that holds `index`, if any does.
    size_t PlaceOf(LogIndex index) const;
  };
  using OpenedPtr = std::shared_ptr<const Opened>;

  VirtualLog(ChainRegister* reg, LogletFactory factory, const Clock& clock);
  OpenedPtr Current() const;
  // Reads the register; returns what is current afterwards.
  absl::StatusOr<OpenedPtr> Refresh();
  absl::StatusOr<OpenedPtr> OpenChain(const Chain& chain,
                                      const Opened* known) const;
  // After a seal of `seen`'s last loglet: the newer chain, or null if none.
  absl::StatusOr<OpenedPtr> Newer(const OpenedPtr& seen);
  AppendOutcome AppendBehind(const Opened& opened, size_t place, LogIndex first,
                             std::span<const LogEntry> entries);

  ChainRegister& register_;
  const LogletFactory factory_;
  const Clock& clock_;
  std::mutex refresh_mutex_;  // one refresh at a time; held during I/O
  mutable std::mutex mutex_;  // guards current_
  OpenedPtr current_;
};

}  // namespace kafed::metastore
