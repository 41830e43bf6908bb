#include "client/view_snapshot.h"

#include "common/snapshot_file.h"
#include "common/status_macros.h"

namespace kafed::client {
absl::Status SaveView(const PublishedView& view, const v1::ViewFilter& filter,
                      milliseconds wall, const std::string& path) {
  v1::ViewHeader header;
  *header.mutable_position() = view.at;
  *header.mutable_filter() = filter;
  header.set_time_ms(static_cast<uint64_t>(wall.count()));
  const auto fill = [&](SnapshotWriter& writer) {
    absl::Status status;
    view.view.ForEachRow([&](const v1::Row& row) {
      if (!status.ok()) return;
      status = writer.Add(static_cast<uint8_t>(row.row_case()), {},
                          row.SerializeAsString());
    });
    return status;
  };
  return WriteSnapshotFile(
             path, {SnapshotKind::kRouteView, header.SerializeAsString()}, fill)
      .status();
}

absl::StatusOr<LoadedView> LoadView(const std::string& path) {
  auto source = OpenSnapshotFile(path);
  if (!source.ok()) return Annotate(source.status(), "'" + path + "'");
  SnapshotReader reader(*std::move(source));
  ASSIGN_OR_RETURN(const SnapshotHeader header, reader.ReadHeader());
  v1::ViewHeader view_header;
  if (header.kind != SnapshotKind::kRouteView ||
      !view_header.ParseFromString(header.blob)) {
    return absl::InvalidArgumentError(
        "'" + path + "' is not a route view; save one with Mirror or with " +
        "`kafedctl snapshot save --route-view`");
  }
  LoadedView loaded;
  loaded.filter = view_header.filter();
  loaded.view.at = view_header.position();
  SnapshotRow bytes;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, reader.Next(&bytes));
    if (!more) return loaded;
    v1::Row row;
    if (!row.ParseFromArray(bytes.value.data(),
                            static_cast<int>(bytes.value.size()))) {
      return absl::DataLossError("'" + path + "': a row does not decode");
    }
    if (row.row_case() == v1::Row::ROW_NOT_SET) continue;
    RETURN_IF_ERROR(loaded.view.view.Apply(row));
  }
}

}  // namespace kafed::client
