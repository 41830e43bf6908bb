// The chain of loglets, in a small versioned register.
//
// A compare-and-set register and nothing more: what the links mean is the
// virtual log's business. Whoever changes the chain names the version that the
// change was planned on. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/position.h"

namespace kafed::metastore {

class Store;

struct ChainLink {
  std::string loglet;  // what the factory makes a loglet of, such as "local"
  LogIndex first;      // the first index that stands in it
  friend bool operator==(const ChainLink&, const ChainLink&) = default;
};

struct Chain {
  uint64_t version = 0;          // 0: never set
  std::vector<ChainLink> links;  // oldest to newest
  friend bool operator==(const Chain&, const Chain&) = default;
};

// InvalidArgument unless there is a link, every link has a name and an index
// of at least 1, and indexes do not go down.
absl::Status CheckLinks(const std::vector<ChainLink>& links);

// Aborted, naming both versions.
absl::Status ChainChangedStatus(uint64_t expected, uint64_t actual);

class ChainRegister {
 public:
  virtual ~ChainRegister() = default;

  virtual absl::StatusOr<Chain> Read() = 0;

  // Sets the links if the version still is `expected`, and returns the chain
  // with its new version. Aborted, naming both versions, when it is not;
  // InvalidArgument as CheckLinks.
  virtual absl::StatusOr<Chain> CompareAndSet(uint64_t expected,
                                              std::vector<ChainLink> links) = 0;
};

class MemoryChainRegister : public ChainRegister {
 public:
  absl::StatusOr<Chain> Read() override;
  absl::StatusOr<Chain> CompareAndSet(uint64_t expected,
                                      std::vector<ChainLink> links) override;

 private:
  std::mutex mutex_;
  Chain chain_;
};

// In the data directory. `store` must outlive it; REQUIRES: the only register
// of its store.
class StoreChainRegister : public ChainRegister {
 public:
  explicit StoreChainRegister(Store* store) : store_(*store) {}
  absl::StatusOr<Chain> Read() override;
  absl::StatusOr<Chain> CompareAndSet(uint64_t expected,
                                      std::vector<ChainLink> links) override;

 private:
  absl::StatusOr<Chain> ReadLocked();

  Store& store_;
  std::mutex mutex_;
};

// A line "v1 VERSION", then a line "FIRST LOGLET" for each link.
std::string EncodeChain(const Chain& chain);
absl::StatusOr<Chain> DecodeChain(std::string_view text);

}  // namespace kafed::metastore
