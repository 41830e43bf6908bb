#include "controller/offline/verify.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/snapshot_file.h"
#include "common/status_macros.h"
#include "controller/write/node_log.h"
#include "federation/image/apply.h"
#include "federation/image/entry_codec.h"
#include "federation/image/image_io.h"
#include "federation/image/invariants.h"

namespace kafed::controller {
namespace {

using federation::Image;

constexpr size_t kReadBytes = 4 << 20;
constexpr size_t kMostViolations = 20;

std::string EntryName(LogIndex index) {
  return absl::StrCat("log entry ", index.value());
}

class Verifier {
 public:
  explicit Verifier(NodeLog node) : node_(std::move(node)) {}

  absl::StatusOr<VerifyReport> Run() {
    report_.node_id = node_.store->node_id();
    CheckStorage();
    ASSIGN_OR_RETURN(report_.first_entry, node_.log().FirstKept());
    ASSIGN_OR_RETURN(report_.last_entry, node_.log().Tail());
    WalkFromSnapshotToSnapshot(LoadSnapshots());
    auto violations = federation::FindViolations(report_.recovered);
    if (violations.size() > kMostViolations) violations.resize(kMostViolations);
    for (std::string& each : violations) {
      Damage(absl::StrCat("the state at ",
                          ToString(report_.recovered.position()),
                          " breaks an invariant: ", each));
    }
    return std::move(report_);
  }

 private:
  void Damage(std::string sentence) {
    report_.damage.push_back(std::move(sentence));
  }

  void CheckStorage() {
    if (const uint64_t lost = node_.store->lost_writes(); lost > 0) {
      Damage(absl::StrCat("storage ends ", lost,
                          " writes before what was synced: its write-ahead "
                          "log is damaged or cut"));
    }
    const absl::Status files = node_.store->VerifyFiles();
    if (!files.ok()) Damage(std::string(files.message()));
    if (const size_t unreadable = node_.snapshots->unreadable();
        unreadable > 0) {
      Damage(absl::StrCat(unreadable, " snapshots have unreadable manifests"));
    }
  }

  // The sound ones, oldest first.
  std::vector<Image> LoadSnapshots() {
    std::vector<Image> images;
    for (const metastore::StoredSnapshot& stored : node_.snapshots->List()) {
      if (stored.kind != SnapshotKind::kImage) continue;
      auto reader = node_.snapshots->Open(stored.position);
      auto image = reader.ok() ? federation::LoadImage(reader->get())
                               : absl::StatusOr<Image>(reader.status());
      if (image.ok()) {
        ++report_.snapshots;
        images.push_back(*std::move(image));
      } else {
        Damage(absl::StrCat("the snapshot at ",
                            stored.position.incarnation.counter, ":",
                            stored.position.index.value(), ": ",
                            std::string(image.status().message())));
      }
    }
    std::reverse(images.begin(), images.end());
    return images;
  }

  void WalkFromSnapshotToSnapshot(const std::vector<Image>& snapshots) {
    Image image;
    if (snapshots.empty() || report_.first_entry == LogIndex(1)) {
      // From the very beginning, if the log still has it.
    } else {
      image = snapshots.front();
      CountEntries(report_.first_entry, image.head().index);
    }
    for (const Image& snapshot : snapshots) {
      if (snapshot.head().index < image.head().index) continue;
      AdvanceTo(snapshot.head().index, &image);
      if (image.head().index == snapshot.head().index &&
          image.Hash() != snapshot.Hash()) {
        Damage(absl::StrCat("the snapshot at ", ToString(snapshot.position()),
                            " is not what the log up to there says"));
      }
      image = snapshot;
    }
    AdvanceTo(report_.last_entry, &image);
    report_.last_entry = std::min(report_.last_entry, image.head().index);
    report_.recovered = image;
  }

  // Calls `take` with each entry of [from, to] until it says false.
  void Read(LogIndex from, LogIndex to,
            const std::function<bool(const metastore::LogEntry&)>& take) {
    while (from <= to) {
      const auto entries = node_.log().Read(from, kReadBytes);
      if (!entries.ok() || entries->empty()) {
        return Damage(entries.ok() ? EntryName(from) + " is missing"
                                   : std::string(entries.status().message()));
      }
      for (const metastore::LogEntry& entry : *entries) {
        if (entry.index > to || !take(entry)) return;
        from = Next(entry.index);
      }
    }
  }

  // Entries before the oldest snapshot: there is no image to apply them to.
  void CountEntries(LogIndex from, LogIndex to) {
    Read(from, to, [this](const metastore::LogEntry& stored) {
      const auto entry = federation::DecodeEntry(stored.payload);
      if (entry.ok()) {
        ++report_.entries;
      } else {
        Damage(absl::StrCat(EntryName(stored.index), ": ",
                            std::string(entry.status().message())));
      }
      return true;
    });
  }

  // Applies entries up to `to`, or up to the first that does not apply.
  void AdvanceTo(LogIndex to, Image* image) {
    Read(Next(image->head().index), to, [&](const metastore::LogEntry& stored) {
      const auto entry = federation::DecodeEntry(stored.payload);
      Image next = *image;
      const absl::Status applied =
          entry.ok() ? federation::ApplyEntry(*entry, &next, nullptr)
                     : entry.status();
      if (!applied.ok()) {
        Damage(absl::StrCat(EntryName(stored.index), ": ",
                            std::string(applied.message())));
        return false;
      }
      *image = std::move(next);
      ++report_.entries;
      return true;
    });
  }

  NodeLog node_;
  VerifyReport report_;
};

}  // namespace

absl::StatusOr<VerifyReport> Verify(const std::string& directory,
                                    const Clock& clock) {
  ASSIGN_OR_RETURN(
      NodeLog node,
      NodeLog::Open({.directory = directory, .read_only = true}, clock));
  return Verifier(std::move(node)).Run();
}

absl::Status SaveRecovered(const VerifyReport& report,
                           const std::string& path) {
  if (!report.recovered.head().index.valid()) {
    return absl::FailedPreconditionError(
        "salvage: nothing can be recovered here; restore a backup");
  }
  return Annotate(
      WriteSnapshotFile(path, federation::HeaderOf(report.recovered),
                        [&](SnapshotWriter& writer) {
                          return federation::AddRows(report.recovered, &writer);
                        })
          .status(),
      "salvage");
}

}  // namespace kafed::controller
