#include "controller/reconcile/cluster_health.h"

#include "common/status_macros.h"

namespace kafed::controller {
namespace {

using federation::Image;
using federation::SubCluster;
using federation::SubClusterId;

// Why the id is not the sub-cluster's; empty: it is.
std::string Mismatch(const Image& image, SubClusterId id, const SubCluster& row,
                     const std::string& seen) {
  const std::string& expected = row.expected_kafka_cluster_id.empty()
                                    ? row.kafka_cluster_id
                                    : row.expected_kafka_cluster_id;
  if (!expected.empty() && seen != expected) {
    return "Kafka cluster id is " + seen + ", expected " + expected;
  }
  for (const auto& [other_id, other] : image.SubClusters()) {
    if (other_id != id && other.kafka_cluster_id == seen &&
        other.state != v1::SUB_CLUSTER_STATE_MISMATCHED) {
      return "Kafka cluster " + seen + " is registered as " + other.name +
             " already";
    }
  }
  return {};
}

}  // namespace

std::optional<v1::SubClusterStateChanged> AfterLook(
    const Image& image, SubClusterId id, const KafkaClusterDescription& seen) {
  const auto row = image.sub_cluster(id);
  if (!row) return std::nullopt;
  v1::SubClusterStateChanged changed;
  changed.set_id(id.value());
  changed.set_reason(Mismatch(image, id, *row, seen.cluster_id));
  if (!changed.reason().empty()) {
    if (row->state == v1::SUB_CLUSTER_STATE_MISMATCHED &&
        row->reason == changed.reason()) {
      return std::nullopt;
    }
    // The id is not learnt: it is another cluster's.
    changed.set_state(v1::SUB_CLUSTER_STATE_MISMATCHED);
    changed.set_brokers(row->brokers);
    return changed;
  }
  if (row->state == v1::SUB_CLUSTER_STATE_ACTIVE &&
      seen.brokers <= row->brokers) {
    return std::nullopt;
  }
  changed.set_state(v1::SUB_CLUSTER_STATE_ACTIVE);
  changed.set_kafka_cluster_id(seen.cluster_id);
  changed.set_brokers(seen.brokers);
  return changed;
}

std::optional<v1::SubClusterStateChanged> AfterFailures(
    const Image& image, SubClusterId id, uint32_t failures,
    const absl::Status& why) {
  const auto row = image.sub_cluster(id);
  if (!row || failures < kFailuresToUnreachable) return std::nullopt;
  v1::SubClusterStateChanged changed;
  changed.set_id(id.value());
  changed.set_brokers(row->brokers);
  changed.set_reason(std::string(Message(why)));
  if (row->state == v1::SUB_CLUSTER_STATE_ACTIVE) {
    changed.set_state(v1::SUB_CLUSTER_STATE_UNREACHABLE);
    return changed;
  }
  // The newest reason is what must be mended; an operator may have mended the
  // one before it.
  const bool silent = row->state == v1::SUB_CLUSTER_STATE_PENDING ||
                      row->state == v1::SUB_CLUSTER_STATE_UNREACHABLE;
  if (!silent || row->reason == changed.reason()) return std::nullopt;
  changed.set_state(row->state);
  return changed;
}

}  // namespace kafed::controller
