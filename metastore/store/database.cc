#include "metastore/store/database.h"

#include <rocksdb/listener.h>
#include <rocksdb/options.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "metastore/store/unsynced_loss.h"

namespace kafed::metastore {
namespace {

constexpr char kMarkFile[] = "/kafed.synced";
constexpr char kLogFamily[] = "log";
constexpr char kSnapshotFamily[] = "snapshot";
constexpr char kMetaFamily[] = "meta";
// Small buffers keep write-ahead files small, so that a full disk is recovered
// from with little space.
constexpr size_t kLargeBufferBytes = 8 << 20;
constexpr size_t kSmallBufferBytes = 1 << 20;
constexpr uint64_t kMaxWriteAheadBytes = 64 << 20;

class ForwardingLogger : public rocksdb::Logger {
 public:
  ForwardingLogger() : Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  using Logger::Logv;
  void Logv(const char* format, va_list args) override {
    Write(LogLevel::kDebug, format, args);
  }
  void Logv(rocksdb::InfoLogLevel level, const char* format,
            va_list args) override {
    if (level < GetInfoLogLevel()) return;
    if (level >= rocksdb::InfoLogLevel::HEADER_LEVEL) return;
    if (level >= rocksdb::InfoLogLevel::ERROR_LEVEL) {
      Write(LogLevel::kError, format, args);
    } else if (level == rocksdb::InfoLogLevel::WARN_LEVEL) {
      Write(LogLevel::kWarning, format, args);
    } else {
      Write(LogLevel::kDebug, format, args);
    }
  }

 private:
  static void Write(LogLevel level, const char* format, va_list args) {
    char text[1024];
    std::vsnprintf(text, sizeof(text), format, args);
    text[std::strcspn(text, "\n")] = 0;  // its lines end with one
    Log(level, "rocksdb", {{"message", text}});
  }
};

class HealthListener : public rocksdb::EventListener {
 public:
  explicit HealthListener(std::shared_ptr<DatabaseHealth> health)
      : health_(std::move(health)) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason reason,
                         rocksdb::Status* error) override {
    const absl::Status status = Translate(*error, "storage takes no writes");
    LogError("storage takes no writes",
             {{"reason", static_cast<int>(reason)}, {"error", status}});
    health_->Set(status);
  }
  void OnErrorRecoveryEnd(
      const rocksdb::BackgroundErrorRecoveryInfo& info) override {
    if (!info.new_bg_error.ok()) return;
    LogInfo("storage takes writes again");
    health_->Set(absl::OkStatus());
  }

