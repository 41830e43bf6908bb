#include "metastore/store/unsynced_loss.h"

#ifdef KAFED_FAILPOINTS

#include <rocksdb/file_system.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <utility>

#include "common/failpoint.h"

namespace kafed::metastore {
namespace {

using rocksdb::FileOptions;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

// How far each file that was written in this process is durable. Whatever
// changes files holds the gate meanwhile; once files are cut it never opens
// again, so that no other thread goes on from what is gone.
class SyncedSizes {
 public:
  using Pass = std::shared_lock<std::shared_mutex>;
  Pass Enter() { return Pass(gate_); }

  void Set(const std::string& path, uint64_t size) {
    std::lock_guard lock(mutex_);
    sizes_[path] = size;
  }
  void Rename(const std::string& from, const std::string& to) {
    std::lock_guard lock(mutex_);
    const auto at = sizes_.find(from);
    if (at == sizes_.end()) return;
    const uint64_t size = at->second;
    sizes_.erase(at);
    sizes_[to] = size;
  }
  void Forget(const std::string& path) {
    std::lock_guard lock(mutex_);
    sizes_.erase(path);
  }
  void CutAll() {
    gate_.lock();  // for good: the process dies
    std::lock_guard lock(mutex_);
    for (const auto& [path, size] : sizes_) {
      // A file that is gone has nothing to lose.
      if (truncate(path.c_str(), static_cast<off_t>(size)) != 0) continue;
    }
  }

 private:
  std::shared_mutex gate_;
  std::mutex mutex_;
  std::map<std::string, uint64_t> sizes_;
};

class CountingFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  CountingFile(std::unique_ptr<FSWritableFile>&& file, std::string path,
               SyncedSizes* sizes)
      : FSWritableFileOwnerWrapper(std::move(file)),
        path_(std::move(path)),
        is_log_(path_.ends_with(".log")),
        sizes_(*sizes) {
    sizes_.Set(path_, 0);
  }
  using FSWritableFileOwnerWrapper::Append;
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  IODebugContext* context) override {
    const auto pass = sizes_.Enter();
    const IOStatus status =
        FSWritableFileOwnerWrapper::Append(data, options, context);
    if (status.ok()) size_ += data.size();
    return status;
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* context) override {
    if (is_log_) KAFED_FAILPOINT("store.sync.before");
    const IOStatus status = [&] {
      const auto pass = sizes_.Enter();
      return Synced(FSWritableFileOwnerWrapper::Sync(options, context));
    }();
    if (is_log_) KAFED_FAILPOINT("store.sync.after");
    return status;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* context) override {
    const auto pass = sizes_.Enter();
    return Synced(FSWritableFileOwnerWrapper::Fsync(options, context));
  }

 private:
  IOStatus Synced(IOStatus status) {
    if (status.ok()) sizes_.Set(path_, size_);
    return status;
  }

  const std::string path_;
  const bool is_log_;
  SyncedSizes& sizes_;
  uint64_t size_ = 0;
};

class UnsyncedLoss : public rocksdb::FileSystemWrapper {
 public:
  UnsyncedLoss() : FileSystemWrapper(rocksdb::FileSystem::Default()) {
    OnFailpoint([this] { sizes_.CutAll(); });
  }
  const char* Name() const override { return "UnsyncedLoss"; }

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file,
                           IODebugContext* context) override {
    const auto pass = sizes_.Enter();
    const IOStatus status =
        FileSystemWrapper::NewWritableFile(path, options, file, context);
    if (status.ok()) Wrap(path, file);
    return status;
  }
  IOStatus ReuseWritableFile(const std::string& path, const std::string& old,
                             const FileOptions& options,
                             std::unique_ptr<FSWritableFile>* file,
                             IODebugContext* context) override {
    const auto pass = sizes_.Enter();
    const IOStatus status =
        FileSystemWrapper::ReuseWritableFile(path, old, options, file, context);
    if (status.ok()) {
      sizes_.Forget(old);
      Wrap(path, file);
    }
    return status;
  }
  IOStatus RenameFile(const std::string& from, const std::string& to,
                      const IOOptions& options,
                      IODebugContext* context) override {
    const auto pass = sizes_.Enter();
    const IOStatus status =
        FileSystemWrapper::RenameFile(from, to, options, context);
    if (status.ok()) sizes_.Rename(from, to);
    return status;
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions& options,
                      IODebugContext* context) override {
    const auto pass = sizes_.Enter();
    const IOStatus status =
        FileSystemWrapper::DeleteFile(path, options, context);
    if (status.ok()) sizes_.Forget(path);
    return status;
  }

 private:
  void Wrap(const std::string& path, std::unique_ptr<FSWritableFile>* file) {
    *file = std::make_unique<CountingFile>(std::move(*file), path, &sizes_);
  }
  SyncedSizes sizes_;
};

}  // namespace

rocksdb::Env* UnsyncedLossEnv() {
  // Never destroyed: a failpoint may be hit until the very end.
  static rocksdb::Env* const env =
      rocksdb::NewCompositeEnv(std::make_shared<UnsyncedLoss>()).release();
  return env;
}

}  // namespace kafed::metastore

#endif
