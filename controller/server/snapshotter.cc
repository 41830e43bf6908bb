#include "controller/server/snapshotter.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "federation/image/image_io.h"

namespace kafed::controller {
namespace {
// How often it looks whether enough entries were written.
constexpr absl::Duration kLook = absl::Seconds(1);
// After one that failed the pause doubles, as a full disk may last.
constexpr absl::Duration kLongestPause = absl::Seconds(64);
}  // namespace

Snapshotter::Snapshotter(const SnapshotterOptions& options, Replica* replica,
                         metastore::SharedLog* log,
                         metastore::SnapshotStore* snapshots,
                         std::function<uint64_t()> log_bytes)
    : options_(options),
      replica_(*replica),
      log_(*log),
      snapshots_(*snapshots),
      log_bytes_(std::move(log_bytes)) {
  thread_ = std::thread([this] { Loop(); });
}

Snapshotter::~Snapshotter() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

uint64_t Snapshotter::NewestIndex() const {
  const auto newest = snapshots_.Newest();
  return newest ? newest->position.index.value() : 0;
}

absl::Status Snapshotter::SaveNow() {
  const uint64_t log_bytes = log_bytes_();
  const auto image = replica_.image();
  const uint64_t index = image->head().index.value();
  if (index <= NewestIndex()) return absl::OkStatus();
  const auto saved = snapshots_.Save(
      {image->head().incarnation, image->head().index},
      federation::HeaderOf(*image), [&](SnapshotWriter& writer) {
        return federation::AddRows(*image, &writer);
      });
  if (!saved.ok()) {
    ++failed_;
    return Annotate(saved.status(), "snapshot");
  }
  ++saved_;
  saved_at_bytes_ = log_bytes;
  LogInfo("snapshot saved", {{"index", index},
                             {"rows", saved->summary.rows},
                             {"bytes", saved->summary.bytes}});
  // Everything before the oldest snapshot that is kept, less the history.
  const uint64_t oldest = snapshots_.List().back().position.index.value();
  if (oldest > options_.history_entries) {
    return log_.Trim(LogIndex(oldest - options_.history_entries));
  }
  return absl::OkStatus();
}

bool Snapshotter::Due() const {
  const uint64_t index = replica_.position().index.value();
  if (index >= NewestIndex() + options_.every_entries) return true;
  return options_.every_bytes > 0 && index > NewestIndex() &&
         log_bytes_() >= saved_at_bytes_ + options_.every_bytes;
}

void Snapshotter::Loop() {
  const auto stopping = [this] {
    mutex_.AssertReaderHeld();
    return stopping_;
  };
  absl::Duration pause = kLook;
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping), pause)) return;
    }
    if (!Due()) continue;
    const absl::Status saved = SaveNow();
    pause = saved.ok() ? kLook : std::min(pause * 2, kLongestPause);
    if (!saved.ok()) LogWarning("snapshot failed", {{"why", saved}});
  }
}

}  // namespace kafed::controller
