// MarkerWriter: tells hosts in-band that they joined or left a VPC.
//
// The image holds a pending marker for each (VPC, host) whose membership
// changed. The worker of the host's sub-cluster writes a `subscribe` or
// `unsubscribe` message into the host's unicast partition and then records
// MarkersWritten. A crash in between writes it again; a Subscriber ignores
// versions it knows. Markers for Kafka topics that are not ready wait.
//
// Driven by a ClusterWorker, on its thread.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/kafka_header.h"
#include "controller/kafka/kafka_cluster.h"
#include "controller/reconcile/options.h"
#include "controller/write/replica.h"
#include "controller/write/writer.h"
#include "kafed/v1/markers.pb.h"

namespace kafed::controller {

// Who writes control messages: one incarnation of one node. Thread-safe.
class MarkerSource {
 public:
  MarkerSource();  // 16 random bytes
  const Source& source() const { return source_; }
  uint64_t NextSequence() { return next_++; }

 private:
  Source source_{};
  std::atomic<uint64_t> next_{1};
};

// Where a host's control messages go.
struct MarkerPlace {
  enum Kind { kNobody, kNotReady, kReady };
  Kind kind = kNobody;  // kNobody: the host is gone or bound nowhere
  federation::SubClusterId sub_cluster;
  std::string kafka_topic;
  uint32_t kafka_partition = 0;
  federation::Epoch epoch;
};

// A pending marker and its place.
struct PlacedMarker {
  std::string vpc;
  std::string host;
  federation::PendingMarker marker;
  MarkerPlace place;
};

// Goes through the pending markers, thousands at a time: collects those that
// `take` accepts and returns the cursor for the next call.
BlockTable::Cursor ScanMarkers(
    const federation::Image& image, BlockTable::Cursor cursor,
    const std::function<bool(const MarkerPlace&)>& take,
    std::vector<PlacedMarker>* markers);

// The value of the control message; nullopt where the host is no member any
// more, so that there is nothing to tell.
std::optional<v1::MembershipMarker> MakeMarker(const federation::Image& image,
                                               const PlacedMarker& placed);

// MarkersWritten of these, a record for each VPC and version.
std::vector<v1::Record> MarkersWrittenOf(
    const std::vector<PlacedMarker>& markers);

class MarkerWriter {
 public:
  // All outlive it.
  MarkerWriter(federation::SubClusterId sub_cluster,
               const CoordinatorOptions* options, const Replica* replica,
               Writer* writer, MarkerSource* source, ReconcileStats* stats);

  // Writes what is pending for hosts here, until `stop` says so. An error: some
  // could not be written, try again later.
  absl::Status Pass(KafkaCluster* kafka, const std::function<bool()>& stop);

  // Messages of one batch.
  static constexpr size_t kBatch = 1'000;

 private:
  // What a pass depends on: while it stays, there is nothing new to do.
  struct Seen {
    TableDigest markers;
    TableDigest kafka_topics;
    TableDigest partitions;
    friend bool operator==(const Seen&, const Seen&) = default;
  };
  static Seen SeenOf(const federation::Image& image);
  struct Outcome {
    uint64_t written = 0;
    absl::Status failure;  // of the first that could not be written
  };
  // An error is the writer's.
  absl::StatusOr<Outcome> WriteBatch(const federation::Image& image,
                                     std::vector<PlacedMarker> batch,
                                     KafkaCluster* kafka);

  const federation::SubClusterId sub_cluster_;
  const CoordinatorOptions& options_;
  const Replica& replica_;
  Writer& writer_;
  MarkerSource& source_;
  ReconcileStats& stats_;
  std::optional<Seen> done_;
};

}  // namespace kafed::controller
