#include "federation/plan/draft.h"

#include "common/log.h"

namespace kafed::federation {

Draft::Draft(Image image, v1::EntryHeader header) : image_(std::move(image)) {
  *entry_.mutable_header() = std::move(header);
  Editor editor(&image_, &changes_);
  const absl::Status begun =
      BeginEntry(entry_.header(), HashHeader(entry_.header()), &editor);
  if (!begun.ok()) Fault("the entry in the making is broken", {{"why", begun}});
}

void Draft::Add(v1::Record record) {
  Editor editor(&image_, &changes_);
  const absl::Status applied = ApplyRecord(record, &editor);
  if (!applied.ok()) {
    Fault("a planned record does not apply",
          {{"why", applied}, {"record", record.ShortDebugString()}});
  }
  bytes_ += record.ByteSizeLong() + 4;
  *entry_.add_records() = std::move(record);
}

Draft::Checkpoint Draft::Mark() const {
  return {image_, entry_.records_size(), changes_.size(), bytes_};
}

void Draft::Rollback(const Checkpoint& checkpoint) {
  image_ = checkpoint.image;
  entry_.mutable_records()->DeleteSubrange(
      checkpoint.records, entry_.records_size() - checkpoint.records);
  changes_.resize(checkpoint.changes);
  bytes_ = checkpoint.bytes;
}

}  // namespace kafed::federation
