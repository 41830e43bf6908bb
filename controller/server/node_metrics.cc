#include "controller/server/node_metrics.h"

#include <algorithm>

#include "federation/image/image.h"
#include "federation/plan/planners.h"

namespace kafed::controller {
namespace {

using federation::Table;

std::vector<Metric::Sample> TableRows(const RpcContext& context) {
  std::vector<Metric::Sample> samples;
  const auto image = context.replica->image();
  for (int i = 0; i < federation::kTables; ++i) {
    const auto table = static_cast<Table>(i);
    samples.push_back({{{"table", std::string(federation::TableName(table))}},
                       static_cast<double>(image->table(table).size())});
  }
  return samples;
}

// One sample for each sub-cluster: 1 if it is in the state.
std::vector<Metric::Sample> ActiveSubClusters(const RpcContext& context) {
  std::vector<Metric::Sample> samples;
  for (const auto& [id, row] : context.replica->image()->SubClusters()) {
    samples.push_back({{{"sub_cluster", row.name}, {"region", row.region}},
                       row.state == v1::SUB_CLUSTER_STATE_ACTIVE ? 1.0 : 0.0});
  }
  return samples;
}

std::vector<Metric::Sample> DriftedTopics(const RpcContext& context) {
  double drifted = 0;
  context.replica->image()
      ->table(Table::kKafkaTopics)
      .ForEach([&](std::string_view, std::string_view value) {
        const auto row = DecodeRow<federation::KafkaTopic>(value);
        drifted += row.drift.empty() ? 0 : 1;
      });
  return {{{}, drifted}};
}

void AddReconcileMetrics(const ReconcileStats* stats, Metrics* metrics) {
  const auto add = [&](std::string name, std::string meaning,
                       std::atomic<uint64_t> ReconcileStats::*member) {
    metrics->Add(Counter(std::move(name), std::move(meaning), [stats, member] {
      return static_cast<double>((stats->*member).load());
    }));
  };
  add("kafed_reconcile_rounds_total", "Looks at sub-clusters since the start.",
      &ReconcileStats::rounds);
  add("kafed_reconcile_failures_total", "Looks at sub-clusters that failed.",
      &ReconcileStats::failures);
  add("kafed_kafka_topics_created_total",
      "Kafka topics that were seen complete after they were planned.",
      &ReconcileStats::topics_created);
  add("kafed_kafka_topics_deleted_total", "Kafka topics that were deleted.",
      &ReconcileStats::topics_deleted);
  add("kafed_markers_written_total",
      "Control messages written to hosts' partitions.",
      &ReconcileStats::markers_written);
  add("kafed_sessions_expired_total",
      "Sessions that were ended because their leases were over.",
      &ReconcileStats::sessions_expired);
}

}  // namespace

Metrics NodeMetrics(const MetricSources& sources) {
  Metrics metrics;
  const RpcContext* context = sources.context;
  const Snapshotter* snapshotter = sources.snapshotter;
  metrics.Add(Gauge("kafed_position_index",
                    "Index of the last applied entry of the event log.",
                    [context] {
                      return static_cast<double>(
                          context->replica->image()->head().index.value());
                    }));
  metrics.Add(Gauge(
      "kafed_incarnation", "Counter of the log's incarnation.", [context] {
        return static_cast<double>(
            context->replica->image()->head().incarnation.counter);
      }));
  metrics.Add(Gauge("kafed_healthy",
                    "1 if the node takes changes, 0 if storage refuses them.",
                    [context] { return context->health() == "ok" ? 1 : 0; }));
  metrics.Add(Gauge(
      "kafed_tail_proof_age_seconds",
      "Time since the node last proved to be at the log's tail; leases count "
      "from there. 0 with a log of its own.",
      [context] {
        const milliseconds age =
            context->clock->Steady() - context->leases->ProvenAt();
        return static_cast<double>(std::max<int64_t>(age.count(), 0)) / 1000;
      }));
  metrics.Add(Gauge(
      "kafed_coordinator",
      "1 if the log says that this node does the background work.", [context] {
        const auto image = context->replica->image();
        const auto office = federation::CoordinatorOf(*image);
        return office.epoch == 0 || office.node_id == context->node_id ? 1 : 0;
      }));
  metrics.Add(
      Gauge("kafed_nodes", "Registered nodes of the cluster.", [context] {
        return static_cast<double>(
            context->replica->image()->table(Table::kNodes).size());
      }));
  metrics.Add(Gauge("kafed_followers", "Follow streams.",
                    [context] { return context->followers(); }));
  metrics.Add({"kafed_table_rows", "Rows of the image, by table.", false,
               [context] { return TableRows(*context); }});
  metrics.Add({"kafed_sub_cluster_active",
               "1 for a sub-cluster that is active, else 0.", false,
               [context] { return ActiveSubClusters(*context); }});
  metrics.Add({"kafed_drifted_kafka_topics",
               "Kafka topics whose state in Kafka differs from what is wanted.",
               false, [context] { return DriftedTopics(*context); }});
  metrics.Add(Counter(
      "kafed_snapshots_saved_total", "Snapshots saved since the start.",
      [snapshotter] { return static_cast<double>(snapshotter->saved()); }));
  metrics.Add(Counter(
      "kafed_snapshots_failed_total", "Snapshots that failed since the start.",
      [snapshotter] { return static_cast<double>(snapshotter->failed()); }));
  AddReconcileMetrics(sources.reconcile, &metrics);
  return metrics;
}

}  // namespace kafed::controller
