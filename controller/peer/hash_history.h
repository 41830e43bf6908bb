// HashHistory: the image hashes of a node's newest positions.
//
// What nodes compare with each other: at one position all images are the same.
// Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/block_table.h"
#include "federation/image/image.h"
#include "kafed/v1/peer.pb.h"

namespace kafed::controller {

class HashHistory {
 public:
  // Newest positions kept.
  static constexpr size_t kKept = 256;

  void Add(const federation::Image& image) {
    const uint64_t index = image.head().index.value();
    absl::MutexLock lock(&mutex_);
    if (image.head().incarnation.nonce != nonce_) hashes_.clear();
    nonce_ = image.head().incarnation.nonce;
    AtIndex& at = hashes_[index];
    at.image = image.Hash();
    for (int i = 0; i < federation::kTables; ++i) {
      at.tables[i] = image.table(static_cast<federation::Table>(i)).digest();
    }
    while (hashes_.size() > kKept) hashes_.erase(hashes_.begin());
  }

  std::vector<v1::IndexHash> List() const {
    absl::MutexLock lock(&mutex_);
    std::vector<v1::IndexHash> list;
    list.reserve(hashes_.size());
    for (const auto& [index, at] : hashes_) {
      v1::IndexHash hash;
      hash.set_index(index);
      hash.set_low(at.image.low);
      hash.set_high(at.image.high);
      list.push_back(std::move(hash));
    }
    return list;
  }

  // Names of the tables in which a peer has something else at its position;
  // none where this node does not know that position.
  std::vector<std::string> TablesThatDiffer(
      const v1::PeerStateResponse& peer) const;

 private:
  struct AtIndex {
    TableDigest image;
    std::array<TableDigest, federation::kTables> tables;
  };

  mutable absl::Mutex mutex_;
  uint64_t nonce_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, AtIndex> hashes_ ABSL_GUARDED_BY(mutex_);
};

// What a node finds when it compares its hashes with those of its peers, all by
// index.
struct HashVerdict {
  uint64_t index = 0;      // the first at which somebody differs; 0: nobody
  size_t with_me = 0;      // nodes with this node's hash there, itself included
  size_t most_others = 0;  // nodes with the most common other hash
  std::string tables;      // what differs, as far as it could be told
  // More nodes agree on another image than on this one.
  bool minority() const { return most_others > with_me; }
};

HashVerdict CompareHashes(
    const std::vector<v1::IndexHash>& mine,
    const std::vector<std::vector<v1::IndexHash>>& theirs);

}  // namespace kafed::controller
