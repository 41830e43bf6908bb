#include "client/view_snapshot.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "common/snapshot_container.h"
#include "common/status_macros.h"

namespace kafed::client {
namespace {

absl::Status FileError(const std::string& what, const std::string& path) {
  return absl::UnavailableError(what + " '" + path +
                                "': " + std::strerror(errno));
}

absl::Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      return absl::UnavailableError(std::string("write: ") +
                                    std::strerror(errno));
    }
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

void SyncFolderOf(const std::string& path) {
  std::string folder = std::filesystem::path(path).parent_path().string();
  if (folder.empty()) folder = ".";
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

}  // namespace

absl::Status ReplaceFile(const std::string& path, std::string_view bytes) {
  const std::string beside = path + ".new";
  const int fd =
      open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return FileError("cannot write", beside);
  absl::Status status = WriteAll(fd, bytes);
  if (status.ok() && fsync(fd) != 0) status = FileError("cannot sync", beside);
  close(fd);
  if (status.ok() && std::rename(beside.c_str(), path.c_str()) != 0) {
    status = FileError("cannot rename to", path);
  }
  if (!status.ok()) {
    unlink(beside.c_str());
    return status;
  }
  SyncFolderOf(path);
  return absl::OkStatus();
}

absl::Status SaveView(const PublishedView& view, const v1::ViewFilter& filter,
                      milliseconds wall, const std::string& path) {
  std::string bytes;
  SnapshotWriter writer([&](std::string_view more) {
    bytes.append(more);
    return absl::OkStatus();
  });
  v1::ViewHeader header;
  *header.mutable_position() = view.at;
  *header.mutable_filter() = filter;
  header.set_time_ms(static_cast<uint64_t>(wall.count()));
  RETURN_IF_ERROR(
      writer.Begin({SnapshotKind::kRouteView, header.SerializeAsString()}));
  absl::Status status;
  view.view.ForEachRow([&](const v1::Row& row) {
    if (!status.ok()) return;
    status = writer.Add(static_cast<uint8_t>(row.row_case()), {},
                        row.SerializeAsString());
  });
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(writer.Finish().status());
  return ReplaceFile(path, bytes);
}

absl::StatusOr<LoadedView> LoadView(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError("no file '" + path + "'");
  SnapshotReader reader(
      [&](char* buffer, size_t size) -> absl::StatusOr<size_t> {
        file.read(buffer, static_cast<std::streamsize>(size));
        if (file.bad()) return FileError("cannot read", path);
        return static_cast<size_t>(file.gcount());
      });
  ASSIGN_OR_RETURN(const SnapshotHeader header, reader.ReadHeader());
  v1::ViewHeader view_header;
  if (header.kind != SnapshotKind::kRouteView ||
      !view_header.ParseFromString(header.blob)) {
    return absl::InvalidArgumentError(
        "'" + path + "' is not a route view; save one with Mirror or with " +
        "`kafedctl snapshot save --route-view`");
  }
  LoadedView loaded;
  loaded.filter = view_header.filter();
  loaded.view.at = view_header.position();
  SnapshotRow bytes;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, reader.Next(&bytes));
    if (!more) return loaded;
    v1::Row row;
    if (!row.ParseFromArray(bytes.value.data(),
                            static_cast<int>(bytes.value.size()))) {
      return absl::DataLossError("'" + path + "': a row does not decode");
    }
    if (row.row_case() == v1::Row::ROW_NOT_SET) continue;
    RETURN_IF_ERROR(loaded.view.view.Apply(row));
  }
}

}  // namespace kafed::client
