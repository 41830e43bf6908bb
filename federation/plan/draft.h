// Draft: an entry in the making.
//
// A planner reads the draft's image, checks a command against it and adds the
// records that carry it out; each is applied to the draft at once, so the next
// command of the same group sees it. Nothing is visible to anybody until the
// entry is committed; dropping the draft drops the plan. A command that fails
// is rolled back with Checkpoint.
//
//   Draft draft(image, header);
//   Draft::Checkpoint before = draft.Mark();
//   auto answer = PlanAddSubCluster(request, &draft);
//   if (!answer.ok()) draft.Rollback(before);
//
// Pure. One thread.
#pragma once

#include <utility>
#include <vector>

#include "federation/image/apply.h"
#include "federation/image/image.h"
#include "kafed/v1/records.pb.h"

namespace kafed::federation {

class Draft {
 public:
  // `header` is that of the entry to come: complete, so that its time is the
  // time of the plan. A header that does not follow the image is a fault.
  Draft(Image image, v1::EntryHeader header);

  const Image& image() const { return image_; }
  uint64_t time_ms() const { return image_.head().time_ms; }
  Position position() const { return image_.position(); }
  v1::Position position_proto() const { return entry_.header().position(); }

  // Adds a record and applies it. One that does not apply is a fault: the
  // planner checked it before.
  void Add(v1::Record record);

  bool empty() const { return entry_.records().empty(); }
  // Rough size of the serialized entry.
  size_t bytes() const { return bytes_; }
  const v1::Entry& entry() const { return entry_; }
  const std::vector<ChangedRow>& changes() const { return changes_; }

  struct Checkpoint {
    Image image;
    int records;
    size_t changes;
    size_t bytes;
  };
  Checkpoint Mark() const;
  void Rollback(const Checkpoint& checkpoint);

 private:
  Image image_;
  v1::Entry entry_;
  std::vector<ChangedRow> changes_;
  size_t bytes_ = 0;
};

}  // namespace kafed::federation
