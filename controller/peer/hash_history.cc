#include "controller/peer/hash_history.h"

#include <algorithm>
#include <utility>

namespace kafed::controller {

std::vector<std::string> HashHistory::TablesThatDiffer(
    const v1::PeerStateResponse& peer) const {
  std::vector<std::string> names;
  absl::MutexLock lock(&mutex_);
  const auto at = hashes_.find(peer.position().index());
  if (at == hashes_.end() || peer.position().nonce() != nonce_) return names;
  for (const v1::TableHash& theirs : peer.hashes()) {
    if (theirs.table() >= federation::kTables) continue;
    const TableDigest& mine = at->second.tables[theirs.table()];
    if (mine.low == theirs.low() && mine.high == theirs.high()) continue;
    names.emplace_back(
        federation::TableName(static_cast<federation::Table>(theirs.table())));
  }
  return names;
}

HashVerdict CompareHashes(
    const std::vector<v1::IndexHash>& mine,
    const std::vector<std::vector<v1::IndexHash>>& theirs) {
  using Hash = std::pair<uint64_t, uint64_t>;
  for (const v1::IndexHash& own : mine) {
    const Hash here{own.low(), own.high()};
    HashVerdict verdict{own.index(), 1, 0, {}};
    std::map<Hash, size_t> others;
    for (const std::vector<v1::IndexHash>& peer : theirs) {
      const auto at = std::lower_bound(
          peer.begin(), peer.end(), own.index(),
          [](const v1::IndexHash& a, uint64_t b) { return a.index() < b; });
      if (at == peer.end() || at->index() != own.index()) continue;
      const Hash there{at->low(), at->high()};
      if (there == here) {
        ++verdict.with_me;
      } else {
        verdict.most_others = std::max(verdict.most_others, ++others[there]);
      }
    }
    if (verdict.most_others > 0) return verdict;
  }
  return {};
}

}  // namespace kafed::controller
