#include "metastore/store/log_table.h"

#include <rocksdb/convenience.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "metastore/store/database.h"

namespace kafed::metastore {
namespace {

// Where a search for the oldest entry begins; it spares the search what was
// trimmed but not compacted yet.
constexpr char kFirstKeptKey[] = "log.first_kept";

std::string KeyOf(LogIndex index) {
  std::string key;
  PutBigEndian(index.value(), 8, &key);
  return key;
}

absl::StatusOr<LogIndex> IndexOf(const rocksdb::Slice& key) {
  if (key.size() != 8) {
    return absl::DataLossError("the log holds a key that is not an index");
  }
  return LogIndex(GetBigEndian(ToView(key), 0, 8));
}

}  // namespace

absl::StatusOr<LogTable::Bounds> LogTable::ReadBounds() const {
  const auto pin = database_.Use();
  std::string from = KeyOf(LogIndex(0));
  const rocksdb::Status found = database_.db().Get(
      rocksdb::ReadOptions(), database_.meta(), kFirstKeptKey, &from);
  if (!found.ok() && !found.IsNotFound()) {
    return Translate(found, "cannot read the log's first index");
  }
  if (from.size() != 8) {
    return absl::DataLossError("the log's first index is unreadable");
  }
  std::unique_ptr<rocksdb::Iterator> at(
      database_.db().NewIterator(rocksdb::ReadOptions(), database_.log()));
  Bounds bounds;
  at->Seek(from);
  if (at->Valid()) {
    ASSIGN_OR_RETURN(bounds.first, IndexOf(at->key()));
    at->SeekToLast();
    if (at->Valid()) {
      ASSIGN_OR_RETURN(bounds.last, IndexOf(at->key()));
    }
  }
  RETURN_IF_ERROR(Translate(at->status(), "cannot read the log's bounds"));
  const uint64_t begins = GetBigEndian(from, 0, 8);
  if (!bounds.first.valid() && begins > 0) bounds.last = LogIndex(begins - 1);
  return bounds;
}

absl::Status LogTable::BeginAt(LogIndex first) {
  const auto pin = database_.Use();
  ASSIGN_OR_RETURN(const Bounds bounds, ReadBounds());
  if (bounds.last.valid()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the log goes up to ", bounds.last.value(), " already"));
  }
  rocksdb::WriteBatch batch;
  RETURN_IF_ERROR(
      Translate(batch.Put(database_.meta(), kFirstKeptKey, KeyOf(first)),
                "cannot build a write"));
  return database_.WriteSynced(&batch);
}

absl::Status LogTable::BeginAnewAt(LogIndex first) {
  const auto pin = database_.Use();
  const std::string end = KeyOf(first);
  rocksdb::WriteBatch batch;
  RETURN_IF_ERROR(
      Translate(batch.DeleteRange(database_.log(), KeyOf(LogIndex(0)), end),
                "cannot build a write"));
  RETURN_IF_ERROR(Translate(batch.Put(database_.meta(), kFirstKeptKey, end),
                            "cannot build a write"));
  return database_.WriteSynced(&batch);
}

absl::Status LogTable::Append(LogIndex first, std::span<const LogEntry> entries,
                              uint64_t running_bytes,
                              std::span<const MetaWrite> also) {
  const auto pin = database_.Use();
  rocksdb::WriteBatch batch;
  LogIndex index = first;
  for (const LogEntry& entry : entries) {
    running_bytes += entry.payload.size();
    RETURN_IF_ERROR(Translate(
        batch.Put(
            database_.log(), KeyOf(index),
            EncodeLogValue(index, entry.id, entry.payload, running_bytes)),
        "cannot build a write"));
    index = Next(index);
  }
  for (const MetaWrite& write : also) {
    RETURN_IF_ERROR(
        Translate(batch.Put(database_.meta(), write.key, write.value),
                  "cannot build a write"));
  }
  return database_.WriteSynced(&batch);
}

absl::StatusOr<std::vector<LogEntry>> LogTable::Read(LogIndex from,
                                                     LogIndex last,
                                                     size_t max_bytes) const {
  const auto pin = database_.Use();
  std::vector<LogEntry> entries;
  std::unique_ptr<rocksdb::Iterator> at(
      database_.db().NewIterator(rocksdb::ReadOptions(), database_.log()));
  LogIndex expected = from;
  size_t bytes = 0;
  at->Seek(KeyOf(from));
  for (; expected <= last && at->Valid(); at->Next()) {
    ASSIGN_OR_RETURN(const LogIndex index, IndexOf(at->key()));
    if (index != expected) break;
    ASSIGN_OR_RETURN(StoredEntry stored,
                     DecodeLogValue(index, ToView(at->value())));
    bytes += stored.entry.payload.size();
    if (!entries.empty() && bytes > max_bytes) return entries;
    entries.push_back(std::move(stored.entry));
    expected = Next(expected);
  }
  RETURN_IF_ERROR(Translate(
      at->status(), absl::StrCat("cannot read log entry ", expected.value())));
  if (expected <= last) {
    return absl::DataLossError(
        absl::StrCat("log entry ", expected.value(), " is missing"));
  }
  return entries;
}

absl::StatusOr<StoredEntry> LogTable::Get(LogIndex index) const {
  const auto pin = database_.Use();
  std::string value;
  RETURN_IF_ERROR(
      Translate(database_.db().Get(rocksdb::ReadOptions(), database_.log(),
                                   KeyOf(index), &value),
                absl::StrCat("cannot read log entry ", index.value())));
  return DecodeLogValue(index, value);
}

absl::Status LogTable::Trim(LogIndex before) {
  if (before.value() <= 1) return absl::OkStatus();
  const auto pin = database_.Use();
  const std::string begin = KeyOf(LogIndex(0));
  const std::string end = KeyOf(before);
  // First the durable cut, then the files: a crash in between leaves files that
  // the next compaction drops, never a log whose beginning is missing.
  rocksdb::WriteBatch batch;
  RETURN_IF_ERROR(Translate(batch.DeleteRange(database_.log(), begin, end),
                            "cannot build a trim"));
  RETURN_IF_ERROR(Translate(batch.Put(database_.meta(), kFirstKeptKey, end),
                            "cannot build a trim"));
  RETURN_IF_ERROR(database_.WriteSynced(&batch));
  KAFED_FAILPOINT("store.trim.between");
  const std::string last_cut = KeyOf(LogIndex(before.value() - 1));
  const rocksdb::Slice from(begin), to(last_cut);
  const rocksdb::Status freed =
      rocksdb::DeleteFilesInRange(&database_.db(), database_.log(), &from, &to);
  if (!freed.ok()) {
    LogWarning("trimmed log files stay until compaction",
               {{"error", freed.ToString()}});
  }
  return absl::OkStatus();
}

absl::Status LogTable::PutRawForTest(LogIndex index, std::string_view value) {
  const auto pin = database_.Use();
  rocksdb::WriteBatch batch;
  RETURN_IF_ERROR(
      Translate(batch.Put(database_.log(), KeyOf(index), ToSlice(value)),
                "cannot build a write"));
  return database_.WriteSynced(&batch);
}

absl::StatusOr<std::string> LogTable::GetRawForTest(LogIndex index) const {
  const auto pin = database_.Use();
  std::string value;
  RETURN_IF_ERROR(
      Translate(database_.db().Get(rocksdb::ReadOptions(), database_.log(),
                                   KeyOf(index), &value),
                "cannot read"));
  return value;
}

}  // namespace kafed::metastore
