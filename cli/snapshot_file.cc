#include "cli/snapshot_file.h"

#include <array>
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "cli/text.h"
#include "common/snapshot_file.h"
#include "common/status_macros.h"
#include "kafed/v1/rows.pb.h"
#include "kafed/v1/snapshot.pb.h"

namespace kafed::cli {
namespace {

// Their numbers are on disk, so they never change; a test compares them with
// those of the image.
constexpr std::array<std::string_view, 31> kImageTables = {
    "counters",        "sub_clusters",
    "topics",          "kafka_topics",
    "partitions",      "bindings",
    "names",           "topic_counters",
    "slots",           "partition_keys",
    "shares",          "hash_buckets",
    "hosts",           "vpcs",
    "vpc_members",     "vpc_chunks",
    "pending_markers", "resources",
    "instances",       "sessions",
    "session_sources", "segment_tallies",
    "requests",        "request_queue",
    "tombstones",      "tombstone_queue",
    "nodes",           "operations",
    "former_bindings", "former_queue",
    "offices"};

absl::Status TakeHeader(const SnapshotHeader& header,
                        SnapshotContent* content) {
  content->kind = header.kind;
  v1::ImageHeader image;
  v1::ViewHeader view;
  const bool ok = header.kind == SnapshotKind::kImage
                      ? image.ParseFromString(header.blob)
                      : view.ParseFromString(header.blob);
  if (!ok) return absl::DataLossError("the header is not readable");
  if (header.kind == SnapshotKind::kImage) {
    content->position = image.position();
    content->time_ms = image.time_ms();
    content->feature_level = image.feature_level();
  } else {
    content->position = view.position();
    content->time_ms = view.time_ms();
  }
  return absl::OkStatus();
}

std::string Checksum(uint64_t value) {
  std::array<char, 20> text{};
  std::snprintf(text.data(), text.size(), "%016" PRIx64, value);
  return text.data();
}

std::string KindName(SnapshotKind kind) {
  return kind == SnapshotKind::kImage ? "image" : "route view";
}

void WriteContent(const std::string& path, const SnapshotContent& content,
                  DocumentWriter* writer) {
  const auto number = [writer](std::string_view name, uint64_t value) {
    writer->Key(name);
    writer->Literal(std::to_string(value));
  };
  const auto text = [writer](std::string_view name, std::string_view value) {
    writer->Key(name);
    writer->Text(value);
  };
  writer->BeginObject();
  text("file", path);
  text("content", KindName(content.kind));
  text("position", FormatPosition(content.position));
  text("time", FormatTime(content.time_ms));
  number("feature_level", content.feature_level);
  number("bytes", content.summary.bytes);
  number("chunks", content.summary.chunks);
  number("rows", content.summary.rows);
  text("checksum", Checksum(content.summary.checksum));
  writer->Key("tables");
  writer->BeginObject();
  for (const auto& [table, rows] : content.rows) {
    number(SnapshotTableName(content.kind, table), rows);
  }
  writer->EndObject();
  writer->EndObject();
  writer->EndDocument();
}

}  // namespace

absl::StatusOr<SnapshotContent> ReadSnapshotFile(const std::string& path) {
  ASSIGN_OR_RETURN(SnapshotSource source, OpenSnapshotFile(path));
  SnapshotReader reader(std::move(source));
  SnapshotContent content;
  ASSIGN_OR_RETURN(const SnapshotHeader header, reader.ReadHeader());
  RETURN_IF_ERROR(TakeHeader(header, &content));
  SnapshotRow row;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, reader.Next(&row));
    if (!more) break;
    ++content.rows[row.table];
  }
  content.summary = reader.summary();
  return content;
}

std::string SnapshotTableName(SnapshotKind kind, uint8_t table) {
  if (kind == SnapshotKind::kImage) {
    if (table < kImageTables.size()) return std::string(kImageTables[table]);
  } else {
    const auto* field = v1::Row::descriptor()->FindFieldByNumber(table);
    if (field != nullptr) return field->name();
  }
  return "table " + std::to_string(table);
}

void PrintSnapshot(const std::string& path, const SnapshotContent& content,
                   Printer* printer) {
  if (printer->structured()) {
    return WriteContent(path, content, printer->NewDocument().get());
  }
  Fields fields = {{"File", path},
                   {"Content", KindName(content.kind)},
                   {"Position", FormatPosition(content.position)},
                   {"Time", FormatTime(content.time_ms)}};
  if (content.kind == SnapshotKind::kImage) {
    fields.emplace_back("Feature level", std::to_string(content.feature_level));
  }
  fields.emplace_back("Bytes", std::to_string(content.summary.bytes));
  fields.emplace_back("Chunks", std::to_string(content.summary.chunks));
  fields.emplace_back("Rows", std::to_string(content.summary.rows));
  fields.emplace_back("Checksum",
                      Checksum(content.summary.checksum) + " (verified)");
  printer->PrintMessage(v1::Position(), fields);
  if (content.rows.empty()) return;
  std::vector<Cells> rows;
  for (const auto& [table, count] : content.rows) {
    rows.push_back(
        {SnapshotTableName(content.kind, table), std::to_string(count)});
  }
  printer->PrintLine("");
  printer->PrintTable({{"TABLE"}, {"ROWS"}}, rows);
}

}  // namespace kafed::cli
