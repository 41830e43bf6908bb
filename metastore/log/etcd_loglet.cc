#include "metastore/log/etcd_loglet.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"

namespace kafed::metastore {
namespace {

using Check = EtcdCheck;

constexpr size_t kDigits = 20;
constexpr uint64_t kDeletesAtOnce = 1'000;
// Entries that a look at the state brings along.
constexpr size_t kEntriesOfState = 8;
// News of more bytes are dropped, and read when they are wanted.
constexpr size_t kMaxNewsBytes = 4 << 20;
// Entries that were trimmed just when they were looked at.
constexpr int kMaxTries = 5;

}  // namespace

absl::StatusOr<std::unique_ptr<EtcdLoglet>> EtcdLoglet::Open(
    EtcdSession* session, QuorumLogletOptions options, const Clock& clock) {
  std::unique_ptr<EtcdLoglet> loglet(
      new EtcdLoglet(session, std::move(options), clock));
  RETURN_IF_ERROR(loglet->MakeKeys());
  EtcdLoglet& self = *loglet;
  // The gate's key is the last of the range.
  loglet->watch_ = std::make_unique<EtcdWatch>(
      session, self.Child("e/"), self.Child(kGate) + '\0',
      EtcdWatch::Functions{
          .on_set =
              [&self] {
                {
                  std::lock_guard lock(self.news_mutex_);
                  self.unsure_ = true;
                }
                self.changes_.Raise();
              },
          .on_put = [&self](
                        std::string_view key,
                        std::string_view value) { self.NotePut(key, value); },
          .on_told = [&self] { self.changes_.Raise(); }});
  RETURN_IF_ERROR(loglet->Start());
  return loglet;
}

EtcdLoglet::EtcdLoglet(EtcdSession* session, QuorumLogletOptions options,
                       const Clock& clock)
    : QuorumLoglet(std::move(options),
                   {"etcd", kMaxBatchBytes, kMaxBatchEntries}, clock),
      session_(*session) {}

EtcdLoglet::~EtcdLoglet() {
  watch_.reset();
  Stop();
}

std::string EtcdLoglet::Child(const char* name) const {
  return absl::StrCat(options().path, "/", name);
}

std::string EtcdLoglet::EntryKey(LogIndex index) const {
  return absl::StrFormat("%s/e/%020d", options().path, index.value());
}

EtcdRange EtcdLoglet::Entries(LogIndex from, size_t count) const {
  return {EntryKey(from), EntryKey(LogIndex(from.value() + count)),
          static_cast<int64_t>(count)};
}

absl::StatusOr<LogIndex> EtcdLoglet::IndexOf(std::string_view key) const {
  uint64_t index = 0;
  const std::string digits(
      key.substr(key.size() - std::min(key.size(), kDigits)));
  if (!absl::SimpleAtoi(digits, &index) || key != EntryKey(LogIndex(index))) {
    return absl::DataLossError(absl::StrCat("etcd has a key ", std::string(key),
                                            ", expected entries like ",
                                            EntryKey(LogIndex(1))));
  }
  return LogIndex(index);
}

absl::Status EtcdLoglet::MakeKeys() {
  const std::string& path = options().path;
  const Check absent{Check::Kind::kAbsent, path};
  const std::vector<EtcdWrite> writes = {
      {EtcdWrite::Kind::kPut, path, Begins()},
      {EtcdWrite::Kind::kPut, Child(kGate), kOpen},
      {EtcdWrite::Kind::kPut, Child(kTrimmed), NothingTrimmed()},
  };
  const auto made = session_.Commit({&absent, 1}, writes);
  if (!absl::IsAborted(made.status())) RETURN_IF_ERROR(made.status());
  ASSIGN_OR_RETURN(const EtcdPair found, session_.Get(path));
  return CheckBegins(found.value);
}

absl::Status EtcdLoglet::ProveQuorum() {
  return absl::OkStatus();  // every read does
}

absl::StatusOr<QuorumLoglet::Value> EtcdLoglet::ReadValue(const char* name) {
  ASSIGN_OR_RETURN(EtcdPair pair, session_.Get(Child(name)));
  return Value{std::move(pair.value), pair.revision};
}

absl::StatusOr<int64_t> EtcdLoglet::SetValue(const char* name,
                                             std::string_view data,
                                             int64_t version) {
  const Check same{Check::Kind::kRevision, Child(name), version};
  const EtcdWrite put{EtcdWrite::Kind::kPut, Child(name), std::string(data)};
  return session_.Commit({&same, 1}, {&put, 1});
}

absl::StatusOr<QuorumLoglet::State> EtcdLoglet::ReadState(LogIndex next) {
  const std::vector<EtcdRange> ranges = {
      {Child(kGate)}, {Child(kTrimmed)}, Entries(next, kEntriesOfState)};
  ASSIGN_OR_RETURN(auto found, session_.FindAll(ranges));
  if (found[0].pairs.empty() || found[1].pairs.empty()) {
    return absl::DataLossError(absl::StrCat(
        "etcd has no key ", Child(found[0].pairs.empty() ? kGate : kTrimmed),
        ": the log has been deleted"));
  }
  State state;
  EtcdPair& gate = found[0].pairs[0];
  EtcdPair& trimmed = found[1].pairs[0];
  state.gate = {std::move(gate.value), gate.revision};
  state.trimmed = {std::move(trimmed.value), trimmed.revision};
  // A damaged one is reported when it is asked for: the tail may be far beyond.
  auto entries = Decode(next, found[2].pairs);
  state.more = !entries.ok() || entries->size() == kEntriesOfState;
  if (entries.ok()) state.next = *std::move(entries);
  return state;
}

absl::StatusOr<std::vector<StoredEntry>> EtcdLoglet::Decode(
    LogIndex from, const std::vector<EtcdPair>& pairs) const {
  std::vector<StoredEntry> entries;
  entries.reserve(pairs.size());
  for (const EtcdPair& pair : pairs) {
    const LogIndex index(from.value() + entries.size());
    ASSIGN_OR_RETURN(const LogIndex found, IndexOf(pair.key));
    if (found != index) break;
    ASSIGN_OR_RETURN(StoredEntry stored, DecodeLogValue(index, pair.value));
    entries.push_back(std::move(stored));
  }
  return entries;
}

absl::StatusOr<std::vector<StoredEntry>> EtcdLoglet::ReadEntries(LogIndex from,
                                                                 size_t count) {
  ASSIGN_OR_RETURN(const EtcdFound found, session_.Find(Entries(from, count)));
  return Decode(from, found.pairs);
}

absl::StatusOr<std::optional<StoredEntry>> EtcdLoglet::ReadNewest() {
  for (int tries = 0; tries < kMaxTries; ++tries) {
    // Entries have no gaps, so their number tells the last; to sort them the
    // other way round etcd would read them all.
    ASSIGN_OR_RETURN(const EtcdFound all,
                     session_.Find({.from = Child("e/"),
                                    .to = Child("e0"),  // '0' is behind '/'
                                    .limit = 1}));
    if (all.pairs.empty()) return std::nullopt;
    ASSIGN_OR_RETURN(const LogIndex oldest, IndexOf(all.pairs[0].key));
    const LogIndex newest(oldest.value() + static_cast<uint64_t>(all.count) -
                          1);
    ASSIGN_OR_RETURN(auto entries, ReadEntries(newest, 1));
    if (!entries.empty()) return std::move(entries[0]);
    // Newer ones have come meanwhile, and it was trimmed.
  }
  return absl::DataLossError(
      absl::StrCat("etcd: the keys below ", Child("e/"),
                   " are not entries without a gap: count and names differ"));
}

AppendOutcome EtcdLoglet::Write(int64_t gate_version, LogIndex first,
                                std::vector<std::string> values) {
  const LogIndex none(0);
  std::vector<Check> checks = {
      {Check::Kind::kRevision, Child(kGate), gate_version},
      // There are no gaps, so those behind it are absent too.
      {Check::Kind::kAbsent, EntryKey(first)}};
  if (first > options().first) {
    checks.push_back(
        {Check::Kind::kPresent, EntryKey(LogIndex(first.value() - 1))});
  }
  std::vector<EtcdWrite> puts;
  puts.reserve(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    puts.push_back({EtcdWrite::Kind::kPut,
                    EntryKey(LogIndex(first.value() + i)),
                    std::move(values[i])});
  }
  const auto done = session_.Commit(checks, puts);
  if (done.ok()) return OkOutcome(LogIndex(first.value() + puts.size() - 1));
  if (absl::IsUnavailable(done.status())) {
    return UnknownOutcome(none, done.status());
  }
  if (absl::IsAborted(done.status())) return ConflictOutcome(first, none);
  if (absl::IsResourceExhausted(done.status())) {
    // A member whose space was used up by this very request says so, and has
    // done it all the same.
    const auto stands = ReadEntries(first, 1);
    if (!stands.ok()) return UnknownOutcome(none, stands.status());
    if (!stands->empty()) return ConflictOutcome(first, none);
  }
  return RefusedOutcome(none, done.status());
}

absl::Status EtcdLoglet::DeleteEntries(LogIndex from, LogIndex before) {
  while (from < before) {
    const LogIndex to(std::min(from.value() + kDeletesAtOnce, before.value()));
    const EtcdWrite deletes{EtcdWrite::Kind::kDelete, EntryKey(from),
                            EntryKey(to)};
    RETURN_IF_ERROR(session_.Commit({}, {&deletes, 1}).status());
    from = to;
  }
  return absl::OkStatus();
}

void EtcdLoglet::NotePut(std::string_view key, std::string_view value) {
  std::lock_guard lock(news_mutex_);
  const auto index = IndexOf(key);
  if (!index.ok() || news_bytes_ > kMaxNewsBytes) {
    unsure_ = true;  // the gate, or one of too many
    return;
  }
  auto stored = DecodeLogValue(*index, value);
  if (!stored.ok()) {
    unsure_ = true;  // whoever reads it is told
    return;
  }
  news_bytes_ += value.size();
  news_.push_back(*std::move(stored));
}

absl::StatusOr<QuorumLoglet::Seen> EtcdLoglet::Look(LogIndex /*next*/) {
  std::vector<StoredEntry> news;
  bool unsure = false;
  {
    std::lock_guard lock(news_mutex_);
    news = std::exchange(news_, {});
    news_bytes_ = 0;
    unsure = std::exchange(unsure_, false);
  }
  const bool without_gap = NoteNews(std::move(news));
  return unsure || !without_gap ? Seen::kMore : Seen::kNothing;
}

uint64_t EtcdLoglet::Changes() const { return changes_.Get(); }

void EtcdLoglet::WaitForChange(uint64_t seen, milliseconds timeout) const {
  changes_.WaitAbove(seen, timeout);
}

void EtcdLoglet::Wake() { changes_.Raise(); }

}  // namespace kafed::metastore
