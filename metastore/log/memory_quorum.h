// A quorum in memory: the twin of ZooKeeper and of etcd, for tests and
// simulations. Nothing survives it.
//
//   MemoryServers        what the servers keep, and what goes wrong with them
//   MemoryQuorumLoglet   the loglet of one node on them
//
// It keeps to the same steps as the loglets on real servers, each atomic, and
// the rules above the steps (quorum_loglet.h) are the very same code. Faults
// are put at single calls: one that never arrives, and one that is carried out
// though its reply is lost.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "metastore/coord/change_count.h"
#include "metastore/log/quorum_loglet.h"

namespace kafed::metastore {

class MemoryServers {
 public:
  enum class Fault {
    kNone,
    kUnreachable,  // the call is not carried out
    kLostReply,    // it is, but the caller is not told
  };
  // Asked before each call of a loglet, by its thread; may take its time.
  using Faults = std::function<Fault()>;

  void SetFaults(Faults faults);
  // From now on the servers forget to look at gate and predecessor: to see that
  // a simulation notices.
  void SkipChecks() { skip_checks_ = true; }

 private:
  friend class MemoryQuorumLoglet;
  struct Value {
    std::string data;
    int64_t version = 1;
  };

  Fault NextFault();

  bool skip_checks_ = false;
  std::mutex fault_mutex_;
  Faults faults_;
  std::mutex mutex_;
  std::string begins_;
  std::map<std::string, Value> values_;      // the gate, what is trimmed
  std::map<uint64_t, std::string> entries_;  // as store/log_value.h
  ChangeCount changes_;
};

class MemoryQuorumLoglet : public QuorumLoglet {
 public:
  static constexpr size_t kMaxBatchBytes = 1 << 20;
  static constexpr size_t kMaxBatchEntries = 128;

  // `servers` keep one loglet, and outlive it; so does `clock`. Errors as those
  // of the loglets on real servers.
  static absl::StatusOr<std::unique_ptr<MemoryQuorumLoglet>> Open(
      MemoryServers* servers, QuorumLogletOptions options,
      const Clock& clock = RealClock());
  ~MemoryQuorumLoglet() override;

 private:
  MemoryQuorumLoglet(MemoryServers* servers, QuorumLogletOptions options,
                     const Clock& clock);
  // Carries out `work` under the servers' lock, or does not, as faults say.
  absl::Status Call(const std::function<absl::Status()>& work) const;

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

  MemoryServers& servers_;
};

}  // namespace kafed::metastore
