#include "common/new_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "common/status_macros.h"

namespace kafed {
namespace {

absl::Status FileError(const std::string& what, const std::string& path) {
  return absl::UnavailableError(what + " '" + path +
                                "': " + std::strerror(errno));
}

void SyncFolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const int fd = open(folder.empty() ? "." : folder.c_str(),
                      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

}  // namespace

NewFile::NewFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

NewFile::NewFile(NewFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

NewFile::~NewFile() { Discard(); }

absl::StatusOr<NewFile> NewFile::Create(const std::string& path) {
  NewFile file(path, -1);
  const std::string beside = file.BesidePath();
  file.fd_ =
      open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file.fd_ < 0) return FileError("cannot write", path);
  return file;
}

void NewFile::Discard() {
  if (fd_ < 0) return;
  close(std::exchange(fd_, -1));
  unlink(BesidePath().c_str());
}

absl::Status NewFile::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return FileError("cannot write", path_);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status NewFile::Commit() {
  if (fsync(fd_) != 0) return FileError("cannot sync", path_);
  if (std::rename(BesidePath().c_str(), path_.c_str()) != 0) {
    return FileError("cannot rename to", path_);
  }
  close(std::exchange(fd_, -1));
  SyncFolderOf(path_);
  return absl::OkStatus();
}

absl::Status ReplaceFile(const std::string& path, std::string_view bytes) {
  ASSIGN_OR_RETURN(NewFile file, NewFile::Create(path));
  RETURN_IF_ERROR(file.Append(bytes));
  return file.Commit();
}

}  // namespace kafed
