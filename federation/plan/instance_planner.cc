#include <algorithm>

#include "common/status_macros.h"
#include "federation/image/spec_fields.h"
#include "federation/placement/lbmrc.h"
#include "federation/plan/planners.h"
#include "federation/plan/validate.h"

namespace kafed::federation {
namespace {

struct Rated {
  std::string id;
  double residual;
  double utilization;
};

std::vector<Rated> RateInstances(const std::string& region,
                                 const LoadReports& reports,
                                 const Image& image) {
  std::vector<Rated> rated;
  image.table(Table::kInstances)
      .ForEach([&](std::string_view key, std::string_view value) {
        const auto row = DecodeRow<Instance>(value);
        if (row.region != region) return;
        const std::string id(key);
        const auto load = LoadOf(id, row, reports);
        rated.push_back({id, Residual(load), Utilization(load)});
      });
  std::sort(rated.begin(), rated.end(),
            [](const Rated& a, const Rated& b) { return a.id < b.id; });
  return rated;
}

// The instance of the region with the largest residual, other than `except`;
// only one that is below `max_utilization`. Empty: none.
std::string ChooseInstance(const std::string& region, const std::string& except,
                           double max_utilization, const LoadReports& reports,
                           const Image& image) {
  const auto rated = RateInstances(region, reports, image);
  std::vector<LbmrcCandidate> candidates;
  candidates.reserve(rated.size());
  for (const Rated& each : rated) {
    candidates.push_back(
        {true, each.id != except && each.utilization < max_utilization,
         each.residual});
  }
  const auto choice = ChooseLbmrc(candidates);
  return choice ? rated[*choice].id : std::string();
}

void ChangeOwner(const std::string& vpc_id, const std::string& instance,
                 Draft* draft) {
  v1::Record record;
  v1::VpcOwnerChanged& changed = *record.mutable_vpc_owner_changed();
  changed.set_vpc(vpc_id);
  changed.set_instance(instance);
  changed.set_epoch(draft->image().vpc(vpc_id)->owner_epoch + 1);
  draft->Add(std::move(record));
}

}  // namespace

std::vector<ServiceLoad> LoadOf(const std::string& id, const Instance& row,
                                const LoadReports& reports) {
  std::vector<ServiceLoad> load;
  const auto report = reports.find(id);
  for (const QuotaFields& quota : row.quotas) {
    // Without a report each VPC counts as one request of each service.
    double used = static_cast<double>(row.vpcs) * quota.cost;
    if (report != reports.end()) {
      for (const v1::Quota& reported : report->second) {
        if (reported.service() == quota.service) used = reported.used();
      }
    }
    load.push_back({quota.quota, used, quota.cost, quota.frequency});
  }
  return load;
}

absl::StatusOr<v1::MutationResponse> PlanAddInstance(
    const v1::AddInstanceRequest& request, Draft* draft) {
  RETURN_IF_ERROR(ValidateInstance(request.spec()));
  if (draft->image().table(Table::kInstances).Find(request.spec().id())) {
    return absl::AlreadyExistsError("id: instance " + request.spec().id() +
                                    " exists already");
  }
  RETURN_IF_ERROR(CheckRegionKnown(request.spec().region(), draft->image()));
  v1::Record record;
  *record.mutable_instance_added()->mutable_spec() = request.spec();
  draft->Add(std::move(record));
  return Answer(*draft, "instance " + request.spec().id() + " added");
}

void PlanOwner(const std::string& vpc_id, const LoadReports& reports,
               Draft* draft) {
  const auto vpc = draft->image().vpc(vpc_id);
  if (!vpc || !vpc->owner.empty()) return;
  const std::string owner = ChooseInstance(vpc->region, "", kOverloadedShare,
                                           reports, draft->image());
  if (!owner.empty()) ChangeOwner(vpc_id, owner, draft);
}

void PlanOrphans(const std::string& region, const LoadReports& reports,
                 Draft* draft) {
  constexpr size_t kMaxOrphans = 2'000;
  std::vector<std::string> orphans;
  draft->image()
      .table(Table::kVpcs)
      .ForEach([&](std::string_view key, std::string_view value) {
        if (orphans.size() >= kMaxOrphans) return;
        const auto vpc = DecodeRow<Vpc>(value);
        if (vpc.owner.empty() && vpc.region == region)
          orphans.emplace_back(key);
      });
  std::sort(orphans.begin(), orphans.end());
  for (const std::string& vpc : orphans) PlanOwner(vpc, reports, draft);
}

std::vector<std::string> PlanRelieve(const std::string& instance,
                                     std::span<const std::string> vpcs,
                                     const LoadReports& reports, Draft* draft) {
  std::vector<std::string> moved;
  const auto row = draft->image().Get<Instance>(Table::kInstances, instance);
  if (!row) return moved;
  const double utilization = Utilization(LoadOf(instance, *row, reports));
  if (utilization <= kOverloadedShare || vpcs.empty()) return moved;
  // The named VPCs carry the load evenly, as far as is known: as many of the
  // light end go as bring the instance below the lower mark.
  const double excess = (utilization - kRelaxedShare) / utilization;
  const auto want = static_cast<size_t>(
      std::max(1.0, excess * static_cast<double>(vpcs.size())));
  for (size_t i = vpcs.size(); i > 0 && moved.size() < want; --i) {
    const std::string& id = vpcs[i - 1];
    const auto vpc = draft->image().vpc(id);
    if (!vpc || vpc->owner != instance) continue;
    const std::string target = ChooseInstance(
        vpc->region, instance, kRelaxedShare, reports, draft->image());
    if (target.empty()) break;
    ChangeOwner(id, target, draft);
    moved.push_back(id);
  }
  return moved;
}

absl::StatusOr<v1::MutationResponse> PlanRemoveInstance(
    const v1::RemoveInstanceRequest& request, const LoadReports& reports,
    Draft* draft) {
  const auto row =
      draft->image().Get<Instance>(Table::kInstances, request.id());
  if (!row) {
    return absl::NotFoundError("id: no instance is called " +
                               Quote(request.id()));
  }
  if (row->vpcs != 0 && !request.cascade()) {
    return absl::FailedPreconditionError(
        "id: instance " + request.id() + " owns " + Counted(row->vpcs, "VPC") +
        "; use --cascade to give them to others");
  }
  std::vector<std::pair<std::string, std::string>> owned;  // VPC, region
  if (row->vpcs != 0) {
    draft->image()
        .table(Table::kVpcs)
        .ForEach([&](std::string_view key, std::string_view value) {
          const auto vpc = DecodeRow<Vpc>(value);
          if (vpc.owner == request.id()) owned.emplace_back(key, vpc.region);
        });
  }
  for (const auto& [vpc, region] : owned) {
    ChangeOwner(vpc,
                ChooseInstance(region, request.id(), kOverloadedShare, reports,
                               draft->image()),
                draft);
  }
  v1::Record record;
  record.mutable_instance_removed()->set_id(request.id());
  draft->Add(std::move(record));
  return Answer(*draft, "instance " + request.id() + " removed, " +
                            Counted(owned.size(), "VPC") + " given to others");
}

}  // namespace kafed::federation
