#include "controller/write/recovery.h"

#include <algorithm>

#include "common/log.h"
#include "common/status_macros.h"
#include "common/uuid.h"
#include "federation/image/apply.h"
#include "federation/image/entry_codec.h"
#include "federation/image/image_io.h"
#include "federation/plan/planners.h"

namespace kafed::controller {
namespace {
constexpr size_t kReadBytes = 4 << 20;
}  // namespace

absl::Status ReplayTo(metastore::SharedLog* log, LogIndex tail,
                      federation::Image* image,
                      std::vector<federation::ChangedRow>* changes) {
  while (image->head().index < tail) {
    const LogIndex from = Next(image->head().index);
    ASSIGN_OR_RETURN(const auto entries, log->Read(from, kReadBytes));
    if (entries.empty()) {
      return absl::UnavailableError("log entry " +
                                    std::to_string(from.value()) +
                                    " stands and can't be read yet");
    }
    for (const metastore::LogEntry& stored : entries) {
      const std::string where =
          "log entry " + std::to_string(stored.index.value());
      const auto entry = federation::DecodeEntry(stored.payload);
      if (!entry.ok()) return Annotate(entry.status(), where);
      RETURN_IF_ERROR(
          Annotate(federation::ApplyEntry(*entry, image, changes), where));
    }
  }
  return absl::OkStatus();
}

absl::Status Replay(metastore::SharedLog* log, federation::Image* image,
                    std::vector<federation::ChangedRow>* changes) {
  while (true) {
    ASSIGN_OR_RETURN(const LogIndex tail, log->Tail());
    if (tail <= image->head().index) return absl::OkStatus();
    RETURN_IF_ERROR(ReplayTo(log, tail, image, changes));
  }
}

absl::StatusOr<federation::Image> Recover(metastore::SharedLog* log,
                                          metastore::SnapshotStore* snapshots) {
  federation::Image image;
  for (const metastore::StoredSnapshot& stored : snapshots->List()) {
    if (stored.kind != SnapshotKind::kImage) continue;
    auto reader = snapshots->Open(stored.position);
    absl::StatusOr<federation::Image> loaded =
        reader.ok() ? federation::LoadImage(reader->get())
                    : absl::StatusOr<federation::Image>(reader.status());
    if (loaded.ok()) {
      image = *std::move(loaded);
      break;
    }
    LogWarning(
        "snapshot can't be used",
        {{"index", stored.position.index.value()}, {"why", loaded.status()}});
  }
  RETURN_IF_ERROR(Annotate(Replay(log, &image, nullptr), "recovery"));
  return image;
}

absl::Status BeginIncarnation(metastore::SharedLog* log,
                              const IncarnationBeginning& beginning,
                              federation::Image* image) {
  const LogIndex index = Next(image->head().index);
  v1::EntryHeader header;
  header.set_entry_id(std::string(AsBytes(RandomBytes16())));
  header.set_writer_node_id(beginning.node_id);
  header.mutable_position()->set_incarnation(beginning.incarnation);
  header.mutable_position()->set_nonce(RandomNumber64());
  header.mutable_position()->set_index(index.value());
  header.set_predecessor_hash(image->head().header_hash);
  header.set_feature_level(federation::kFeatureLevel);
  header.set_time_ms(std::max(image->head().time_ms, beginning.now_ms));
  federation::Draft draft(*image, header);
  v1::Record began;
  began.mutable_incarnation_began()->set_reason(std::string(beginning.reason));
  draft.Add(std::move(began));
  v1::Record level;
  level.mutable_feature_level_raised()->set_level(federation::kFeatureLevel);
  draft.Add(std::move(level));
  federation::PlanRegisterNode(beginning.node_id, beginning.node, &draft);
  metastore::LogEntry entry;
  std::copy(header.entry_id().begin(), header.entry_id().end(),
            entry.id.begin());
  entry.payload = federation::EncodeEntry(draft.entry());
  const auto outcome = log->AppendAt(index, entry);
  if (!outcome.ok()) {
    const absl::Status why = outcome.detail.ok()
                                 ? absl::AbortedError("another node was first")
                                 : outcome.detail;
    return Annotate(why, "the first entry of the incarnation");
  }
  *image = draft.image();
  return absl::OkStatus();
}

}  // namespace kafed::controller
