#include "metastore/log/memory_quorum.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace kafed::metastore {

void MemoryServers::SetFaults(Faults faults) {
  std::lock_guard lock(fault_mutex_);
  faults_ = std::move(faults);
}

MemoryServers::Fault MemoryServers::NextFault() {
  Faults faults;
  {
    std::lock_guard lock(fault_mutex_);
    faults = faults_;
  }
  return faults ? faults() : Fault::kNone;
}

absl::StatusOr<std::unique_ptr<MemoryQuorumLoglet>> MemoryQuorumLoglet::Open(
    MemoryServers* servers, QuorumLogletOptions options, const Clock& clock) {
  std::unique_ptr<MemoryQuorumLoglet> loglet(
      new MemoryQuorumLoglet(servers, std::move(options), clock));
  RETURN_IF_ERROR(loglet->Call([&]() -> absl::Status {
    if (servers->begins_.empty()) {
      servers->begins_ = loglet->Begins();
      servers->values_[kGate] = {kOpen};
      servers->values_[kTrimmed] = {loglet->NothingTrimmed()};
    }
    return loglet->CheckBegins(servers->begins_);
  }));
  RETURN_IF_ERROR(loglet->Start());
  return loglet;
}

MemoryQuorumLoglet::MemoryQuorumLoglet(MemoryServers* servers,
                                       QuorumLogletOptions options,
                                       const Clock& clock)
    : QuorumLoglet(std::move(options),
                   {"the servers in memory", kMaxBatchBytes, kMaxBatchEntries},
                   clock),
      servers_(*servers) {}

MemoryQuorumLoglet::~MemoryQuorumLoglet() { Stop(); }

absl::Status MemoryQuorumLoglet::Call(
    const std::function<absl::Status()>& work) const {
  const MemoryServers::Fault fault = servers_.NextFault();
  if (fault == MemoryServers::Fault::kUnreachable) {
    return absl::UnavailableError("the servers can't be reached");
  }
  std::lock_guard lock(servers_.mutex_);
  absl::Status done = work();
  if (fault == MemoryServers::Fault::kLostReply) {
    return absl::UnavailableError("the reply was lost");
  }
  return done;
}

absl::Status MemoryQuorumLoglet::ProveQuorum() {
  return Call([] { return absl::OkStatus(); });
}

absl::StatusOr<QuorumLoglet::Value> MemoryQuorumLoglet::ReadValue(
    const char* name) {
  Value value;
  RETURN_IF_ERROR(Call([&] {
    const MemoryServers::Value& found = servers_.values_[name];
    value = {found.data, found.version};
    return absl::OkStatus();
  }));
  return value;
}

absl::StatusOr<int64_t> MemoryQuorumLoglet::SetValue(const char* name,
                                                     std::string_view data,
                                                     int64_t version) {
  int64_t set = 0;
  RETURN_IF_ERROR(Call([&]() -> absl::Status {
    MemoryServers::Value& found = servers_.values_[name];
    if (found.version != version) {
      return absl::AbortedError(
          absl::StrCat(name, " has version ", found.version));
    }
    found.data = std::string(data);
    set = ++found.version;
    return absl::OkStatus();
  }));
  servers_.changes_.Raise();
  return set;
}

absl::StatusOr<QuorumLoglet::State> MemoryQuorumLoglet::ReadState(
    LogIndex /*next*/) {
  State state;
  ASSIGN_OR_RETURN(state.gate, ReadValue(kGate));
  ASSIGN_OR_RETURN(state.trimmed, ReadValue(kTrimmed));
  return state;  // the entries are asked for
}

absl::StatusOr<std::vector<StoredEntry>> MemoryQuorumLoglet::ReadEntries(
    LogIndex from, size_t count) {
  std::vector<StoredEntry> entries;
  RETURN_IF_ERROR(Call([&]() -> absl::Status {
    for (uint64_t index = from.value(); entries.size() < count; ++index) {
      const auto at = servers_.entries_.find(index);
      if (at == servers_.entries_.end()) break;
      ASSIGN_OR_RETURN(StoredEntry stored,
                       DecodeLogValue(LogIndex(index), at->second));
      entries.push_back(std::move(stored));
    }
    return absl::OkStatus();
  }));
  return entries;
}

absl::StatusOr<std::optional<StoredEntry>> MemoryQuorumLoglet::ReadNewest() {
  std::optional<StoredEntry> newest;
  RETURN_IF_ERROR(Call([&]() -> absl::Status {
    if (servers_.entries_.empty()) return absl::OkStatus();
    const auto& [index, value] = *servers_.entries_.rbegin();
    ASSIGN_OR_RETURN(newest, DecodeLogValue(LogIndex(index), value));
    return absl::OkStatus();
  }));
  return newest;
}

AppendOutcome MemoryQuorumLoglet::Write(int64_t gate_version, LogIndex first,
                                        std::vector<std::string> values) {
  const LogIndex last(first.value() + values.size() - 1);
  const absl::Status done = Call([&]() -> absl::Status {
    auto& entries = servers_.entries_;
    const bool follows =
        first == options().first || entries.contains(first.value() - 1);
    const bool as_it_was = servers_.values_[kGate].version == gate_version &&
                           follows && !entries.contains(first.value());
    if (!as_it_was && !servers_.skip_checks_) {
      return absl::AbortedError("not as it was");
    }
    for (size_t i = 0; i < values.size(); ++i) {
      entries[first.value() + i] = std::move(values[i]);
    }
    return absl::OkStatus();
  });
  servers_.changes_.Raise();
  if (done.ok()) return OkOutcome(last);
  if (absl::IsAborted(done)) return ConflictOutcome(first, LogIndex(0));
  return UnknownOutcome(LogIndex(0), done);
}

absl::Status MemoryQuorumLoglet::DeleteEntries(LogIndex from, LogIndex before) {
  return Call([&] {
    auto& entries = servers_.entries_;
    entries.erase(entries.lower_bound(from.value()),
                  entries.lower_bound(before.value()));
    return absl::OkStatus();
  });
}

absl::StatusOr<QuorumLoglet::Seen> MemoryQuorumLoglet::Look(LogIndex next) {
  Seen seen = Seen::kNothing;
  RETURN_IF_ERROR(Call([&] {
    if (servers_.entries_.contains(next.value())) seen = Seen::kNext;
    if (servers_.values_[kGate].data != kOpen) seen = Seen::kMore;
    return absl::OkStatus();
  }));
  return seen;
}

uint64_t MemoryQuorumLoglet::Changes() const { return servers_.changes_.Get(); }

void MemoryQuorumLoglet::WaitForChange(uint64_t seen,
                                       milliseconds timeout) const {
  servers_.changes_.WaitAbove(seen, timeout);
}

void MemoryQuorumLoglet::Wake() { servers_.changes_.Raise(); }

}  // namespace kafed::metastore
