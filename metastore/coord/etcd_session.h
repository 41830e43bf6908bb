// EtcdSession: reads, transactions and a kept lease on an etcd cluster.
//
// With etcd_servers and etcd_watch the only files that include etcd's API and
// gRPC. Calls block until they are answered or their time is up. Reads are
// linearizable, and asked of one server after the other. A commit is sent once:
// Unavailable leaves open whether it was done.
//
//   a lease is granted when first asked for, kept alive by a thread, and
//   revoked with the session; after it has run out another is granted
//
// Statuses: NotFound no such key or lease; Aborted a check does not hold;
// PermissionDenied; InvalidArgument the request is too large; ResourceExhausted
// etcd's space is used up: as with Unavailable the commit may have been done;
// Unavailable no answer, outcome unknown.
//
// Thread-safe. Not to be called from a watch.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "metastore/coord/etcd_options.h"

namespace kafed::metastore {

class EtcdServers;

struct EtcdPair {
  std::string key;
  std::string value;
  int64_t revision = 0;  // of the store when the key was put
  int64_t lease = 0;
};

struct EtcdRange {
  std::string from;
  std::string to;     // the first key behind; empty: only `from` itself
  int64_t limit = 0;  // 0: none
};

struct EtcdFound {
  std::vector<EtcdPair> pairs;  // by key
  int64_t count = 0;            // of the range, whatever its limit
};

// What must hold of a key.
struct EtcdCheck {
  enum class Kind { kAbsent, kPresent, kRevision, kLease };
  Kind kind;
  std::string key;
  int64_t number = 0;  // kRevision, kLease
};

struct EtcdWrite {
  enum class Kind { kPut, kDelete };
  Kind kind;
  std::string key;
  std::string value;  // kPut; of kDelete: the first key behind the range
  int64_t lease = 0;  // kPut; 0: none
};

class EtcdSession {
 public:
  // Connects; Unavailable when no server answers within the timeout,
  // InvalidArgument, naming the option, when one is wrong.
  static absl::StatusOr<std::unique_ptr<EtcdSession>> Open(EtcdOptions options);
  ~EtcdSession();
  EtcdSession(const EtcdSession&) = delete;
  EtcdSession& operator=(const EtcdSession&) = delete;

  absl::StatusOr<EtcdPair> Get(const std::string& key);
  absl::StatusOr<EtcdFound> Find(const EtcdRange& range);
  // As of one moment.
  absl::StatusOr<std::vector<EtcdFound>> FindAll(
      std::span<const EtcdRange> ranges);

  // Does all writes if all checks hold; the store's revision after it, which is
  // that of every key it has put.
  absl::StatusOr<int64_t> Commit(std::span<const EtcdCheck> checks,
                                 std::span<const EtcdWrite> writes);

  // The lease that this session keeps.
  absl::StatusOr<int64_t> Lease();
  // The same; 0: there is none.
  int64_t KeptLease() const;
  // The cluster has said that there is no such lease.
  void ForgetLease(int64_t lease);

  // For watches.
  EtcdServers& servers() { return *servers_; }

 private:
  using Time = std::chrono::steady_clock::time_point;

  EtcdSession(EtcdOptions options, std::unique_ptr<EtcdServers> servers);
  void KeepAlive();  // the thread
  // The time left to a lease, by its keeper's clock; 0: it is over.
  absl::StatusOr<milliseconds> Renew(int64_t lease);

  const EtcdOptions options_;
  const std::unique_ptr<EtcdServers> servers_;

  std::mutex granting_;  // held during the call
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  int64_t lease_ = 0;
  Time lease_end_;
  bool stopping_ = false;
  std::thread keeper_;
};

}  // namespace kafed::metastore
