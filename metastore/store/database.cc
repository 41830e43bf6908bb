#include "metastore/store/database.h"

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
// Room beyond what is opened anew: to go on with a little.
constexpr uint64_t kSpareBytes = 2 << 20;

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

rocksdb::DBOptions DatabaseOptions(
    std::shared_ptr<rocksdb::EventListener> listener) {
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
  options.max_bgerror_resume_count = 0;  // see mender.h
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.listeners.push_back(std::move(listener));
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

Database::Database(const std::string& directory, WriteHook hook)
    : directory_(directory),
      path_(directory + "/db"),
      hook_(std::move(hook)),
      mender_(directory) {}

absl::Status Database::OpenFiles(bool read_only) {
  rocksdb::DBOptions options = DatabaseOptions(mender_.listener());
  options.create_if_missing = !read_only;
  options.create_missing_column_families = !read_only;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened =
      read_only ? rocksdb::DB::OpenForReadOnly(options, path_, Families(),
                                               &files_.families, &db)
                : rocksdb::DB::Open(options, path_, Families(),
                                    &files_.families, &db);
  RETURN_IF_ERROR(Translate(opened, "cannot open " + path_));
  files_.db.reset(db);
  return absl::OkStatus();
}

void Database::CloseFiles() {
  if (files_.db == nullptr) return;
  for (auto* family : files_.families) {
    files_.db->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  }
  files_.families.clear();
  const rocksdb::Status closed = files_.db->Close();
  if (!closed.ok() && Health().ok()) {
    LogWarning("storage did not close cleanly", {{"error", closed.ToString()}});
  }
  files_.db.reset();
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(
    const std::string& directory, WriteHook hook, bool read_only) {
  std::unique_ptr<Database> database(new Database(directory, std::move(hook)));
  const std::string& path = database->path_;
  std::error_code error;
  if (!read_only) std::filesystem::create_directory(path, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot create ", path, ": ", error.message()));
  }
  RETURN_IF_ERROR(CheckFamilies(path));
  RETURN_IF_ERROR(database->OpenFiles(read_only));
  const std::string mark = directory + kMarkFile;
  database->synced_at_open_ = SyncMark::Read(mark);
  database->last_at_open_ = database->db().GetLatestSequenceNumber();
  if (read_only) return database;
  if (database->lost() > 0) {
    return absl::DataLossError(absl::StrCat(
        path, " ends ", database->lost(),
        " writes before what was synced: its write-ahead log is damaged or "
        "cut; `kafed verify --data-dir ",
        directory, "` says what can be recovered"));
  }
  ASSIGN_OR_RETURN(database->mark_, SyncMark::Open(mark));
  database->mender_.Start([raw = database.get()] { return raw->Reopen(); });
  return database;
}

Database::~Database() {
  mender_.Stop();
  CloseFiles();
}

Database::Pin Database::Use() {
  std::unique_lock lock(use_mutex_);
  use_changed_.wait(lock, [this] { return !closed_; });
  ++pins_;
  return Pin(this);
}

void Database::Unpin() {
  std::lock_guard lock(use_mutex_);
  if (--pins_ == 0) use_changed_.notify_all();
}

absl::Status Database::CheckRoom() {
  // Opening writes to table files what is only in memory and in write-ahead
  // files. The size of these says nothing: some are only kept to be recycled.
  uint64_t in_memory = 0;
  if (files_.db != nullptr) {
    files_.db->GetAggregatedIntProperty(
        rocksdb::DB::Properties::kCurSizeAllMemTables, &in_memory);
  }
  const uint64_t needed = in_memory + kSpareBytes;
  std::error_code error;
  const auto space = std::filesystem::space(directory_, error);
  if (error || space.available >= needed) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(needed, " free bytes are needed"));
}

absl::Status Database::Reopen() {
  RETURN_IF_ERROR(CheckRoom());
  {
    std::unique_lock lock(use_mutex_);
    use_changed_.wait(lock, [this] { return pins_ == 0; });
    closed_ = true;
  }
  CloseFiles();
  absl::Status opened = OpenFiles(/*read_only=*/false);
  if (opened.ok() && db().GetLatestSequenceNumber() < mark_->value()) {
    opened = absl::DataLossError(path_ + " has lost what was synced");
    CloseFiles();
  }
  absl::Status readable = opened;
  if (!opened.ok()) readable = OpenFiles(/*read_only=*/true);
  if (readable.ok()) {
    std::lock_guard lock(use_mutex_);
    closed_ = false;
    use_changed_.notify_all();
  } else {
    LogError("storage can't be read", {{"why", readable}});
  }
  return opened;
}

uint64_t Database::lost() const {
  return synced_at_open_ > last_at_open_ ? synced_at_open_ - last_at_open_ : 0;
}

absl::Status Database::VerifyFiles() {
  const Pin pin = Use();
  return Translate(db().VerifyChecksum(rocksdb::ReadOptions()),
                   "a file of storage is damaged");
}

absl::Status Database::WriteUnsynced(rocksdb::WriteBatch* batch) {
  RETURN_IF_ERROR(Health());
  const rocksdb::Status written = db().Write(rocksdb::WriteOptions(), batch);
  // A record that met the end of the disk is cut off and will never be read;
  // after it nothing is written until the files are opened anew.
  if (written.IsNoSpace()) RETURN_IF_ERROR(Health());
  return Translate(written, "cannot write");
}

absl::Status Database::WriteSynced(rocksdb::WriteBatch* batch) {
  if (hook_) RETURN_IF_ERROR(hook_(WriteStage::kBefore));
  KAFED_FAILPOINT("store.write.before");
  const Pin pin = Use();
  std::unique_lock lock(write_mutex_);
  const uint64_t before = db().GetLatestSequenceNumber();
  // In two steps, to know of a failure whether the record can be there.
  RETURN_IF_ERROR(WriteUnsynced(batch));
  bool sync = true;
#ifdef KAFED_FAILPOINTS
  if (IsPlanted("ack_before_sync")) sync = false;
#endif
  if (sync) {
    const rocksdb::Status synced = db().SyncWAL();
    if (!synced.ok()) {
      return absl::UnavailableError("cannot sync: " + synced.ToString());
    }
  }
  // All of the batch has later numbers; each write in it has one.
  if (mark_) mark_->Advance(before + batch->Count());
  lock.unlock();
  KAFED_FAILPOINT("store.write.after");
  if (hook_) RETURN_IF_ERROR(hook_(WriteStage::kAfter));
  return absl::OkStatus();
}

absl::Status Database::WriteLater(rocksdb::WriteBatch* batch) {
  const Pin pin = Use();
  std::lock_guard lock(write_mutex_);
  return WriteUnsynced(batch);
}

}  // namespace kafed::metastore
