#include "federation/view/change_log.h"

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
  // Indexes have no gaps: the entry of an index is found by subtraction.
  const size_t begin = Next(since).value() - entries_.front().index.value();
  for (size_t i = begin; i < entries_.size(); ++i) {
    if (entries_[i].index > upto) break;
    rows->insert(entries_[i].rows.begin(), entries_[i].rows.end());
  }
  return true;
}

}  // namespace kafed::federation
