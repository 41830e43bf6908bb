#include "metastore/log/virtual_log.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace kafed::metastore {
namespace {

// How often a waiter looks whether a sealed log goes on elsewhere.
constexpr milliseconds kChainLook{10};

}  // namespace

size_t VirtualLog::Opened::PlaceOf(LogIndex index) const {
  size_t place = loglets.size() - 1;
  while (place > 0 && index < chain.links[place].first) --place;
  return place;
}

VirtualLog::VirtualLog(ChainRegister* reg, LogletFactory factory,
                       const Clock& clock)
    : register_(*reg), factory_(std::move(factory)), clock_(clock) {}

absl::StatusOr<std::unique_ptr<VirtualLog>> VirtualLog::Open(
    ChainRegister* reg, LogletFactory factory, const ChainLink& initial,
    const Clock& clock) {
  ASSIGN_OR_RETURN(const Chain chain, reg->Read());
  if (chain.version == 0) {
    const auto set = reg->CompareAndSet(0, {initial});
    // Aborted: another node was first, which is as good.
    if (!set.ok() && !absl::IsAborted(set.status())) return set.status();
  }
  std::unique_ptr<VirtualLog> log(
      new VirtualLog(reg, std::move(factory), clock));
  RETURN_IF_ERROR(log->Refresh().status());
  return log;
}

VirtualLog::OpenedPtr VirtualLog::Current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

Chain VirtualLog::CurrentChain() const { return Current()->chain; }

absl::StatusOr<VirtualLog::OpenedPtr> VirtualLog::OpenChain(
    const Chain& chain, const Opened* known) const {
  RETURN_IF_ERROR(CheckLinks(chain.links));
  auto opened = std::make_shared<Opened>();
  opened->chain = chain;
  for (const ChainLink& link : chain.links) {
    std::shared_ptr<Loglet> loglet;
    for (size_t i = 0; known != nullptr && i < known->loglets.size(); ++i) {
      if (known->chain.links[i] == link) loglet = known->loglets[i];
    }
    if (loglet == nullptr) {
      ASSIGN_OR_RETURN(loglet, factory_(link));
      if (loglet->First() != link.first) {
        return absl::InternalError(absl::StrCat(
            "loglet '", link.loglet, "' begins at ", loglet->First().value(),
            ", not at ", link.first.value()));
      }
    }
    opened->loglets.push_back(std::move(loglet));
  }
  return OpenedPtr(std::move(opened));
}

absl::StatusOr<VirtualLog::OpenedPtr> VirtualLog::Refresh() {
  std::lock_guard refreshing(refresh_mutex_);
  ASSIGN_OR_RETURN(const Chain chain, register_.Read());
  const OpenedPtr known = Current();
  if (known != nullptr && known->chain.version >= chain.version) return known;
  ASSIGN_OR_RETURN(OpenedPtr opened, OpenChain(chain, known.get()));
  std::lock_guard lock(mutex_);
  current_ = opened;
  return opened;
}

absl::StatusOr<VirtualLog::OpenedPtr> VirtualLog::Newer(const OpenedPtr& seen) {
  ASSIGN_OR_RETURN(OpenedPtr now, Refresh());
  if (now->chain.version == seen->chain.version) return OpenedPtr();
  return now;
}

// The index is behind the last loglet: only a retry can be ok there.
AppendOutcome VirtualLog::AppendBehind(const Opened& opened, size_t place,
                                       LogIndex first,
                                       std::span<const LogEntry> entries) {
  AppendOutcome outcome = opened.loglets[place]->AppendBatchAt(first, entries);
  const auto tail = opened.last().Tail();
  if (tail.ok()) outcome.tail = *tail;
  if (outcome.result == AppendResult::kSealed) {
    if (!tail.ok()) return UnknownOutcome(LogIndex(0), tail.status());
    return ConflictOutcome(first, *tail);
  }
  return outcome;
}

AppendOutcome VirtualLog::AppendBatchAt(LogIndex first,
                                        std::span<const LogEntry> entries) {
  OpenedPtr opened = Current();
  while (true) {
    const size_t place = opened->PlaceOf(first);
    if (place + 1 < opened->loglets.size()) {
      return AppendBehind(*opened, place, first, entries);
    }
    AppendOutcome outcome = opened->last().AppendBatchAt(first, entries);
    if (outcome.result != AppendResult::kSealed) return outcome;
    auto newer = Newer(opened);
    if (!newer.ok()) {
      outcome.detail = Annotate(newer.status(), "cannot follow the chain");
      return outcome;
    }
    if (*newer == nullptr) return outcome;
    opened = *std::move(newer);
  }
}

