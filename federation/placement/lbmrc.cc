#include "federation/placement/lbmrc.h"

#include <algorithm>

namespace kafed::federation {

double Residual(std::span<const ServiceLoad> services) {
  double residual = 0;
  for (const ServiceLoad& service : services) {
    const double cost = service.cost > 0 ? service.cost : 1;
    residual += service.frequency * (service.quota - service.used) / cost;
  }
  return residual;
}

double Utilization(std::span<const ServiceLoad> services) {
  double highest = 0;
  for (const ServiceLoad& service : services) {
    if (service.quota > 0) {
      highest = std::max(highest, service.used / service.quota);
    }
  }
  return highest;
}

std::optional<size_t> ChooseLbmrc(std::span<const LbmrcCandidate> candidates) {
  std::optional<size_t> best;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const LbmrcCandidate& each = candidates[i];
    if (!each.eligible) continue;
    if (!best || (each.local && !candidates[*best].local) ||
        (each.local == candidates[*best].local &&
         each.residual > candidates[*best].residual)) {
      best = i;
    }
  }
  return best;
}

}  // namespace kafed::federation
