// The exclusive use of a data directory by one process.
//
// A lock on the file DIR/kafed.lock, which holds the owner's process id as a
// hint for people. The kernel drops the lock with the process, however it ends.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace kafed::metastore {

class DirectoryLock {
 public:
  // Creates the directory if need be. FailedPrecondition when another process,
  // or another part of this one, holds it.
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Take(
      const std::string& directory);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  explicit DirectoryLock(int file) : file_(file) {}

  const int file_;
};

}  // namespace kafed::metastore
