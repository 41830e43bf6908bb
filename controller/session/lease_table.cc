#include "controller/session/lease_table.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"

namespace kafed::controller {

using federation::Table;

LeaseTable::LeaseTable(const LeaseOptions& options, const Clock* clock,
                       const federation::Image& image)
    : options_(options), clock_(*clock) {
  const milliseconds now = clock_.Steady();
  absl::MutexLock lock(&mutex_);
  // A log that has only just begun had no former processes.
  const bool first = image.head().index.value() <= 1;
  unary_end_ = first ? now : now + options_.multicast_ttl;
  proven_at_ = now - options_.session_ttl;
  image.table(Table::kSessions)
      .ForEach([&](std::string_view key, std::string_view) {
        mutex_.AssertHeld();
        Entry& entry = entries_[ByteReader(key).Big64()];
        entry.last_heard = now;
        entry.grants.push_back({image.position(), now + options_.session_ttl,
                                now + options_.multicast_ttl});
      });
}

void LeaseTable::Proven(milliseconds at) {
  absl::MutexLock lock(&mutex_);
  proven_at_ = std::max(proven_at_, at);
}

milliseconds LeaseTable::ProvenAt() const {
  if (!options_.shared_log) return clock_.Steady();
  absl::MutexLock lock(&mutex_);
  return proven_at_;
}

milliseconds LeaseTable::Left(milliseconds ttl, milliseconds proven_at) const {
  if (!options_.shared_log) return ttl;
  return std::max(ttl - (clock_.Steady() - proven_at), milliseconds(0));
}

void LeaseTable::Connected(uint64_t session_id) {
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_[session_id];
  ++entry.connections;
  entry.last_heard = clock_.Steady();
}

void LeaseTable::Disconnected(uint64_t session_id) {
  absl::MutexLock lock(&mutex_);
  const auto at = entries_.find(session_id);
  if (at == entries_.end()) return;
  --at->second.connections;
  at->second.last_heard = clock_.Steady();
}

void LeaseTable::Forget(uint64_t session_id) {
  absl::MutexLock lock(&mutex_);
  entries_.erase(session_id);
  ++changes_;
}

void LeaseTable::Acknowledge(uint64_t session_id, Position position) {
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_[session_id];
  entry.last_heard = clock_.Steady();
  entry.acknowledged = std::max(entry.acknowledged, position);
  ++changes_;
  // Its view never goes back: grants of older positions bind nobody.
  while (!entry.grants.empty() &&
         entry.grants.front().position < entry.acknowledged &&
         entry.grants.size() > 1) {
    entry.grants.pop_front();
  }
}

void LeaseTable::Grant(uint64_t session_id, Position position) {
  const milliseconds now = clock_.Steady();
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_[session_id];
  entry.last_heard = now;
  const Held held{position, now + options_.session_ttl,
                  now + options_.multicast_ttl};
  if (!entry.grants.empty() && entry.grants.back().position == position) {
    entry.grants.back() = held;
  } else {
    entry.grants.push_back(held);
  }
}

void LeaseTable::GrantUnary(milliseconds ttl) {
  const milliseconds end = clock_.Steady() + ttl;
  absl::MutexLock lock(&mutex_);
  unary_end_ = std::max(unary_end_, end);
}

void LeaseTable::KeepCounts(uint64_t session_id,
                            std::vector<v1::SegmentCount> counts) {
  absl::MutexLock lock(&mutex_);
  const auto at = entries_.find(session_id);
  if (at != entries_.end()) at->second.counts = std::move(counts);
}

std::vector<v1::SegmentCount> LeaseTable::LastCounts(
    uint64_t session_id) const {
  absl::MutexLock lock(&mutex_);
  const auto at = entries_.find(session_id);
  return at == entries_.end() ? std::vector<v1::SegmentCount>()
                              : at->second.counts;
}

LeaseTable::Fence LeaseTable::MulticastFence(Position position,
                                             milliseconds committed_at) const {
  absl::MutexLock lock(&mutex_);
  return FenceLocked(position, committed_at);
}

uint64_t LeaseTable::changes() const {
  absl::MutexLock lock(&mutex_);
  return changes_;
}

void LeaseTable::AwaitChange(uint64_t seen, milliseconds timeout) const {
  absl::MutexLock lock(&mutex_);
  const auto changed = [&] {
    mutex_.AssertReaderHeld();
    return changes_ != seen;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&changed),
                          absl::Milliseconds(timeout.count() + 1));
}

void LeaseTable::Poke() {
  absl::MutexLock lock(&mutex_);
  ++changes_;
}

LeaseTable::Fence LeaseTable::FenceLocked(Position position,
                                          milliseconds committed_at) const {
  const milliseconds now = clock_.Steady();
  Fence fence;
  for (const auto& [id, entry] : entries_) {
    if (entry.acknowledged >= position) continue;
    milliseconds end{0};
    for (const Held& held : entry.grants) {
      if (held.position < position) end = std::max(end, held.multicast_end);
    }
    if (end <= now) continue;
    fence.sessions.push_back(id);
    fence.remaining = std::max(fence.remaining, end - now);
  }
  // Unary answers after the commit show the new routes; the longest one before
  // it ends a ttl after the commit at the latest.
  // Other nodes' answers likewise, to sessions too.
  const milliseconds longest = committed_at + options_.multicast_ttl;
  const milliseconds unary_end =
      options_.shared_log ? longest : std::min(unary_end_, longest);
  if (unary_end > now) {
    fence.remaining = std::max(fence.remaining, unary_end - now);
  }
  std::sort(fence.sessions.begin(), fence.sessions.end());
  return fence;
}

void LeaseTable::Watch(uint64_t session_id) {
  const milliseconds now = clock_.Steady();
  absl::MutexLock lock(&mutex_);
  const auto [at, added] = entries_.try_emplace(session_id);
  if (added) at->second.last_heard = now;
}

std::vector<uint64_t> LeaseTable::Expired() const {
  const milliseconds now = clock_.Steady();
  std::vector<uint64_t> expired;
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, entry] : entries_) {
    if (entry.connections == 0 && EndOf(entry) <= now) expired.push_back(id);
  }
  std::sort(expired.begin(), expired.end());
  return expired;
}

std::vector<uint64_t> LeaseTable::Unexpired() const {
  const milliseconds now = clock_.Steady();
  std::vector<uint64_t> held;
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, entry] : entries_) {
    if (entry.connections > 0 || EndOf(entry) > now) held.push_back(id);
  }
  std::sort(held.begin(), held.end());
  return held;
}

milliseconds LeaseTable::EndOf(const Entry& entry) const {
  milliseconds end = entry.last_heard + options_.session_ttl;
  for (const Held& held : entry.grants) end = std::max(end, held.session_end);
  return end;
}

std::vector<SessionLease> LeaseTable::List() const {
  const milliseconds now = clock_.Steady();
  std::vector<SessionLease> list;
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, entry] : entries_) {
    SessionLease lease;
    lease.session_id = id;
    lease.acknowledged = entry.acknowledged;
    lease.connected = entry.connections > 0;
    for (const Held& held : entry.grants) {
      lease.remaining = std::max(lease.remaining, held.session_end - now);
    }
    list.push_back(lease);
  }
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) {
    return a.session_id < b.session_id;
  });
  return list;
}

}  // namespace kafed::controller
