// What the suites of the log share.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "common/log.h"
#include "metastore/log/shared_log.h"
#include "metastore/store/store.h"

namespace kafed::metastore {

// An entry whose id and payload follow from `number`.
inline LogEntry MakeEntry(uint64_t number, size_t payload_bytes = 0) {
  LogEntry entry;
  std::memcpy(entry.id.data(), &number, sizeof(number));
  entry.id[15] = 1;
  entry.payload = "entry-" + std::to_string(number);
  if (payload_bytes > 0) entry.payload.resize(payload_bytes, 'p');
  return entry;
}

inline std::vector<LogEntry> MakeEntries(uint64_t from, size_t count) {
  std::vector<LogEntry> entries;
  for (size_t i = 0; i < count; ++i) entries.push_back(MakeEntry(from + i));
  return entries;
}

// The entries as Read gives them back.
inline std::vector<LogEntry> AtIndex(uint64_t first,
                                     std::vector<LogEntry> entries) {
  for (LogEntry& entry : entries) entry.index = LogIndex(first++);
  return entries;
}

// Steady time from now on, for deadlines.
inline milliseconds In(milliseconds time) {
  return RealClock().Steady() + time;
}

// Opens a store with a floor that a small test disk passes.
inline std::unique_ptr<Store> OpenStore(const std::string& directory,
                                        WriteHook hook = nullptr) {
  auto store = Store::Open(
      {directory, /*free_space_floor_bytes=*/1 << 20, std::move(hook)});
  if (!store.ok()) Fault("cannot open a store", {{"error", store.status()}});
  return *std::move(store);
}

}  // namespace kafed::metastore
