// The metrics of a node, by what they are read from.
#pragma once

#include "controller/reconcile/options.h"
#include "controller/rpc/rpc_context.h"
#include "controller/server/metrics.h"
#include "controller/server/snapshotter.h"

namespace kafed::controller {

struct MetricSources {
  const RpcContext* context = nullptr;
  const Snapshotter* snapshotter = nullptr;
  const ReconcileStats* reconcile = nullptr;
};

// With empty sources only names and meanings are of use.
Metrics NodeMetrics(const MetricSources& sources);

}  // namespace kafed::controller
