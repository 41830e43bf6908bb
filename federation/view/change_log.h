// ChangeLog: which rows of the route view each recent entry changed.
//
// Lets a follower that is a little behind be sent just those rows; one that is
// further behind costs a scan (view_feed.h). Bounded in rows; soft state, empty
// after a start. Thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/synchronization/mutex.h"
#include "common/position.h"
#include "federation/image/editor.h"

namespace kafed::federation {

inline bool operator<(const ChangedRow& a, const ChangedRow& b) {
  return a.table != b.table ? a.table < b.table : a.key < b.key;
}

class ChangeLog {
 public:
  explicit ChangeLog(size_t max_rows = 500'000) : max_rows_(max_rows) {}

  // Entries come in order of their index; the first may have any. Several that
  // were read at once, of another node, come as one with the index of the last.
  void Append(LogIndex index, std::vector<ChangedRow> rows);

  // Adds the rows changed by entries in (since, upto]; false if some of these
  // entries are no longer known.
  bool Collect(LogIndex since, LogIndex upto,
               absl::btree_set<ChangedRow>* rows) const;

 private:
  struct Entry {
    LogIndex index;
    std::vector<ChangedRow> rows;
  };
  const size_t max_rows_;
  mutable absl::Mutex mutex_;
  std::deque<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  size_t rows_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace kafed::federation
