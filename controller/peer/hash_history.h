// HashHistory: the image hashes of a node's newest positions.
//
// What nodes compare with each other: at one position all images are the same.
// Thread-safe.
#pragma once

#include <cstdint>
#include <map>
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
    hashes_[index] = image.Hash();
    while (hashes_.size() > kKept) hashes_.erase(hashes_.begin());
  }

  std::vector<v1::IndexHash> List() const {
    absl::MutexLock lock(&mutex_);
    std::vector<v1::IndexHash> list;
    list.reserve(hashes_.size());
    for (const auto& [index, digest] : hashes_) {
      v1::IndexHash hash;
      hash.set_index(index);
      hash.set_low(digest.low);
      hash.set_high(digest.high);
      list.push_back(std::move(hash));
    }
    return list;
  }

 private:
  mutable absl::Mutex mutex_;
  uint64_t nonce_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, TableDigest> hashes_ ABSL_GUARDED_BY(mutex_);
};

// What a node finds when it compares its hashes with those of its peers, all by
// index.
struct HashVerdict {
  uint64_t index = 0;      // the first at which somebody differs; 0: nobody
  size_t with_me = 0;      // nodes with this node's hash there, itself included
  size_t most_others = 0;  // nodes with the most common other hash
  // More nodes agree on another image than on this one.
  bool minority() const { return most_others > with_me; }
};

HashVerdict CompareHashes(
    const std::vector<v1::IndexHash>& mine,
    const std::vector<std::vector<v1::IndexHash>>& theirs);

}  // namespace kafed::controller
