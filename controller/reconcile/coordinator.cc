#include "controller/reconcile/coordinator.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/log.h"
#include "common/security_file.h"
#include "common/status_macros.h"
#include "controller/reconcile/facts.h"
#include "federation/plan/planners.h"

namespace kafed::controller {
namespace {

using federation::Image;
using federation::SubClusterId;
using federation::Table;

// Changes that come in a burst are looked at together.
constexpr milliseconds kBurst{10};
// Kafka topics planned ahead in one entry.
constexpr uint32_t kPlanAtOnce = 20;

std::vector<TableDigest> DigestsOf(const Image& image,
                                   std::initializer_list<Table> tables) {
  std::vector<TableDigest> digests;
  for (const Table table : tables) {
    digests.push_back(image.table(table).digest());
  }
  return digests;
}

Connector DefaultConnector(const CoordinatorOptions& options) {
  return
      [secrets_dir = options.secrets_dir,
       fence_window = options.fence_window](const federation::SubCluster& row)
          -> absl::StatusOr<std::unique_ptr<KafkaCluster>> {
        KafkaClusterOptions kafka;
        kafka.name = row.name;
        kafka.bootstrap_servers = row.bootstrap_servers;
        ASSIGN_OR_RETURN(kafka.security,
                         ReadSecurityFile(secrets_dir, row.security_ref));
        kafka.admin = row.admin;
        kafka.fence_window = fence_window;
        return ConnectKafkaCluster(kafka);
      };
}

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options, Replica* replica,
                         Writer* writer, LeaseTable* leases, const Clock* clock)
    : options_(std::move(options)),
      replica_(*replica),
      writer_(*writer),
      leases_(*leases) {
  if (!options_.connect) options_.connect = DefaultConnector(options_);
  context_ = {&options_, clock, replica, writer, &source_, &stats_};
  replica->AddListener([signal = signal_] { signal->Wake(); });
  thread_ = std::thread([this] { Loop(); });
}

Coordinator::~Coordinator() {
  signal_->Stop();
  thread_.join();
  std::map<SubClusterId, std::unique_ptr<ClusterWorker>> workers;
  {
    absl::MutexLock lock(&mutex_);
    std::swap(workers, workers_);
  }
  // All are told before the first is waited for.
  for (const auto& [id, worker] : workers) worker->RequestStop();
}

std::shared_ptr<KafkaCluster> Coordinator::Find(SubClusterId id) const {
  absl::MutexLock lock(&mutex_);
  const auto at = workers_.find(id);
  return at == workers_.end() ? nullptr : at->second->kafka();
}

void Coordinator::Loop() {
  do {
    Round();
    if (!signal_->Pause(kBurst)) return;
  } while (signal_->Sleep(options_.busy_interval));
}

void Coordinator::Round() {
  // None is held for the whole round: what changes meanwhile takes memory
  // twice.
  SyncWorkers(*replica_.image());
  if (options_.in_office && !options_.in_office()) {
    woken_for_.clear();  // all is looked at when it takes office
    ForgetClosedSessions();
    return;
  }
  WakeWorkers(*replica_.image());
  PlanAheadIfNeeded();
  SettleOrphanedMarkers(*replica_.image());
  ExpireSessions();
}

void Coordinator::SyncWorkers(const Image& image) {
  std::set<SubClusterId> wanted;
  for (const auto& [id, row] : image.SubClusters()) wanted.insert(id);
  {
    absl::MutexLock lock(&mutex_);
    for (auto at = workers_.begin(); at != workers_.end();) {
      if (wanted.contains(at->first)) {
        ++at;
        continue;
      }
      at->second->RequestStop();
      leaving_.push_back(std::move(at->second));
      at = workers_.erase(at);
    }
    for (const SubClusterId id : wanted) {
      auto& worker = workers_[id];
      if (worker == nullptr) {
        worker = std::make_unique<ClusterWorker>(id, context_);
      }
    }
  }
  // One that hangs in a Kafka call is left alone until it is through.
  std::erase_if(leaving_, [](const auto& each) { return each->finished(); });
}

void Coordinator::WakeWorkers(const Image& image) {
  Digests digests =
      DigestsOf(image, {Table::kSubClusters, Table::kKafkaTopics,
                        Table::kPartitions, Table::kPendingMarkers});
  if (digests == woken_for_) return;
  woken_for_ = std::move(digests);
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, worker] : workers_) worker->Wake();
}

void Coordinator::PlanAheadIfNeeded() {
  Digests digests = DigestsOf(
      *replica_.image(),
      {Table::kSubClusters, Table::kTopics, Table::kShares, Table::kSlots});
  if (digests == planned_for_) return;
  const auto planned =
      writer_.Run([](federation::Draft* draft) -> absl::StatusOr<std::string> {
        federation::PlanAhead(kPlanAtOnce, draft);
        return std::string();
      });
  if (planned.ok()) {
    planned_for_ = std::move(digests);
  } else {
    LogWarning("Kafka topics could not be planned ahead",
               {{"why", planned.status()}});
  }
}

void Coordinator::SettleOrphanedMarkers(const Image& image) {
  if (image.table(Table::kPendingMarkers).empty()) return;
  Digests digests = DigestsOf(
      image, {Table::kPendingMarkers, Table::kTopics, Table::kBindings});
  if (digests == settled_for_) return;
  const auto take = [](const MarkerPlace& place) {
    return place.kind == MarkerPlace::kNobody;
  };
  for (BlockTable::Cursor cursor = 0; cursor != BlockTable::kEnd;) {
    std::vector<PlacedMarker> markers;
    cursor = ScanMarkers(image, cursor, take, &markers);
    const absl::Status recorded =
        RecordFacts(MarkersWrittenOf(markers), &writer_);
    if (recorded.ok()) continue;
    LogWarning("markers of removed hosts could not be settled",
               {{"why", recorded}});
    return;
  }
  settled_for_ = std::move(digests);
}

void Coordinator::ForgetClosedSessions() {
  const auto image = replica_.image();
  for (const uint64_t id : leases_.Expired()) {
    const std::string key = federation::KeyOf(federation::SessionId(id));
    if (!image->table(Table::kSessions).Find(key)) leases_.Forget(id);
  }
}

void Coordinator::ExpireSessions() {
  std::set<uint64_t> elsewhere;
  if (options_.held_elsewhere) {
    // Those that another node opened are this node's to end.
    replica_.image()
        ->table(Table::kSessions)
        .ForEach([&](std::string_view key, std::string_view) {
          leases_.Watch(ByteReader(key).Big64());
        });
    if (leases_.Expired().empty()) return;
    auto held = options_.held_elsewhere();
    if (!held.ok()) return;
    elsewhere = *std::move(held);
  }
  for (const uint64_t id : leases_.Expired()) {
    if (elsewhere.contains(id)) continue;
    const auto counts = leases_.LastCounts(id);
    const auto closed = writer_.Run(
        [&](federation::Draft* draft) -> absl::StatusOr<std::string> {
          // It may have come back since.
          const auto expired = leases_.Expired();
          if (std::find(expired.begin(), expired.end(), id) == expired.end()) {
            return absl::AbortedError("the session is in use again");
          }
          RETURN_IF_ERROR(federation::PlanCloseSession(id, "", counts,
                                                       "expired", true, draft)
                              .status());
          return std::string();
        });
    if (closed.ok()) {
      ++stats_.sessions_expired;
      LogInfo("session expired", {{"session", id}});
    }
    if (closed.ok() || absl::IsNotFound(closed.status())) leases_.Forget(id);
  }
}

}  // namespace kafed::controller
