// ViewFeed: turns images into rows for one follower.
//
// Full: all rows of one image, in slices, closed under reference. Delta: the
// rows that differ between the position the follower has and a newer image,
// each once, however often it changed. The feed keeps no queue: a slow follower
// costs an image reference during a slice run and nothing between.
//
//   ViewFeed feed(filter, change_log);
//   feed.Begin(image, position_of_client);
//   while (feed.Next(max_rows, &rows)) { send rows }   // last: send position
//
// Server side: reads Image. One thread at a time.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "federation/image/image.h"
#include "federation/view/change_log.h"
#include "kafed/v1/rows.pb.h"

namespace kafed::federation {

class ViewFeed {
 public:
  // `changes` outlives the feed.
  ViewFeed(const v1::ViewFilter& filter, const ChangeLog* changes);

  // Starts a run from what the client has to `image`. A client without a
  // position, of another incarnation, or so old that deletes are forgotten,
  // gets a full view; `full()` says so.
  void Begin(std::shared_ptr<const Image> image, const Position& have,
             uint64_t have_nonce);

  // Appends up to about `max_rows` rows; false when the run is complete (rows
  // may have been added by the last call too).
  bool Next(size_t max_rows, google::protobuf::RepeatedPtrField<v1::Row>* rows);

  bool full() const { return full_; }
  const Image& image() const { return *image_; }
  // Drops the reference to the image once the run was sent.
  void End() { image_.reset(); }

 private:
  bool PassesTopic(TopicId id) const;
  bool PassesRegion(SubClusterId id) const;
  bool PassesPartition(TopicId topic, PartitionNumber number) const;
  bool Passes(Table table, std::string_view key, std::string_view value) const;
  void AddRow(Table table, std::string_view key,
              google::protobuf::RepeatedPtrField<v1::Row>* rows) const;
  bool NextOfScan(size_t max_rows,
                  google::protobuf::RepeatedPtrField<v1::Row>* rows);
  bool NextTombstones(size_t max_rows,
                      google::protobuf::RepeatedPtrField<v1::Row>* rows);

  const std::set<std::string> topics_;
  const std::set<std::string> regions_;
  const ChangeLog* changes_;
  std::shared_ptr<const Image> image_;
  bool full_ = false;
  bool scanning_ = false;  // tables are scanned for changed_at > since_
  LogIndex since_;
  Table table_ = Table::kSubClusters;
  BlockTable::Cursor cursor_ = 0;
  std::vector<ChangedRow> pending_;  // of a delta run, in order
  size_t next_pending_ = 0;
};

// One row of the view as clients see it; nullopt if it does not exist.
std::optional<v1::Row> RowOf(const Image& image, Table table,
                             std::string_view key);
// The row's identity, marked as deleted.
v1::Row DeletedRow(Table table, std::string_view key);

}  // namespace kafed::federation
