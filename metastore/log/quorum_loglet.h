// The rules of a loglet that a quorum of servers keeps for several nodes.
//
// What is the same on all servers: when an append is tried again and what its
// outcome means, the budget, trimming, sealing, reading ahead, following. How
// it is laid out and asked for is the business of the loglets derived from it,
// each over the session of its servers.
//
//   gate      "open" or "sealed"; has a version that every change raises
//   trimmed   "FIRST_KEPT DELETED_BEFORE"; likewise
//   entry N   bytes as store/log_value.h
//
// Every append is one step of the servers: the gate is as it was (nobody has
// sealed), the predecessor stands, and the entry does not. So no gap can form,
// and nothing follows a seal. Appends are not pipelined; who will pipeline must
// also learn of foreign appends, by a change of the gate. A reply that is lost
// leaves the outcome open; the writer repeats the same append, and ids are
// compared.
//
// A trim is first said, then done, from the oldest entry up: what is missing is
// known to be trimmed, and what stands has no gaps meanwhile either.
//
// One append at a time; reads do not wait for it. A thread follows the log, for
// WaitFor and to read ahead. Thread-safe.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "metastore/log/loglet.h"
#include "metastore/log/tail_signal.h"
#include "metastore/store/log_value.h"

namespace kafed::metastore {

struct QuorumLogletOptions {
  std::string path;  // of its own, such as "/kafed/log-1"; made when missing
  LogIndex first{1};
  // Payload bytes kept at most; beyond it appends are refused rather than
  // history lost. 0: no limit.
  uint64_t budget_bytes = 0;
};

class QuorumLoglet : public Loglet {
 public:
  LogIndex First() const override { return options_.first; }
  absl::StatusOr<TailState> CheckTail() override;
  // As SharedLog; a batch of more than the servers take at once is
  // InvalidArgument.
  AppendOutcome AppendBatchAt(LogIndex first,
                              std::span<const LogEntry> entries) override;
  absl::StatusOr<std::vector<LogEntry>> Read(LogIndex from,
                                             size_t max_bytes) override;
  absl::StatusOr<LogIndex> FirstKept() override;
  absl::StatusOr<uint64_t> SizeBytes() override;
  absl::Status WaitFor(LogIndex index, milliseconds deadline) override;
  absl::Status Trim(LogIndex before) override;
  absl::StatusOr<LogIndex> Seal() override;

 protected:
  static constexpr char kGate[] = "gate";
  static constexpr char kTrimmed[] = "trimmed";
  static constexpr char kOpen[] = "open";

  // What the servers take as one step.
  struct Limits {
    const char* servers;  // their name, for messages
    size_t batch_bytes;
    size_t batch_entries;
  };
  struct Value {
    std::string data;
    int64_t version = 0;
  };
  struct State {
    Value gate;
    Value trimmed;
    std::vector<StoredEntry> next;
    bool more = true;  // there may be entries behind those
  };

  // kNext: that entry stands, and no more is known than that.
  enum class Seen { kNothing, kNext, kMore };

  QuorumLoglet(QuorumLogletOptions options, const Limits& limits,
               const Clock& clock);
  // Learns the state, and begins to follow.
  absl::Status Start();
  // Ends the thread. REQUIRED in the destructor of what is derived.
  void Stop();

  const QuorumLogletOptions& options() const { return options_; }
  // What is at the path of a loglet, and "trimmed" before any trim.
  std::string Begins() const;
  std::string NothingTrimmed() const;
  // FailedPrecondition unless `found` is Begins().
  absl::Status CheckBegins(std::string_view found) const;
  // Takes what the servers have told of unasked, in order; whether there was
  // no gap before it.
  bool NoteNews(std::vector<StoredEntry> news);

  // All that follows is what a kind of servers brings.

  // After it, reads see all that was acknowledged anywhere before it.
  virtual absl::Status ProveQuorum() = 0;
  // The gate is as of a moment not after that of the entries from `next` on.
  virtual absl::StatusOr<State> ReadState(LogIndex next) = 0;
  virtual absl::StatusOr<Value> ReadValue(const char* name) = 0;
  // The new version; Aborted when the version is another one meanwhile.
  virtual absl::StatusOr<int64_t> SetValue(const char* name,
                                           std::string_view data,
                                           int64_t version) = 0;
  // At most `count` entries, up to the first that does not stand.
  virtual absl::StatusOr<std::vector<StoredEntry>> ReadEntries(
      LogIndex from, size_t count) = 0;
  // One that is not far from the tail; nullopt: there are none.
  virtual absl::StatusOr<std::optional<StoredEntry>> ReadNewest() = 0;
  // The step of an append, `values` as store/log_value.h; its predecessor is
  // checked unless it is the loglet's first. kConflict when a check does not
  // hold, kUnknown or kRefused; the tail is not set.
  virtual AppendOutcome Write(int64_t gate_version, LogIndex first,
                              std::vector<std::string> values) = 0;
  // From the oldest up; those that are gone are no error.
  virtual absl::Status DeleteEntries(LogIndex from, LogIndex before) = 0;
  // Makes Changes rise when the gate or the entry `next` changes; what there is
  // to learn already.
  virtual absl::StatusOr<Seen> Look(LogIndex next) = 0;
  virtual uint64_t Changes() const = 0;
  // Until Changes is above `seen`, or the time is up.
  virtual void WaitForChange(uint64_t seen, milliseconds timeout) const = 0;
  virtual void Wake() = 0;

 private:
  struct Trimmed {
    LogIndex first_kept;
    LogIndex deleted_before;  // deletion may be behind
    int64_t version = 0;
  };

  absl::Status CheckSize(LogIndex first,
                         std::span<const LogEntry> entries) const;
  absl::StatusOr<Trimmed> ReadTrimmed();
  absl::StatusOr<Trimmed> NoteTrimmed(const Value& value);

  // All REQUIRE mutex_.
  // Learns the gate, what is trimmed, and the tail.
  absl::Status Refresh();
  absl::Status CheckRoom(uint64_t added_bytes);
  absl::StatusOr<uint64_t> KeptBytes();
  AppendOutcome TryAppend(LogIndex first, std::span<const LogEntry> entries,
                          bool* again);
  // The outcome of an append at an index that is taken already.
  AppendOutcome Compare(LogIndex first, std::span<const LogEntry> entries);
  void NoteTail(LogIndex tail, uint64_t running_bytes);
  // Those that are next; whether all were, or known already.
  bool NoteEntries(std::vector<StoredEntry> entries);

  void Follow();  // the thread

  const QuorumLogletOptions options_;
  const Limits limits_;
  TailSignal signal_;
  std::atomic<uint64_t> first_kept_;

  std::mutex mutex_;  // held during I/O
  LogIndex tail_;
  uint64_t running_bytes_ = 0;  // up to the tail
  uint64_t dropped_bytes_ = 0;  // of them, trimmed: at least
  int64_t gate_version_ = 0;
  bool sealed_ = false;

  std::mutex ahead_mutex_;
  std::map<LogIndex, LogEntry> ahead_;  // known, not yet read by Read
  size_t ahead_bytes_ = 0;

  std::atomic<bool> stopping_{false};
  std::thread follower_;
};

}  // namespace kafed::metastore
