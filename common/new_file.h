// NewFile: a file that appears under its name only when it is whole.
//
// Written beside its place, synced, then renamed over whatever is there; on an
// error, or without Commit, nothing of it stays. One thread.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kafed {

class NewFile {
 public:
  // Unavailable, naming the path and the reason, when it can't be written.
  static absl::StatusOr<NewFile> Create(const std::string& path);
  ~NewFile();
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;

  absl::Status Append(std::string_view bytes);
  // Durable under its name when it returns ok.
  absl::Status Commit();

 private:
  NewFile(std::string path, int fd);
  std::string BesidePath() const { return path_ + ".new"; }
  void Discard();

  std::string path_;
  int fd_;
};

absl::Status ReplaceFile(const std::string& path, std::string_view bytes);

}  // namespace kafed