absl::StatusOr<std::vector<LogEntry>> VirtualLog::Read(LogIndex from,
                                                       size_t max_bytes) {
  OpenedPtr opened = Current();
  while (true) {
    const size_t place = opened->PlaceOf(from);
    Loglet& loglet = *opened->loglets[place];
    if (from.valid() && place + 1 < opened->loglets.size()) {
      // Trimmed further on: what an older loglet still has is no longer part
      // of the log.
      ASSIGN_OR_RETURN(const LogIndex kept, FirstKept());
      if (from < kept) return TrimmedStatus(from, kept);
    }
    ASSIGN_OR_RETURN(auto entries, loglet.Read(from, max_bytes));
    if (!entries.empty()) return entries;
    if (place + 1 < opened->loglets.size()) {
      return absl::DataLossError(absl::StrCat(
          "log entry ", from.value(), " is missing: loglet '",
          opened->chain.links[place].loglet, "' ends before it and '",
          opened->chain.links[place + 1].loglet, "' begins after it"));
    }
    ASSIGN_OR_RETURN(const TailState state, loglet.CheckTail());
    if (!state.sealed) return entries;
    ASSIGN_OR_RETURN(OpenedPtr newer, Newer(opened));
    if (newer == nullptr) return entries;
    opened = std::move(newer);
  }
}

absl::StatusOr<LogIndex> VirtualLog::Tail() {
  OpenedPtr opened = Current();
  while (true) {
    ASSIGN_OR_RETURN(const TailState state, opened->last().CheckTail());
    if (!state.sealed) return state.tail;
    ASSIGN_OR_RETURN(OpenedPtr newer, Newer(opened));
    if (newer == nullptr) return state.tail;
    opened = std::move(newer);
  }
}

absl::StatusOr<LogIndex> VirtualLog::FirstKept() {
  const OpenedPtr opened = Current();
  size_t place = opened->loglets.size() - 1;
  ASSIGN_OR_RETURN(LogIndex kept, opened->loglets[place]->FirstKept());
  // Go back as long as nothing is missing in between.
  while (place > 0 && kept == opened->chain.links[place].first) {
    --place;
    ASSIGN_OR_RETURN(kept, opened->loglets[place]->FirstKept());
  }
  return kept;
}

absl::StatusOr<uint64_t> VirtualLog::SizeBytes() {
  uint64_t bytes = 0;
  for (const auto& loglet : Current()->loglets) {
    ASSIGN_OR_RETURN(const uint64_t added, loglet->SizeBytes());
    bytes += added;
  }
  return bytes;
}

absl::Status VirtualLog::WaitFor(LogIndex index, milliseconds deadline) {
  OpenedPtr opened = Current();
  while (true) {
    const size_t place = opened->PlaceOf(index);
    if (place + 1 < opened->loglets.size()) return absl::OkStatus();
    absl::Status waited = opened->last().WaitFor(index, deadline);
    if (!absl::IsFailedPrecondition(waited)) return waited;
    ASSIGN_OR_RETURN(OpenedPtr newer, Newer(opened));
    if (newer != nullptr) {
      opened = std::move(newer);
      continue;
    }
    if (clock_.Steady() >= deadline) return waited;
    std::this_thread::sleep_for(kChainLook);
  }
}

absl::Status VirtualLog::Trim(LogIndex before) {
  // Oldest first, so that what is kept is always without a gap.
  for (const auto& loglet : Current()->loglets) {
    RETURN_IF_ERROR(loglet->Trim(before));
  }
  return absl::OkStatus();
}

absl::StatusOr<LogIndex> VirtualLog::Seal() {
  OpenedPtr opened = Current();
  while (true) {
    ASSIGN_OR_RETURN(const LogIndex tail, opened->last().Seal());
    ASSIGN_OR_RETURN(OpenedPtr newer, Newer(opened));
    if (newer == nullptr) return tail;
    opened = std::move(newer);
  }
}

absl::Status VirtualLog::Extend(const std::string& loglet) {
  ASSIGN_OR_RETURN(const OpenedPtr opened, Refresh());
  ASSIGN_OR_RETURN(const LogIndex tail, opened->last().Seal());
  std::vector<ChainLink> links = opened->chain.links;
  links.push_back({loglet, Next(tail)});
  RETURN_IF_ERROR(
      register_.CompareAndSet(opened->chain.version, std::move(links))
          .status());
  return Refresh().status();
}

}  // namespace kafed::metastore
