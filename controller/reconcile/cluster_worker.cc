#include "controller/reconcile/cluster_worker.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "common/log.h"
#include "common/status_macros.h"
#include "common/uuid.h"
#include "controller/reconcile/cluster_health.h"

namespace kafed::controller {
namespace {

using federation::Image;
using federation::KafkaTopic;
using federation::KafkaTopicState;
using federation::Table;

// A connection is made anew after as many failures, so that credentials that
// were changed on disk are read again.
constexpr uint32_t kFailuresToReconnect = 3;
// A clock of a test may jump while this thread sleeps.
constexpr milliseconds kLongestSleep{1'000};
// What was asked for is mostly there soon: the first looks after it are close
// together.
constexpr int64_t kFirstBusyMs = 50;

std::string ContactOf(const federation::SubCluster& row) {
  return row.bootstrap_servers + "\n" + row.security_ref + "\n" + row.admin +
         "\n" + row.expected_kafka_cluster_id;
}

}  // namespace

ClusterWorker::ClusterWorker(federation::SubClusterId id,
                             const WorkerContext& context)
    : id_(id),
      context_(context),
      options_(*context.options),
      topics_(context.options, context.clock, context.writer, context.stats),
      markers_(id, context.options, context.replica, context.writer,
               context.source, context.stats) {
  thread_ = std::thread([this] {
    Loop();
    // Here and not in the destructor, so that many end in parallel.
    Publish(nullptr);
    connection_ = nullptr;
    finished_ = true;
  });
}

ClusterWorker::~ClusterWorker() {
  signal_.Stop();
  thread_.join();
}

std::shared_ptr<KafkaCluster> ClusterWorker::kafka() const {
  absl::MutexLock lock(&mutex_);
  return published_;
}

void ClusterWorker::Publish(std::shared_ptr<KafkaCluster> kafka) {
  absl::MutexLock lock(&mutex_);
  std::swap(published_, kafka);
}

void ClusterWorker::Loop() {
  do {
    Round();
    const milliseconds next = marker_failures_ == 0
                                  ? next_look_
                                  : std::min(next_look_, next_markers_);
    const milliseconds left = next - context_.clock->Steady();
    if (!signal_.Sleep(std::min(left, kLongestSleep))) return;
  } while (true);
}

void ClusterWorker::Round() {
  std::optional<federation::SubCluster> row;
  bool new_work = false;
  {
    // Not for longer: what changes while an image is held takes memory twice.
    const auto image = context_.replica->image();
    row = image->sub_cluster(id_);
    if (row) new_work = Refresh(*image);
  }
  if (!row) {
    // Removed: the coordinator ends this worker soon.
    next_look_ = context_.clock->Steady() + options_.interval;
    return;
  }
  const bool new_contact = ContactOf(*row) != contact_;
  if (new_contact) {
    contact_ = ContactOf(*row);
    connection_ = nullptr;
    workable_ = false;
    failures_ = 0;
    Publish(nullptr);
  }
  if (new_contact || (new_work && workable_) ||
      context_.clock->Steady() >= next_look_) {
    Look(*row);
  }
  if (workable_ && InOffice()) WriteMarkers();
}

bool ClusterWorker::InOffice() const {
  return options_.in_office == nullptr || options_.in_office();
}

bool ClusterWorker::Refresh(const Image& image) {
  const BlockTable& table = image.table(Table::kKafkaTopics);
  if (table.digest() == topics_digest_) return false;
  topics_digest_ = table.digest();
  wanted_.clear();
  std::map<federation::TopicId, federation::Topic> logical;
  for (auto& [id, topic] : image.Topics()) logical[id] = std::move(topic);
  table.ForEach([&](std::string_view key, std::string_view value) {
    auto row = DecodeRow<KafkaTopic>(value);
    if (row.sub_cluster != id_) return;
    federation::Topic& topic = logical[row.topic];
    wanted_.push_back({federation::KafkaTopicId(ByteReader(key).Big32()),
                       std::move(row), topic});
  });
  std::sort(wanted_.begin(), wanted_.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  std::vector<federation::KafkaTopicId> work;
  for (const WantedTopic& topic : wanted_) {
    if (topic.row.state != KafkaTopicState::kReady) work.push_back(topic.id);
  }
  const bool fresh = !std::includes(open_work_.begin(), open_work_.end(),
                                    work.begin(), work.end());
  open_work_ = std::move(work);
  return fresh;
}

void ClusterWorker::Look(const federation::SubCluster& row) {
  ++context_.stats->rounds;
  if (connection_ == nullptr) {
    auto made = options_.connect(row);
    if (!made.ok()) return Failed(made.status());
    connection_ = *std::move(made);
  }
  const auto seen = connection_->Describe(options_.call_timeout);
  if (!seen.ok()) return Failed(seen.status());
  const bool in_office = InOffice();
  const auto healthy = in_office ? RecordHealth(*seen) : IsHealthy(*seen);
  if (!healthy.ok()) return Failed(healthy.status());
  failures_ = 0;
  workable_ = *healthy;
  Publish(workable_ ? connection_ : nullptr);
  next_look_ = context_.clock->Steady() + options_.interval;
  if (!workable_ || !in_office) return;
  ++busy_looks_;
  const auto more = topics_.Pass(row, wanted_, *seen, connection_.get());
  if (!more.ok()) {
    ++context_.stats->failures;
    LogWarning("work on a sub-cluster failed, will be tried again",
               {{"sub_cluster", row.name}, {"why", more.status()}});
  } else if (*more) {
    next_look_ =
        context_.clock->Steady() +
        std::min({options_.busy_interval, options_.interval,
                  milliseconds(kFirstBusyMs << std::min(busy_looks_, 10u))});
  } else {
    busy_looks_ = 0;
  }
}

absl::StatusOr<bool> ClusterWorker::IsHealthy(
    const KafkaClusterDescription& seen) const {
  const auto row = context_.replica->image()->sub_cluster(id_);
  return row && row->state == v1::SUB_CLUSTER_STATE_ACTIVE &&
         row->kafka_cluster_id == seen.cluster_id;
}

absl::StatusOr<bool> ClusterWorker::RecordHealth(
    const KafkaClusterDescription& seen) {
  if (AfterLook(*context_.replica->image(), id_, seen)) {
    RETURN_IF_ERROR(
        context_.writer
            ->Run([&](federation::Draft* draft) -> absl::StatusOr<std::string> {
              auto changed = AfterLook(draft->image(), id_, seen);
              if (changed) {
                v1::Record record;
                *record.mutable_sub_cluster_state_changed() =
                    *std::move(changed);
                draft->Add(std::move(record));
              }
              return std::string();
            })
            .status());
    const auto row = context_.replica->image()->sub_cluster(id_);
    if (row) {
      LogInfo("sub-cluster changed",
              {{"sub_cluster", row->name},
               {"state", v1::SubClusterState_Name(row->state)},
               {"brokers", row->brokers},
               {"reason", row->reason}});
    }
  }
  const auto row = context_.replica->image()->sub_cluster(id_);
  return row && row->state == v1::SUB_CLUSTER_STATE_ACTIVE;
}

void ClusterWorker::Failed(const absl::Status& why) {
  ++failures_;
  ++context_.stats->failures;
  workable_ = false;
  next_look_ = context_.clock->Steady() + Backoff(failures_);
  if (failures_ % kFailuresToReconnect == 0) connection_ = nullptr;
  if (failures_ >= kFailuresToUnreachable) Publish(nullptr);
  if (!InOffice() ||
      !AfterFailures(*context_.replica->image(), id_, failures_, why)) {
    return;
  }
  const auto recorded = context_.writer->Run(
      [&](federation::Draft* draft) -> absl::StatusOr<std::string> {
        auto changed = AfterFailures(draft->image(), id_, failures_, why);
        if (changed) {
          v1::Record record;
          *record.mutable_sub_cluster_state_changed() = *std::move(changed);
          draft->Add(std::move(record));
        }
        return std::string();
      });
  const auto row = context_.replica->image()->sub_cluster(id_);
  if (!row) return;
  LogWarning("sub-cluster does not answer",
             {{"sub_cluster", row->name}, {"why", why}});
  if (!recorded.ok()) {
    LogWarning("its state could not be recorded",
               {{"sub_cluster", row->name}, {"why", recorded.status()}});
  }
}

void ClusterWorker::WriteMarkers() {
  const milliseconds now = context_.clock->Steady();
  if (marker_failures_ > 0 && now < next_markers_) return;
  const absl::Status written = markers_.Pass(connection_.get(), [this] {
    return signal_.stopping() || context_.clock->Steady() >= next_look_;
  });
  if (written.ok()) {
    marker_failures_ = 0;
    return;
  }
  ++marker_failures_;
  next_markers_ = now + Backoff(marker_failures_);
  LogWarning("markers could not be written, will be tried again",
             {{"sub_cluster_id", id_.value()}, {"why", written}});
}

milliseconds ClusterWorker::Backoff(uint32_t failures) const {
  const int64_t first = options_.first_backoff.count();
  const int64_t doubled = first << std::min(failures - 1, 20u);
  const int64_t base = std::min(doubled, options_.max_backoff.count());
  // A quarter less or more, so that workers do not keep in step.
  const auto spread = static_cast<uint64_t>(base / 2 + 1);
  return milliseconds(base - base / 4 +
                      static_cast<int64_t>(RandomNumber64() % spread));
}

}  // namespace kafed::controller
