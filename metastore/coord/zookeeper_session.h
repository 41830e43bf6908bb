// ZooKeeperSession: a session with a ZooKeeper ensemble that is kept alive.
//
// The only file that includes ZooKeeper's client. Calls block until they are
// answered, the connection is lost or the session has been without one for its
// timeout; each is Unavailable in the latter cases, and then a write may or may
// not have been done. When a session expires the next call begins another.
//
//   not connected: calls wait for the connection, nothing is submitted (the
//   client would retry at once, and without end)
//
// Statuses: NotFound no such node; AlreadyExists; Aborted another version;
// PermissionDenied; Unavailable no connection, outcome unknown; Internal.
//
// Thread-safe. Not to be called from a watch.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "metastore/coord/change_count.h"

namespace kafed::metastore {

struct ZooKeeperOptions {
  std::string servers;  // HOST:PORT[,HOST:PORT...][/CHROOT]
  // Asked for; the ensemble has limits of its own.
  milliseconds session_timeout{10'000};
  // "user:password": nodes are made for this user only. Empty: for anybody.
  std::string digest;
};

struct ZooKeeperNode {
  std::string data;
  int32_t version = 0;  // raised by each Set
};

// One step of a Multi.
struct ZooKeeperStep {
  enum class Kind { kCheck, kCreate, kSet, kDelete };
  Kind kind;
  std::string path;
  std::string data;      // kCreate, kSet
  int32_t version = -1;  // kCheck, kSet, kDelete; -1: any
};

struct ZooKeeperMulti {
  absl::Status status;     // all steps were done, or none
  size_t failed_step = 0;  // unless ok or Unavailable
};

class ZooKeeperSession {
 public:
  static constexpr int32_t kAnyVersion = -1;

  // Connects; Unavailable when no server answers within the session's timeout.
  static absl::StatusOr<std::unique_ptr<ZooKeeperSession>> Open(
      ZooKeeperOptions options);
  ~ZooKeeperSession();
  ZooKeeperSession(const ZooKeeperSession&) = delete;
  ZooKeeperSession& operator=(const ZooKeeperSession&) = delete;

  // With `watch`, changes() rises when the node next changes, appears or goes.
  absl::StatusOr<ZooKeeperNode> Get(const std::string& path,
                                    bool watch = false);
  absl::StatusOr<bool> Exists(const std::string& path, bool watch = false);
  // Many nodes, asked for together; each as of a moment not before that of the
  // one in front of it.
  std::vector<absl::StatusOr<ZooKeeperNode>> GetMany(
      std::span<const std::string> paths);
  absl::StatusOr<std::vector<std::string>> Children(const std::string& path);

  // The server that this session is on has all that was acknowledged anywhere
  // before, unless it has just lost its quorum: a write proves that, this does
  // not.
  absl::Status Sync(const std::string& path);

  absl::Status Create(const std::string& path, std::string_view data);
  // A node that goes with this session.
  absl::Status CreateEphemeral(const std::string& path, std::string_view data);
  // Makes the nodes above `path` that are missing.
  absl::Status CreateFolders(const std::string& path);
  // Returns the new version.
  absl::StatusOr<int32_t> Set(const std::string& path, std::string_view data,
                              int32_t version = kAnyVersion);
  absl::Status Delete(const std::string& path, int32_t version = kAnyVersion);
  ZooKeeperMulti Multi(std::span<const ZooKeeperStep> steps);

  // Rises with each event: a watched node, a connection made or lost. A watch
  // is lost with its session.
  uint64_t changes() const;
  // Until changes() is above `seen` or the time is up.
  void WaitForChange(uint64_t seen, milliseconds timeout) const;
  // Wakes all who wait in WaitForChange.
  void Wake();

 private:
  struct Handle;

  explicit ZooKeeperSession(ZooKeeperOptions options);
  absl::Status CreateNode(const std::string& path, std::string_view data,
                          bool ephemeral);
  // A handle that is connected.
  absl::StatusOr<std::shared_ptr<Handle>> Connected();

  const ZooKeeperOptions options_;
  const std::shared_ptr<ChangeCount> events_;
  std::mutex mutex_;  // guards handle_
  std::shared_ptr<Handle> handle_;
};

}  // namespace kafed::metastore
