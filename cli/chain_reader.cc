#include "cli/chain_reader.h"

#include "common/status_macros.h"

namespace kafed::cli {
namespace {

bool IsFinal(const v1::Segment& segment) {
  return segment.state() == v1::SEGMENT_STATE_SEALED ||
         segment.state() == v1::SEGMENT_STATE_RETIRED;
}

}  // namespace

const v1::Segment* ChainReader::Choose(const v1::PartitionRow& row) const {
  const v1::Segment* last = nullptr;
  for (const v1::Segment& segment : row.chain()) {
    if (segment.epoch() < epoch_ ||
        segment.state() == v1::SEGMENT_STATE_RETIRED) {
      continue;
    }
    last = &segment;
    if (epoch_ == 0 && options_.from_end) continue;
    if (segment.epoch() == epoch_ && IsFinal(segment) &&
        (next_ >= segment.end_offset() || drained_)) {
      continue;
    }
    return &segment;
  }
  return last;
}

absl::Status ChainReader::Open(const federation::RouteView& view,
                               const v1::Segment& segment) {
  const v1::SubClusterRow* sub_cluster =
      view.sub_cluster(federation::SubClusterId(segment.sub_cluster_id()));
  const auto kafka_topic =
      view.kafka_topic(federation::KafkaTopicId(segment.kafka_topic_id()));
  if (sub_cluster == nullptr || !kafka_topic) {
    return absl::InternalError("the route view lacks the place of partition " +
                               std::to_string(partition_.value()));
  }
  if (!kafka_topic->ready()) {
    return absl::FailedPreconditionError("Kafka topic " + kafka_topic->name() +
                                         " is still being created");
  }
  if (!reader_ || sub_cluster_ != segment.sub_cluster_id()) {
    ASSIGN_OR_RETURN(reader_,
                     KafkaReader::Create(*sub_cluster, options_.secrets_dir));
    sub_cluster_ = segment.sub_cluster_id();
  }
  next_ = segment.start_offset();
  if (epoch_ == 0 && options_.from_end) {
    ASSIGN_OR_RETURN(
        next_, reader_->End(kafka_topic->name(), segment.kafka_partition(),
                            options_.timeout));
  }
  RETURN_IF_ERROR(reader_->Begin(kafka_topic->name(), segment.kafka_partition(),
                                 next_, options_.timeout));
  epoch_ = segment.epoch();
  drained_ = false;
  return absl::OkStatus();
}

absl::StatusOr<ChainReader::Step> ChainReader::Next(
    const federation::RouteView& view, milliseconds timeout) {
  Step step;
  const auto row = view.partition(topic_, partition_);
  if (!row) return absl::NotFoundError("the partition is gone");
  const v1::Segment* segment = Choose(*row);
  if (segment == nullptr) {
    step.at_end = true;
    return step;
  }
  if (segment->epoch() != epoch_) RETURN_IF_ERROR(Open(view, *segment));
  ASSIGN_OR_RETURN(KafkaReader::Step read, reader_->Next(timeout));
  if (read.message) {
    drained_ = false;
    next_ = read.message->offset + 1;
    // What came in after the seal belongs to nobody's chain.
    if (IsFinal(*segment) && next_ > segment->end_offset()) return step;
    step.message = std::move(read.message);
    return step;
  }
  if (read.end) {
    next_ = *read.end;
    drained_ = true;
  }
  step.at_end = drained_ && segment->epoch() == row->chain().rbegin()->epoch();
  return step;
}

}  // namespace kafed::cli
