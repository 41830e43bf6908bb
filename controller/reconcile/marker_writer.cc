#include "controller/reconcile/marker_writer.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "common/log.h"
#include "common/status_macros.h"
#include "common/uuid.h"
#include "controller/reconcile/facts.h"

namespace kafed::controller {
namespace {

using federation::Image;
using federation::KafkaTopicState;
using federation::KeyOf;
using federation::Table;
using federation::TopicId;

constexpr size_t kScanRows = 4'000;

std::vector<TopicId> UnicastTopics(const Image& image) {
  std::vector<TopicId> ids;
  for (const auto& [id, topic] : image.Topics()) {
    if (topic.kind == v1::TOPIC_KIND_UNICAST) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

MarkerPlace PlaceOfPartition(const Image& image, TopicId topic,
                             federation::PartitionNumber number) {
  MarkerPlace place;
  place.kind = MarkerPlace::kNotReady;
  const auto partition = image.partition(topic, number);
  const federation::Segment* segment =
      partition ? partition->Writable() : nullptr;
  if (segment == nullptr) return place;
  place.sub_cluster = segment->sub_cluster;
  const auto kafka_topic = image.kafka_topic(segment->kafka_topic);
  // A closing segment takes no more messages: the marker waits for the next.
  if (!kafka_topic || kafka_topic->state != KafkaTopicState::kReady ||
      segment->state != v1::SEGMENT_STATE_OPEN) {
    return place;
  }
  place.kind = MarkerPlace::kReady;
  place.kafka_topic = kafka_topic->name;
  place.kafka_partition = segment->kafka_partition;
  place.epoch = segment->epoch;
  return place;
}

// A host bound by several unicast topics reads them all; one is enough, that at
// its home.
MarkerPlace PlaceOfHost(const Image& image,
                        const std::vector<TopicId>& unicast_topics,
                        std::string_view host_id) {
  MarkerPlace found;
  const auto host = image.host(host_id);
  if (!host) return found;
  for (const TopicId topic : unicast_topics) {
    const auto binding = image.binding(topic, host_id);
    if (!binding || binding->targets.empty()) continue;
    MarkerPlace place =
        PlaceOfPartition(image, topic, binding->targets.front().partition);
    if (place.sub_cluster == host->home) return place;
    if (found.kind == MarkerPlace::kNobody) found = std::move(place);
  }
  return found;
}

const federation::Segment* SegmentOf(const federation::Partition& partition,
                                     federation::Epoch epoch) {
  for (const federation::Segment& segment : partition.chain) {
    // An older one is retired, or there was none at the join.
    if (segment.epoch >= epoch) return &segment;
  }
  return nullptr;
}

void AddChain(const Image& image, const federation::VpcMember::From& from,
              v1::MembershipMarker* marker) {
  const auto topic = image.topic(from.topic);
  const auto partition = image.partition(from.topic, from.partition);
  const federation::Segment* segment =
      partition ? SegmentOf(*partition, from.epoch) : nullptr;
  if (!topic || segment == nullptr) return;
  const auto kafka_topic = image.kafka_topic(segment->kafka_topic);
  const auto sub_cluster = image.sub_cluster(segment->sub_cluster);
  if (!kafka_topic || !sub_cluster) return;
  v1::MembershipChain& chain = *marker->add_chains();
  chain.set_topic(topic->name);
  chain.set_partition(from.partition.value());
  chain.set_epoch(segment->epoch.value());
  chain.set_sub_cluster(sub_cluster->name);
  chain.set_kafka_topic(kafka_topic->name);
  chain.set_kafka_partition(segment->kafka_partition);
  chain.set_from_offset(segment->epoch == from.epoch ? from.offset
                                                     : segment->start_offset);
}

}  // namespace

MarkerSource::MarkerSource() : source_(RandomBytes16()) {}

BlockTable::Cursor ScanMarkers(
    const Image& image, BlockTable::Cursor cursor,
    const std::function<bool(const MarkerPlace&)>& take,
    std::vector<PlacedMarker>* markers) {
  const std::vector<TopicId> unicast_topics = UnicastTopics(image);
  return image.table(Table::kPendingMarkers)
      .Scan(cursor, kScanRows,
            [&](std::string_view key, std::string_view value) {
              ByteReader reader(key);
              const std::string_view vpc = reader.String();
              const std::string_view host = reader.rest();
              MarkerPlace place = PlaceOfHost(image, unicast_topics, host);
              if (!take(place)) return;
              markers->push_back({std::string(vpc), std::string(host),
                                  DecodeRow<federation::PendingMarker>(value),
                                  std::move(place)});
            });
}

std::optional<v1::MembershipMarker> MakeMarker(const Image& image,
                                               const PlacedMarker& placed) {
  v1::MembershipMarker marker;
  marker.set_host(placed.host);
  marker.set_vpc(placed.vpc);
  marker.set_membership_version(placed.marker.version);
  if (!placed.marker.join) return marker;
  const auto member = image.Get<federation::VpcMember>(
      Table::kVpcMembers, KeyOf(placed.vpc, placed.host));
  if (!member) return std::nullopt;
  for (const auto& from : member->from) AddChain(image, from, &marker);
  return marker;
}

std::vector<v1::Record> MarkersWrittenOf(
    const std::vector<PlacedMarker>& markers) {
  std::map<std::pair<std::string, uint64_t>, v1::Record> groups;
  for (const PlacedMarker& placed : markers) {
    v1::MarkersWritten& written =
        *groups[{placed.vpc, placed.marker.version}].mutable_markers_written();
    written.set_vpc(placed.vpc);
    written.set_membership_version(placed.marker.version);
    written.add_hosts(placed.host);
  }
  std::vector<v1::Record> records;
  for (auto& [unused, record] : groups) records.push_back(std::move(record));
  return records;
}

MarkerWriter::MarkerWriter(federation::SubClusterId sub_cluster,
                           const CoordinatorOptions* options,
                           const Replica* replica, Writer* writer,
                           MarkerSource* source, ReconcileStats* stats)
    : sub_cluster_(sub_cluster),
      options_(*options),
      replica_(*replica),
      writer_(*writer),
      source_(*source),
      stats_(*stats) {}

MarkerWriter::Seen MarkerWriter::SeenOf(const Image& image) {
  return {image.table(Table::kPendingMarkers).digest(),
          image.table(Table::kKafkaTopics).digest(),
          image.table(Table::kPartitions).digest()};
}

absl::Status MarkerWriter::Pass(KafkaCluster* kafka,
                                const std::function<bool()>& stop) {
  auto image = replica_.image();
  const Seen before = SeenOf(*image);
  if (image->table(Table::kPendingMarkers).empty() || done_ == before) {
    return absl::OkStatus();
  }
  const auto take = [this](const MarkerPlace& place) {
    return place.kind == MarkerPlace::kReady &&
           place.sub_cluster == sub_cluster_;
  };
  BlockTable::Cursor cursor = 0;
  absl::Status failure;
  while (cursor != BlockTable::kEnd && !stop()) {
    std::vector<PlacedMarker> markers;
    cursor = ScanMarkers(*image, cursor, take, &markers);
    for (size_t first = 0; first < markers.size() && !stop(); first += kBatch) {
      const auto begin = markers.begin() + static_cast<ptrdiff_t>(first);
      const auto end = begin + static_cast<ptrdiff_t>(
                                   std::min(kBatch, markers.size() - first));
      ASSIGN_OR_RETURN(const Outcome outcome,
                       WriteBatch(*image, {begin, end}, kafka));
      if (outcome.failure.ok()) continue;
      failure = outcome.failure;
      // One bad partition does not keep the others waiting; a dead Kafka does.
      if (outcome.written == 0) return failure;
    }
    if (!markers.empty()) image = replica_.image();
  }
  // What came meanwhile makes another pass, as it differs from `before`.
  if (failure.ok() && !stop()) done_ = before;
  return failure;
}

absl::StatusOr<MarkerWriter::Outcome> MarkerWriter::WriteBatch(
    const Image& image, std::vector<PlacedMarker> batch, KafkaCluster* kafka) {
  std::vector<ControlMessage> messages;
  std::vector<PlacedMarker> sent;
  std::vector<PlacedMarker> settled;
  for (PlacedMarker& placed : batch) {
    const auto marker = MakeMarker(image, placed);
    if (!marker) {
      settled.push_back(std::move(placed));
      continue;
    }
    KafkaHeader header;
    header.kind = placed.marker.join ? MessageKind::kSubscribe
                                     : MessageKind::kUnsubscribe;
    header.epoch = placed.place.epoch.value();
    header.source = source_.source();
    header.sequence = source_.NextSequence();
    messages.push_back({placed.place.kafka_topic, placed.place.kafka_partition,
                        placed.host, marker->SerializeAsString(),
                        EncodeKafkaHeader(header)});
    sent.push_back(std::move(placed));
  }
  const auto results = kafka->Write(messages, options_.call_timeout);
  Outcome outcome;
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].ok()) {
      settled.push_back(std::move(sent[i]));
      ++outcome.written;
    } else if (outcome.failure.ok()) {
      outcome.failure = Annotate(
          results[i].status(), messages[i].kafka_topic + "/" +
                                   std::to_string(messages[i].kafka_partition));
    }
  }
  stats_.markers_written += outcome.written;
  RETURN_IF_ERROR(RecordFacts(MarkersWrittenOf(settled), &writer_));
  return outcome;
}

}  // namespace kafed::controller
