// kafedctl snapshot: saves the image or the route view, and looks into files.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cli/commands.h"
#include "cli/snapshot_file.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

absl::Status FileError(const std::string& path) {
  return absl::UnavailableError("cannot write '" + path +
                                "': " + std::strerror(errno));
}

// Streams the snapshot into `path`.
absl::Status Receive(bool route_view, const std::string& path,
                     Invocation* run) {
  v1::SaveSnapshotRequest request;
  request.set_route_view(route_view);
  ASSIGN_OR_RETURN(auto stream,
                   run->connection().Open(request, StepTime::kTimeout));
  const std::unique_ptr<std::FILE, FileCloser> file(
      std::fopen(path.c_str(), "wb"));
  if (!file) return FileError(path);
  v1::SnapshotChunk chunk;
  bool ok = stream->Write(request) && stream->WritesDone();
  while (ok && stream->Read(&chunk)) {
    if (std::fwrite(chunk.data().data(), 1, chunk.data().size(), file.get()) !=
        chunk.data().size()) {
      return FileError(path);
    }
  }
  RETURN_IF_ERROR(stream->Finish());
  if (std::fflush(file.get()) != 0 || fsync(fileno(file.get())) != 0) {
    return FileError(path);
  }
  return absl::OkStatus();
}

// A file appears under its name only when it was read back and is whole.
absl::Status Save(bool route_view, const std::string& path, Invocation* run) {
  const std::string part = path + ".part";
  const absl::Status received = Receive(route_view, part, run);
  absl::StatusOr<SnapshotContent> content =
      received.ok() ? ReadSnapshotFile(part) : received;
  if (content.ok() && std::rename(part.c_str(), path.c_str()) != 0) {
    content = FileError(path);
  }
  if (!content.ok()) {
    std::remove(part.c_str());
    return content.status();
  }
  PrintSnapshot(path, *content, &run->printer());
  return absl::OkStatus();
}

void AddSave(Command snapshot) {
  auto path = std::make_shared<std::string>();
  auto route_view = std::make_shared<bool>(false);
  Command save = snapshot.Verb(
      "save", "Save the image (a backup), or the route view, to a file");
  save.Positional("FILE", "File to write; replaced when it exists",
                  Into(path.get()));
  save.Flag("--route-view", "The route view, for clients to start from",
            route_view.get());
  save.Runs([path, route_view](Invocation* run) {
    return Save(*route_view, *path, run);
  });
}

void AddInfo(Command snapshot) {
  auto path = std::make_shared<std::string>();
  Command info = snapshot.Verb(
      "info", "Verify a snapshot file and show what is in it; asks no node");
  info.Positional("FILE", "The file", Into(path.get()));
  info.Runs([path](Invocation* run) -> absl::Status {
    const auto content = ReadSnapshotFile(*path);
    if (!content.ok()) {
      return absl::Status(
          content.status().code(),
          *path + ": " + std::string(content.status().message()));
    }
    PrintSnapshot(*path, *content, &run->printer());
    return absl::OkStatus();
  });
}

}  // namespace

void AddSnapshotCommands(Command root) {
  Command snapshot = root.Noun("snapshot", "Snapshots of the metadata");
  AddSave(snapshot);
  AddInfo(snapshot);
}

}  // namespace kafed::cli
