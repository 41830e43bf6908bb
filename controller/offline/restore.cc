#include "controller/offline/restore.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/snapshot_file.h"
#include "common/status_macros.h"
#include "controller/version.h"
#include "controller/write/node_log.h"
#include "controller/write/recovery.h"
#include "federation/image/image_io.h"
#include "federation/image/incarnation.h"

namespace kafed::controller {
namespace {

namespace fs = std::filesystem;
using federation::Image;
using federation::Table;

absl::Status CheckDirectory(const std::string& directory) {
  if (directory.empty()) {
    return absl::InvalidArgumentError("data_dir: is empty; expected a folder");
  }
  std::error_code error;
  if (!fs::exists(directory, error)) return absl::OkStatus();
  if (!fs::is_directory(directory, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("data_dir: ", directory, " is not a folder"));
  }
  if (!fs::is_empty(directory, error) || error) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data_dir: ", directory,
        " is not empty; a restore wants a new or an empty folder"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Image> LoadBackup(const std::string& path) {
  auto source = OpenSnapshotFile(path);
  if (!source.ok()) {
    return Annotate(source.status(), absl::StrCat("from: ", path));
  }
  SnapshotReader reader(*std::move(source));
  auto image = federation::LoadImage(&reader);
  if (image.ok()) return image;
  return Annotate(image.status(), absl::StrCat("from: ", path));
}

absl::StatusOr<uint64_t> ChooseIncarnation(uint64_t asked, const Image& image) {
  const uint64_t last = image.head().incarnation.counter;
  const uint64_t chosen = asked == 0 ? last + 1 : asked;
  if (chosen <= last || chosen > federation::kMaxIncarnation) {
    return absl::InvalidArgumentError(absl::StrCat(
        "incarnation: is ", chosen, ", the backup is of ", last, "; expected ",
        last + 1, " to ", federation::kMaxIncarnation));
  }
  return chosen;
}

absl::Status SaveImage(const Image& image, metastore::SnapshotStore* to) {
  return to
      ->Save({image.head().incarnation, image.head().index},
             federation::HeaderOf(image),
             [&](SnapshotWriter& writer) {
               return federation::AddRows(image, &writer);
             })
      .status();
}

// Fills `directory`: the backup, the first entry behind it, and its result.
absl::StatusOr<RestoreReport> Fill(const std::string& directory, Image image,
                                   uint64_t incarnation,
                                   const RestoreOptions& options,
                                   const Clock& clock) {
  RestoreReport report;
  report.backup = image.position();
  ASSIGN_OR_RETURN(NodeLog node,
                   NodeLog::Open({.directory = directory,
                                  .backend = options.backend,
                                  .quorum = options.quorum},
                                 clock, Next(image.head().index)));
  RETURN_IF_ERROR(SaveImage(image, node.snapshots.get()));
  RETURN_IF_ERROR(BeginIncarnation(
      &node.log(),
      {incarnation,
       node.node_number(),
       static_cast<uint64_t>(clock.Wall().count()),
       {.feature_level = federation::kFeatureLevel, .version = kVersion},
       federation::kReasonRestore},
      &image));
  RETURN_IF_ERROR(SaveImage(image, node.snapshots.get()));
  report.restored = image.position();
  report.hosts = image.table(Table::kHosts).size();
  report.topics = image.table(Table::kTopics).size();
  report.sub_clusters = image.table(Table::kSubClusters).size();
  report.node_id = node.store->node_id();
  return report;
}

}  // namespace

absl::StatusOr<RestoreReport> Restore(const RestoreOptions& options,
                                      const Clock& clock) {
  RETURN_IF_ERROR(CheckDirectory(options.directory));
  ASSIGN_OR_RETURN(Image image, LoadBackup(options.from));
  ASSIGN_OR_RETURN(const uint64_t incarnation,
                   ChooseIncarnation(options.incarnation, image));
  fs::path place = fs::path(options.directory).lexically_normal();
  if (!place.has_filename()) place = place.parent_path();
  // What an interrupted restore left is of no use.
  const std::string beside = place.string() + ".restoring";
  std::error_code error;
  fs::remove_all(beside, error);
  if (!place.parent_path().empty()) {
    fs::create_directories(place.parent_path(), error);
  }
  auto report = Fill(beside, std::move(image), incarnation, options, clock);
  if (report.ok()) fs::rename(beside, place, error);
  if (report.ok() && !error) return report;
  std::error_code ignored;
  fs::remove_all(beside, ignored);
  if (!report.ok()) return report.status();
  return absl::UnavailableError(absl::StrCat(
      "data_dir: cannot rename to ", place.string(), ": ", error.message()));
}

}  // namespace kafed::controller
