#include "metastore/store/mender.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "metastore/store/database.h"

namespace kafed::metastore {
namespace {
constexpr std::chrono::milliseconds kPause{500};
}  // namespace

struct Mender::Errors {
  mutable std::mutex mutex;
  std::condition_variable changed;
  absl::Status status;
  uint64_t count = 0;
  bool stopping = false;
};

class Mender::Listener : public rocksdb::EventListener {
 public:
  Listener(std::string directory, std::shared_ptr<Errors> errors)
      : directory_(std::move(directory)), errors_(std::move(errors)) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason reason,
                         rocksdb::Status* error) override {
    absl::Status status =
        Translate(*error, absl::StrCat("data directory ", directory_,
                                       " takes no writes at present"));
    if (absl::IsResourceExhausted(status)) {
      status = absl::ResourceExhaustedError(absl::StrCat(
          "data directory ", directory_, " is on a full disk (",
          error->ToString(),
          "): free some space, then changes are taken again by themselves"));
    }
    std::lock_guard lock(errors_->mutex);
    ++errors_->count;
    if (!errors_->status.ok()) return;  // the first one says it best
    LogError("storage takes no writes",
             {{"reason", static_cast<int>(reason)}, {"error", status}});
    errors_->status = status;
    errors_->changed.notify_all();
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }

 private:
  const std::string directory_;
  const std::shared_ptr<Errors> errors_;
};

Mender::Mender(std::string directory)
    : directory_(std::move(directory)), errors_(std::make_shared<Errors>()) {}

Mender::~Mender() { Stop(); }

std::shared_ptr<rocksdb::EventListener> Mender::listener() {
  return std::make_shared<Listener>(directory_, errors_);
}

void Mender::Start(std::function<absl::Status()> mend) {
  mend_ = std::move(mend);
  thread_ = std::thread([this] { Loop(); });
}

void Mender::Stop() {
  {
    std::lock_guard lock(errors_->mutex);
    errors_->stopping = true;
    errors_->changed.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

absl::Status Mender::Health() const {
  std::lock_guard lock(errors_->mutex);
  return errors_->status;
}

void Mender::Loop() {
  std::unique_lock lock(errors_->mutex);
  while (true) {
    errors_->changed.wait(
        lock, [this] { return errors_->stopping || !errors_->status.ok(); });
    if (errors_->changed.wait_for(lock, kPause,
                                  [this] { return errors_->stopping; })) {
      return;
    }
    const uint64_t before = errors_->count;
    lock.unlock();
    const absl::Status mended = mend_();
    lock.lock();
    if (!mended.ok()) {
      LogDebug("storage can't be mended yet", {{"why", mended}});
    } else if (errors_->count == before) {  // else there is another one
      errors_->status = absl::OkStatus();
      LogInfo("storage takes writes again");
    }
  }
}

}  // namespace kafed::metastore