 private:
  const std::shared_ptr<DatabaseHealth> health_;
};

rocksdb::DBOptions DatabaseOptions(std::shared_ptr<DatabaseHealth> health) {
  rocksdb::DBOptions options;
#ifdef KAFED_FAILPOINTS
  options.env = UnsyncedLossEnv();
#endif
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.info_log = std::make_shared<ForwardingLogger>();
  options.recycle_log_file_num = 4;
  options.max_total_wal_size = kMaxWriteAheadBytes;
  options.max_background_jobs = 2;
  options.max_open_files = 512;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.listeners.push_back(
      std::make_shared<HealthListener>(std::move(health)));
  return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> Families() {
  rocksdb::ColumnFamilyOptions log;
  log.compaction_style = rocksdb::kCompactionStyleLevel;
  log.compression = rocksdb::kZSTD;
  log.write_buffer_size = kLargeBufferBytes;
  log.target_file_size_base = kLargeBufferBytes;
  log.max_write_buffer_number = 4;        // a burst does not wait for one flush
  rocksdb::ColumnFamilyOptions snapshot;  // compressed by its writer
  snapshot.compression = rocksdb::kNoCompression;
  snapshot.write_buffer_size = kLargeBufferBytes;
  rocksdb::ColumnFamilyOptions meta;
  meta.write_buffer_size = kSmallBufferBytes;
  return {{rocksdb::kDefaultColumnFamilyName, meta},
          {kLogFamily, log},
          {kSnapshotFamily, snapshot},
          {kMetaFamily, meta}};
}

// FailedPrecondition when the directory has families that this program does
// not know: RocksDB would only say that they were not opened.
absl::Status CheckFamilies(const std::string& directory) {
  std::vector<std::string> found;
  const rocksdb::Status listed =
      rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), directory, &found);
  if (!listed.ok()) return absl::OkStatus();  // new; or Open says what is wrong
  const auto known = Families();
  for (const std::string& name : found) {
    if (std::none_of(known.begin(), known.end(),
                     [&](const auto& family) { return family.name == name; })) {
      return absl::FailedPreconditionError(absl::StrCat(
          directory, " holds the column family '", name,
          "', which this version does not know: use the version of kafed that "
          "wrote it"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Translate(const rocksdb::Status& status,
                       std::string_view context) {
  if (status.ok()) return absl::OkStatus();
  const std::string text =
      absl::StrCat(std::string(context), ": ", status.ToString());
  if (status.IsNotFound()) return absl::NotFoundError(text);
  if (status.IsCorruption()) return absl::DataLossError(text);
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kSpaceLimit) {
    return absl::ResourceExhaustedError(text);
  }
  if (status.IsIOError() || status.IsBusy() || status.IsTryAgain() ||
      status.IsTimedOut() || status.IsIncomplete()) {
    return absl::UnavailableError(text);
  }
  if (status.IsInvalidArgument()) return absl::InvalidArgumentError(text);
  return absl::InternalError(text);
}

void PutBigEndian(uint64_t value, int bytes, std::string* out) {
  for (int i = bytes - 1; i >= 0; --i) {
    out->push_back(static_cast<char>(value >> (8 * i)));
  }
}

uint64_t GetBigEndian(std::string_view in, size_t offset, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) {
    value = (value << 8) | static_cast<uint8_t>(in[offset + i]);
  }
  return value;
}

absl::Status DatabaseHealth::Get() const {
  std::lock_guard lock(mutex_);
  return status_;
}

void DatabaseHealth::Set(absl::Status status) {
  std::lock_guard lock(mutex_);
  status_ = std::move(status);
}

Database::Database(std::unique_ptr<rocksdb::DB> db,
                   std::shared_ptr<DatabaseHealth> health, WriteHook hook)
    : db_(std::move(db)), health_(std::move(health)), hook_(std::move(hook)) {}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(
    const std::string& directory, WriteHook hook, bool read_only) {
  const std::string path = directory + "/db";
  std::error_code error;
  if (!read_only) std::filesystem::create_directory(path, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot create ", path, ": ", error.message()));
  }
  RETURN_IF_ERROR(CheckFamilies(path));
  auto health = std::make_shared<DatabaseHealth>();
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  rocksdb::DBOptions options = DatabaseOptions(health);
  options.create_if_missing = !read_only;
  options.create_missing_column_families = !read_only;
  const rocksdb::Status opened =
      read_only ? rocksdb::DB::OpenForReadOnly(options, path, Families(),
                                               &handles, &db)
                : rocksdb::DB::Open(options, path, Families(), &handles, &db);
  RETURN_IF_ERROR(Translate(opened, "cannot open " + path));
  std::unique_ptr<Database> database(
      new Database(std::unique_ptr<rocksdb::DB>(db), health, std::move(hook)));
  database->default_ = handles[0];
  database->log_ = handles[1];
  database->snapshot_ = handles[2];
  database->meta_ = handles[3];
  const std::string mark = directory + kMarkFile;
  database->synced_at_open_ = SyncMark::Read(mark);
  database->last_at_open_ = db->GetLatestSequenceNumber();
  if (read_only) return database;
  if (database->lost() > 0) {
    return absl::DataLossError(absl::StrCat(
        path, " ends ", database->lost(),
        " writes before what was synced: its write-ahead log is damaged or "
        "cut; `kafed verify --data-dir ",
        directory, "` says what can be recovered"));
  }
  ASSIGN_OR_RETURN(database->mark_, SyncMark::Open(mark));
  return database;
}

uint64_t Database::lost() const {
  return synced_at_open_ > last_at_open_ ? synced_at_open_ - last_at_open_ : 0;
}

absl::Status Database::VerifyFiles() {
  return Translate(db_->VerifyChecksum(rocksdb::ReadOptions()),
                   "a file of storage is damaged");
}

Database::~Database() {
  for (auto* family : {default_, log_, snapshot_, meta_}) {
    if (family == nullptr) continue;
    db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  }
  const rocksdb::Status closed = db_->Close();
  if (!closed.ok()) {
    LogWarning("storage did not close cleanly", {{"error", closed.ToString()}});
  }
}

absl::Status Database::WriteSynced(rocksdb::WriteBatch* batch) {
  if (hook_) RETURN_IF_ERROR(hook_(WriteStage::kBefore));
  KAFED_FAILPOINT("store.write.before");
  rocksdb::WriteOptions options;
  options.sync = true;
#ifdef KAFED_FAILPOINTS
  if (IsPlanted("ack_before_sync")) options.sync = false;
#endif
  const uint64_t before = db_->GetLatestSequenceNumber();
  RETURN_IF_ERROR(Translate(db_->Write(options, batch), "cannot write"));
  // All of the batch has later numbers; each write in it has one.
  if (mark_) mark_->Advance(before + batch->Count());
  KAFED_FAILPOINT("store.write.after");
  if (hook_) RETURN_IF_ERROR(hook_(WriteStage::kAfter));
  return absl::OkStatus();
}

absl::Status Database::WriteLater(rocksdb::WriteBatch* batch) {
  return Translate(db_->Write(rocksdb::WriteOptions(), batch), "cannot write");
}

}  // namespace kafed::metastore
