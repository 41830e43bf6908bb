#include "federation/view/change_log.h"

#include <algorithm>
#include <utility>

namespace kafed::federation {

void ChangeLog::Append(LogIndex index, std::vector<ChangedRow> rows) {
  absl::MutexLock lock(&mutex_);
  rows_ += rows.size() + 1;
  entries_.push_back({index, std::move(rows)});
  while (rows_ > max_rows_ && entries_.size() > 1) {
    rows_ -= entries_.front().rows.size() + 1;
    entries_.pop_front();
  }
}

bool ChangeLog::Collect(LogIndex since, LogIndex upto,
                        absl::btree_set<ChangedRow>* rows) const {
  absl::MutexLock lock(&mutex_);
  if (since >= upto) return true;
  if (entries_.empty() || entries_.front().index > Next(since)) return false;
  auto entry = std::upper_bound(
      entries_.begin(), entries_.end(), since,
      [](LogIndex index, const Entry& each) { return index < each.index; });
  for (; entry != entries_.end(); ++entry) {
    rows->insert(entry->rows.begin(), entry->rows.end());
    // Also when it stands for entries on both sides of `upto`.
    if (entry->index >= upto) break;
  }
  return true;
}

}  // namespace kafed::federation
