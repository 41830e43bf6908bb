#include "metastore/store/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace kafed::metastore {
namespace {

std::string ReadOwner(int file) {
  char text[32] = {};
  const ssize_t size = pread(file, text, sizeof(text) - 1, 0);
  if (size <= 0) return "";
  return absl::StrCat(" (pid ", std::string(text, static_cast<size_t>(size)),
                      ")");
}

}  // namespace

absl::StatusOr<std::unique_ptr<DirectoryLock>> DirectoryLock::Take(
    const std::string& directory) {
  if (directory.empty()) {
    return absl::InvalidArgumentError("the data directory is not named");
  }
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return absl::UnavailableError(absl::StrCat(
        "cannot create the data directory ", directory, ": ", error.message()));
  }
  const std::string path = directory + "/kafed.lock";
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot open ", path, ": ", std::strerror(errno)));
  }
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    const std::string owner = ReadOwner(file);
    close(file);
    if (reason != EWOULDBLOCK) {
      return absl::UnavailableError(
          absl::StrCat("cannot lock ", path, ": ", std::strerror(reason)));
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "data directory ", directory, " is in use by another process", owner,
        ": stop that one, or name another directory"));
  }
  const std::string pid = std::to_string(getpid());
  if (ftruncate(file, 0) != 0 || pwrite(file, pid.data(), pid.size(), 0) < 0) {
    // Only a hint for people; a full disk must not keep a node from starting.
  }
  return std::unique_ptr<DirectoryLock>(new DirectoryLock(file));
}

DirectoryLock::~DirectoryLock() { close(file_); }

}  // namespace kafed::metastore
