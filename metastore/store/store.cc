#include "metastore/store/store.h"

#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/new_file.h"
#include "common/status_macros.h"
#include "metastore/store/database.h"
#include "metastore/store/directory_lock.h"

namespace kafed::metastore {
namespace {

constexpr char kFormatFile[] = "/kafed.format";
constexpr char kFormatKey[] = "format_version";
constexpr char kNodeIdKey[] = "node_id";
constexpr char kAppliedKey[] = "applied_position";

std::string DrawNodeId() {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::random_device random;
  std::string id;
  for (int i = 0; i < 32; ++i) id.push_back(kDigits[random() & 15]);
  return id;
}

// What kafed.format holds; nothing where there is none.
absl::StatusOr<std::optional<std::string>> ReadFormatFile(
    const std::string& directory) {
  const std::string path = directory + kFormatFile;
  std::error_code error;
  if (!std::filesystem::exists(path, error) && !error) return std::nullopt;
  std::ifstream file(path);
  char text[32];
  file.read(text, sizeof text);
  if (file.bad() || file.gcount() == 0) {
    return absl::DataLossError("cannot read " + path);
  }
  return std::string(text, static_cast<size_t>(file.gcount()));
}

absl::Status CheckVersion(const std::string& text,
                          const std::string& directory) {
  uint64_t version = 0;
  if (!absl::SimpleAtoi(text, &version)) {
    return absl::DataLossError(
        absl::StrCat("the format version of ", directory, " is unreadable"));
  }
  if (version <= kDataFormatVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "data directory ", directory, " has format version ", version,
      ", this kafed knows versions up to ", kDataFormatVersion,
      ": start the newer kafed that wrote it"));
}

// A folder that holds something else must not be filled: it was named by
// mistake. What a fresh volume holds is no matter.
absl::Status CheckFolder(const std::string& directory) {
  std::error_code error;
  std::string foreign;
  for (std::filesystem::directory_iterator at(directory, error), end;
       !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name == "kafed.lock" || name == "db") return absl::OkStatus();
    if (name != "lost+found") foreign = name;
  }
  // Not there yet, or not readable, which the lock will say.
  if (foreign.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(directory, " is not a data directory of kafed: it holds '",
                   foreign, "'; name an empty or a new folder"));
}

}  // namespace

Store::Store(StoreOptions options, std::unique_ptr<DirectoryLock> lock,
             std::unique_ptr<Database> database)
    : options_(std::move(options)),
      lock_(std::move(lock)),
      database_(std::move(database)),
      log_(database_.get()),
      snapshots_(database_.get()) {}

Store::~Store() = default;

absl::StatusOr<std::unique_ptr<Store>> Store::Open(StoreOptions options) {
  std::error_code error;
  if (options.read_only &&
      !std::filesystem::is_directory(options.directory + "/db", error)) {
    return absl::NotFoundError(absl::StrCat(
        options.directory, " is not a data directory of kafed: it has no db/"));
  }
  if (!options.read_only) RETURN_IF_ERROR(CheckFolder(options.directory));
  ASSIGN_OR_RETURN(auto lock, DirectoryLock::Take(options.directory));
  // Before storage is opened, which may rewrite what a newer kafed wrote.
  ASSIGN_OR_RETURN(const auto format, ReadFormatFile(options.directory));
  if (format) RETURN_IF_ERROR(CheckVersion(*format, options.directory));
  ASSIGN_OR_RETURN(
      auto database,
      Database::Open(options.directory, options.write_hook, options.read_only));
  std::unique_ptr<Store> store(
      new Store(std::move(options), std::move(lock), std::move(database)));
  RETURN_IF_ERROR(store->CheckFormat());
  if (!format && !store->read_only()) {
    RETURN_IF_ERROR(ReplaceFile(store->directory() + kFormatFile,
                                absl::StrCat(kDataFormatVersion, "\n")));
  }
  RETURN_IF_ERROR(store->LoadNodeId());
  return store;
}

absl::Status Store::CheckFormat() {
  ASSIGN_OR_RETURN(const auto found, GetMeta(kFormatKey));
  if (!found.has_value()) {
    if (options_.read_only) return absl::OkStatus();
    return PutMeta(kFormatKey, std::to_string(kDataFormatVersion));
  }
  return CheckVersion(*found, options_.directory);
}

absl::Status Store::LoadNodeId() {
  ASSIGN_OR_RETURN(const auto found, GetMeta(kNodeIdKey));
  if (found.has_value()) {
    node_id_ = *found;
    return absl::OkStatus();
  }
  if (options_.read_only) {
    return absl::DataLossError(options_.directory + " has lost its node id");
  }
  node_id_ = DrawNodeId();
  return PutMeta(kNodeIdKey, node_id_);
}

uint64_t Store::lost_writes() const { return database_->lost(); }
absl::Status Store::VerifyFiles() { return database_->VerifyFiles(); }

absl::Status Store::Health() const { return database_->Health(); }

absl::StatusOr<uint64_t> Store::FreeBytes() const {
  struct statvfs stats;
  if (statvfs(options_.directory.c_str(), &stats) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot see the free space of ",
                                               options_.directory, ": ",
                                               std::strerror(errno)));
  }
  return static_cast<uint64_t>(stats.f_bavail) * stats.f_frsize;
}

absl::Status Store::CheckFreeSpace(uint64_t bytes) const {
  if (options_.free_space_floor_bytes == 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const uint64_t free_bytes, FreeBytes());
  const uint64_t needed = options_.free_space_floor_bytes + bytes;
  if (free_bytes >= needed) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("data directory ", options_.directory, " has ", free_bytes,
                   " bytes free, ", needed, " are needed (a floor of ",
                   options_.free_space_floor_bytes, " and ", bytes,
                   " to write): free some space or lower the floor"));
}

absl::StatusOr<std::optional<std::string>> Store::GetMeta(
    std::string_view key) const {
  const auto pin = database_->Use();
  std::string value;
  const rocksdb::Status found = database_->db().Get(
      rocksdb::ReadOptions(), database_->meta(), ToSlice(key), &value);
  if (found.IsNotFound()) return std::nullopt;
  RETURN_IF_ERROR(
      Translate(found, absl::StrCat("cannot read '", std::string(key), "'")));
  return value;
}

absl::Status Store::PutMeta(std::string_view key, std::string_view value) {
  const auto pin = database_->Use();
  rocksdb::WriteBatch batch;
  RETURN_IF_ERROR(
      Translate(batch.Put(database_->meta(), ToSlice(key), ToSlice(value)),
                "cannot build a write"));
  return database_->WriteSynced(&batch);
}

MetaWrite Store::AppliedWrite(Position applied) {
  return {kAppliedKey, ToString(applied)};
}

absl::StatusOr<std::optional<Position>> Store::Applied() const {
  ASSIGN_OR_RETURN(const auto found, GetMeta(kAppliedKey));
  if (!found.has_value()) return std::nullopt;
  ASSIGN_OR_RETURN(const Position applied, ParsePosition(*found, 0));
  return applied;
}

}  // namespace kafed::metastore
