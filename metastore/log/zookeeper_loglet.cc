#include "metastore/log/zookeeper_loglet.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace kafed::metastore {
namespace {

using Step = ZooKeeperStep;

constexpr uint64_t kBucketEntries = 1'000;
constexpr size_t kDeletesAtOnce = 100;
// Entries that a look at the state brings along: mostly there is one, and that
// the second is missing says so.
constexpr size_t kEntriesOfState = 2;

uint64_t BucketOf(LogIndex index) { return index.value() / kBucketEntries; }

// The greatest number among names; nullopt: there is none.
absl::StatusOr<std::optional<uint64_t>> Greatest(
    const std::vector<std::string>& names, const std::string& path) {
  std::optional<uint64_t> greatest;
  for (const std::string& name : names) {
    uint64_t number = 0;
    if (!absl::SimpleAtoi(name, &number)) {
      return absl::DataLossError(
          absl::StrCat(path, " has a node '", name, "' that is no number"));
    }
    greatest = std::max(greatest.value_or(0), number);
  }
  return greatest;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ZooKeeperLoglet>> ZooKeeperLoglet::Open(
    ZooKeeperSession* session, ZooKeeperLogletOptions options,
    const Clock& clock) {
  std::unique_ptr<ZooKeeperLoglet> loglet(
      new ZooKeeperLoglet(session, std::move(options), clock));
  RETURN_IF_ERROR(loglet->MakeNodes());
  RETURN_IF_ERROR(loglet->Start());
  return loglet;
}

ZooKeeperLoglet::ZooKeeperLoglet(ZooKeeperSession* session,
                                 ZooKeeperLogletOptions options,
                                 const Clock& clock)
    : QuorumLoglet(
          std::move(options),
          {"ZooKeeper", kMaxMultiBytes, std::numeric_limits<size_t>::max()},
          clock),
      session_(*session) {}

ZooKeeperLoglet::~ZooKeeperLoglet() { Stop(); }

std::string ZooKeeperLoglet::Child(const char* name) const {
  return absl::StrCat(options().path, "/", name);
}

std::string ZooKeeperLoglet::BucketPath(LogIndex index) const {
  return absl::StrCat(options().path, "/e/", BucketOf(index));
}

std::string ZooKeeperLoglet::EntryPath(LogIndex index) const {
  return absl::StrCat(BucketPath(index), "/", index.value());
}

absl::Status ZooKeeperLoglet::MakeNodes() {
  const std::string& path = options().path;
  // The folders above, one by one; then all of the loglet or nothing.
  RETURN_IF_ERROR(session_.CreateFolders(path));
  const std::vector<Step> steps = {
      {Step::Kind::kCreate, path, Begins()},
      {Step::Kind::kCreate, Child(kGate), kOpen},
      {Step::Kind::kCreate, Child(kTrimmed), NothingTrimmed()},
      {Step::Kind::kCreate, Child("probe"), ""},
      {Step::Kind::kCreate, Child("e"), ""},
  };
  absl::Status made = session_.Multi(steps).status;
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  ASSIGN_OR_RETURN(const ZooKeeperNode node, session_.Get(path));
  return CheckBegins(node.data);
}

absl::Status ZooKeeperLoglet::ProveQuorum() {
  // What was acknowledged anywhere stands before this write.
  return session_.Set(Child("probe"), "").status();
}

absl::StatusOr<QuorumLoglet::Value> ZooKeeperLoglet::ReadValue(
    const char* name) {
  ASSIGN_OR_RETURN(ZooKeeperNode node, session_.Get(Child(name)));
  return Value{std::move(node.data), node.version};
}

absl::StatusOr<int64_t> ZooKeeperLoglet::SetValue(const char* name,
                                                  std::string_view data,
                                                  int64_t version) {
  return session_.Set(Child(name), data, static_cast<int32_t>(version));
}

absl::StatusOr<QuorumLoglet::State> ZooKeeperLoglet::ReadState(LogIndex next) {
  // One round trip for all; the gate is the oldest of them.
  std::vector<std::string> paths = EntryPaths(next, kEntriesOfState);
  paths.insert(paths.begin(), {Child(kGate), Child(kTrimmed)});
  auto nodes = session_.GetMany(paths);
  RETURN_IF_ERROR(nodes[0].status());
  RETURN_IF_ERROR(nodes[1].status());
  State state;
  state.gate = {std::move(nodes[0]->data), nodes[0]->version};
  state.trimmed = {std::move(nodes[1]->data), nodes[1]->version};
  // A damaged one is reported when it is asked for: the tail may be far beyond.
  auto entries = Decode(next, std::span(nodes).subspan(2));
  if (absl::IsUnavailable(entries.status())) return entries.status();
  state.more = !entries.ok() || entries->size() == kEntriesOfState;
  if (entries.ok()) state.next = *std::move(entries);
  return state;
}

std::vector<std::string> ZooKeeperLoglet::EntryPaths(LogIndex from,
                                                     size_t count) const {
  std::vector<std::string> paths;
  paths.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    paths.push_back(EntryPath(LogIndex(from.value() + i)));
  }
  return paths;
}

absl::StatusOr<std::vector<StoredEntry>> ZooKeeperLoglet::Decode(
    LogIndex from, std::span<const absl::StatusOr<ZooKeeperNode>> nodes) {
  std::vector<StoredEntry> entries;
  entries.reserve(nodes.size());
  for (const auto& node : nodes) {
    if (absl::IsNotFound(node.status())) break;
    RETURN_IF_ERROR(node.status());
    const LogIndex index(from.value() + entries.size());
    ASSIGN_OR_RETURN(StoredEntry stored, DecodeLogValue(index, node->data));
    entries.push_back(std::move(stored));
  }
  return entries;
}

absl::StatusOr<std::vector<StoredEntry>> ZooKeeperLoglet::ReadEntries(
    LogIndex from, size_t count) {
  return Decode(from, session_.GetMany(EntryPaths(from, count)));
}

absl::StatusOr<std::optional<StoredEntry>> ZooKeeperLoglet::ReadNewest() {
  ASSIGN_OR_RETURN(const auto names, session_.Children(Child("e")));
  ASSIGN_OR_RETURN(auto bucket, Greatest(names, Child("e")));
  // A bucket is made before its first entry, so the last may be empty.
  while (bucket) {
    const LogIndex in_bucket(*bucket * kBucketEntries);
    const auto entries = session_.Children(BucketPath(in_bucket));
    if (absl::IsNotFound(entries.status())) break;  // trimmed just now
    RETURN_IF_ERROR(entries.status());
    ASSIGN_OR_RETURN(const auto last,
                     Greatest(*entries, BucketPath(in_bucket)));
    if (last) {
      const LogIndex index(*last);
      ASSIGN_OR_RETURN(const ZooKeeperNode node,
                       session_.Get(EntryPath(index)));
      ASSIGN_OR_RETURN(StoredEntry stored, DecodeLogValue(index, node.data));
      return stored;
    }
    if (*bucket == 0) break;
    --*bucket;
  }
  return std::nullopt;
}

absl::Status ZooKeeperLoglet::EnsureBuckets(LogIndex first, LogIndex last) {
  for (uint64_t bucket = BucketOf(first); bucket <= BucketOf(last); ++bucket) {
    if (buckets_.contains(bucket)) continue;
    absl::Status made =
        session_.Create(BucketPath(LogIndex(bucket * kBucketEntries)), "");
    if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
    buckets_.insert(bucket);
  }
  while (buckets_.size() > 2) buckets_.erase(buckets_.begin());
  return absl::OkStatus();
}

AppendOutcome ZooKeeperLoglet::Write(int64_t gate_version, LogIndex first,
                                     std::vector<std::string> values) {
  const LogIndex none(0);
  const LogIndex last(first.value() + values.size() - 1);
  if (absl::Status made = EnsureBuckets(first, last); !made.ok()) {
    return RefusedOutcome(none, std::move(made));
  }
  std::vector<Step> steps;
  steps.reserve(values.size() + 2);
  steps.push_back({Step::Kind::kCheck, Child(kGate), "",
                   static_cast<int32_t>(gate_version)});
  if (first > options().first) {
    steps.push_back(
        {Step::Kind::kCheck, EntryPath(LogIndex(first.value() - 1)), ""});
  }
  const size_t creates_at = steps.size();
  for (size_t i = 0; i < values.size(); ++i) {
    steps.push_back({Step::Kind::kCreate,
                     EntryPath(LogIndex(first.value() + i)),
                     std::move(values[i])});
  }
  ZooKeeperMulti done = session_.Multi(steps);
  if (done.status.ok()) return OkOutcome(last);
  if (absl::IsUnavailable(done.status)) {
    return UnknownOutcome(none, std::move(done.status));
  }
  const bool lost_race = absl::IsAborted(done.status) ||
                         absl::IsAlreadyExists(done.status) ||
                         absl::IsNotFound(done.status);
  if (!lost_race) return RefusedOutcome(none, std::move(done.status));
  if (done.failed_step >= creates_at && absl::IsNotFound(done.status)) {
    buckets_.clear();  // trimmed away by another node
  }
  return ConflictOutcome(first, none);
}

absl::Status ZooKeeperLoglet::DeleteEntries(LogIndex from, LogIndex before) {
  while (from < before) {
    std::vector<Step> steps;
    while (from < before && steps.size() < kDeletesAtOnce) {
      steps.push_back({Step::Kind::kDelete, EntryPath(from), ""});
      from = Next(from);
    }
    absl::Status deleted = session_.Multi(steps).status;
    if (deleted.ok()) continue;
    if (!absl::IsNotFound(deleted)) return deleted;
    // A trim that ended half way, or another node's.
    for (const Step& step : steps) {
      absl::Status one = session_.Delete(step.path);
      if (!one.ok() && !absl::IsNotFound(one)) return one;
    }
  }
  ASSIGN_OR_RETURN(const auto buckets, session_.Children(Child("e")));
  for (const std::string& name : buckets) {
    uint64_t bucket = 0;
    if (!absl::SimpleAtoi(name, &bucket) || bucket >= BucketOf(before)) {
      continue;
    }
    absl::Status one = session_.Delete(absl::StrCat(Child("e"), "/", name));
    if (!one.ok() && !absl::IsNotFound(one)) return one;
  }
  return absl::OkStatus();
}

absl::StatusOr<QuorumLoglet::Seen> ZooKeeperLoglet::Look(LogIndex next) {
  const uint64_t changes = session_.changes();
  if (next == watched_ && changes == looked_at_ + 1) {
    // One event, and if the entry stands it was that one's: the gate is still
    // watched. Should it have been the gate's, the entry's comes now, is one
    // too many, and leads to the look below.
    ASSIGN_OR_RETURN(auto entries, ReadEntries(next, 1));
    if (!entries.empty()) {
      NoteNews(std::move(entries));
      watched_ = LogIndex(0);
      ASSIGN_OR_RETURN(const bool more,
                       session_.Exists(EntryPath(Next(next)), true));
      watched_ = Next(next);
      looked_at_ = changes;
      return more ? Seen::kNext : Seen::kNothing;
    }
  }
  watched_ = LogIndex(0);
  // The watches first: what comes behind them wakes.
  ASSIGN_OR_RETURN(const ZooKeeperNode gate, session_.Get(Child(kGate), true));
  ASSIGN_OR_RETURN(const bool more, session_.Exists(EntryPath(next), true));
  watched_ = next;
  looked_at_ = changes;
  if (gate.data != kOpen) return Seen::kMore;
  return more ? Seen::kNext : Seen::kNothing;
}

uint64_t ZooKeeperLoglet::Changes() const { return session_.changes(); }

void ZooKeeperLoglet::WaitForChange(uint64_t seen, milliseconds timeout) const {
  session_.WaitForChange(seen, timeout);
}

void ZooKeeperLoglet::Wake() { session_.Wake(); }

}  // namespace kafed::metastore
