#include "common/snapshot_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <utility>

#include "common/new_file.h"
#include "common/status_macros.h"

namespace kafed {

absl::StatusOr<SnapshotSource> OpenSnapshotFile(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return absl::InvalidArgumentError("is a folder");
  }
  auto file = std::make_shared<std::ifstream>(path, std::ios::binary);
  if (!*file) {
    return absl::NotFoundError(std::string("cannot be read: ") +
                               std::strerror(errno));
  }
  return SnapshotSource(
      [file](char* buffer, size_t size) -> absl::StatusOr<size_t> {
        file->read(buffer, static_cast<std::streamsize>(size));
        if (file->bad()) return absl::UnavailableError("cannot be read");
        return static_cast<size_t>(file->gcount());
      });
}

absl::StatusOr<SnapshotSummary> WriteSnapshotFile(
    const std::string& path, const SnapshotHeader& header,
    const std::function<absl::Status(SnapshotWriter&)>& fill) {
  ASSIGN_OR_RETURN(NewFile file, NewFile::Create(path));
  SnapshotWriter writer(
      [&file](std::string_view bytes) { return file.Append(bytes); });
  RETURN_IF_ERROR(writer.Begin(header));
  RETURN_IF_ERROR(fill(writer));
  ASSIGN_OR_RETURN(const SnapshotSummary summary, writer.Finish());
  RETURN_IF_ERROR(file.Commit());
  return summary;
}

}  // namespace kafed
