// The families of records that apply.cc dispatches to; internal to image/.
#pragma once

#include "absl/status/status.h"
#include "federation/image/editor.h"
#include "kafed/v1/records.pb.h"

namespace kafed::federation {

absl::Status Apply(const v1::IncarnationBegan& record, Editor* editor);

absl::Status Apply(const v1::SubClusterAdded& record, Editor* editor);
absl::Status Apply(const v1::SubClusterUpdated& record, Editor* editor);
absl::Status Apply(const v1::SubClusterRemoved& record, Editor* editor);
absl::Status Apply(const v1::SubClusterStateChanged& record, Editor* editor);

absl::Status Apply(const v1::LogicalTopicCreated& record, Editor* editor);
absl::Status Apply(const v1::LogicalTopicDeleted& record, Editor* editor);
absl::Status Apply(const v1::KafkaTopicPlanned& record, Editor* editor);
absl::Status Apply(const v1::KafkaTopicCreated& record, Editor* editor);
absl::Status Apply(const v1::KafkaTopicDeleted& record, Editor* editor);
absl::Status Apply(const v1::KafkaTopicDriftFound& record, Editor* editor);
absl::Status Apply(const v1::HashRangeAssigned& record, Editor* editor);
absl::Status Apply(const v1::SegmentOpened& record, Editor* editor);
absl::Status Apply(const v1::SegmentClosing& record, Editor* editor);
absl::Status Apply(const v1::SegmentSealed& record, Editor* editor);
absl::Status Apply(const v1::SegmentOrphaned& record, Editor* editor);
absl::Status Apply(const v1::SegmentRetired& record, Editor* editor);

absl::Status Apply(const v1::HostAdded& record, Editor* editor);
absl::Status Apply(const v1::HostRemoved& record, Editor* editor);
absl::Status Apply(const v1::KeyBound& record, Editor* editor);
absl::Status Apply(const v1::KeyUnbound& record, Editor* editor);
absl::Status Apply(const v1::ResourceAdded& record, Editor* editor);
absl::Status Apply(const v1::ResourceRemoved& record, Editor* editor);

absl::Status Apply(const v1::VpcCreated& record, Editor* editor);
absl::Status Apply(const v1::VpcDeleted& record, Editor* editor);
absl::Status Apply(const v1::VpcHostsAdded& record, Editor* editor);
absl::Status Apply(const v1::VpcHostsRemoved& record, Editor* editor);
absl::Status Apply(const v1::MarkersWritten& record, Editor* editor);
absl::Status Apply(const v1::InstanceAdded& record, Editor* editor);
absl::Status Apply(const v1::InstanceRemoved& record, Editor* editor);
absl::Status Apply(const v1::VpcOwnerChanged& record, Editor* editor);

absl::Status Apply(const v1::SessionOpened& record, Editor* editor);
absl::Status Apply(const v1::SessionClosed& record, Editor* editor);
absl::Status Apply(const v1::RequestCompleted& record, Editor* editor);
absl::Status Apply(const v1::OperationProgressed& record, Editor* editor);
absl::Status Apply(const v1::NodeRegistered& record, Editor* editor);
absl::Status Apply(const v1::NodeRemoved& record, Editor* editor);
absl::Status Apply(const v1::CoordinatorElected& record, Editor* editor);

// Drops a Kafka topic's partitions with the bindings of their keys.
void DropPartitions(TopicId topic, KafkaTopicId id, Editor* editor);

// A fault in words: "SegmentOpened: partition nca/7 does not exist".
absl::Status DoesNotApply(std::string_view record, std::string_view why);

}  // namespace kafed::federation
