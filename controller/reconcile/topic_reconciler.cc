#include "controller/reconcile/topic_reconciler.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/status_macros.h"
#include "controller/reconcile/facts.h"

namespace kafed::controller {
namespace {

using federation::KafkaTopicId;
using federation::KafkaTopicState;

constexpr uint32_t kWantedReplication = 3;
constexpr size_t kSettingsBatch = 100;

const KafkaTopicDescription* Find(const KafkaClusterDescription& seen,
                                  const std::string& name) {
  const auto at = seen.topics.find(name);
  return at == seen.topics.end() ? nullptr : &at->second;
}

bool IsComplete(const WantedTopic& topic, const KafkaTopicDescription* seen) {
  return seen != nullptr && seen->partitions == topic.row.partitions &&
         seen->without_leader == 0;
}

// What an operator must look at, as opposed to what passes by itself.
bool IsRefusal(const absl::Status& status) {
  return !status.ok() && !absl::IsUnavailable(status) &&
         !absl::IsDeadlineExceeded(status);
}

std::vector<WantedTopic> InState(const std::vector<WantedTopic>& wanted,
                                 KafkaTopicState state) {
  std::vector<WantedTopic> some;
  for (const WantedTopic& topic : wanted) {
    if (topic.row.state == state) some.push_back(topic);
  }
  return some;
}

void KeepOnly(const std::vector<WantedTopic>& wanted,
              std::map<KafkaTopicId, std::string>* texts) {
  std::erase_if(*texts, [&](const auto& each) {
    return std::none_of(
        wanted.begin(), wanted.end(),
        [&](const WantedTopic& topic) { return topic.id == each.first; });
  });
}

}  // namespace

TopicReconciler::TopicReconciler(const CoordinatorOptions* options,
                                 const Clock* clock, Writer* writer,
                                 ReconcileStats* stats)
    : options_(*options), clock_(*clock), writer_(*writer), stats_(*stats) {}

absl::StatusOr<bool> TopicReconciler::Pass(
    const federation::SubCluster& sub_cluster,
    const std::vector<WantedTopic>& wanted, const KafkaClusterDescription& seen,
    KafkaCluster* kafka) {
  facts_.clear();
  more_ = false;
  for (auto* texts : {&refusals_, &fence_drift_, &suspected_}) {
    KeepOnly(wanted, texts);
  }
  FindCompleted(wanted, seen);
  // A request that fails keeps nothing of what was seen from being recorded.
  absl::Status outcome = Create(sub_cluster, wanted, seen, kafka);
  if (outcome.ok()) outcome = Delete(wanted, kafka);
  if (outcome.ok()) outcome = LookAtSettings(wanted, kafka);
  FindDrift(wanted, seen);
  RETURN_IF_ERROR(RecordFacts(facts_, &writer_));
  for (const v1::Record& fact : facts_) {
    if (fact.has_kafka_topic_created()) {
      ++stats_.topics_created;
      next_settings_ = milliseconds(0);
    }
    stats_.topics_deleted += fact.has_kafka_topic_deleted() ? 1 : 0;
    stats_.drift_found +=
        fact.has_kafka_topic_drift_found() &&
                !fact.kafka_topic_drift_found().drift().empty()
            ? 1
            : 0;
  }
  RETURN_IF_ERROR(outcome);
  return more_;
}

void TopicReconciler::FindCompleted(const std::vector<WantedTopic>& wanted,
                                    const KafkaClusterDescription& seen) {
  for (const WantedTopic& topic : InState(wanted, KafkaTopicState::kPlanned)) {
    const KafkaTopicDescription* there = Find(seen, topic.row.name);
    if (!IsComplete(topic, there)) {
      more_ |= there != nullptr && there->partitions == topic.row.partitions;
      continue;
    }
    v1::Record record;
    record.mutable_kafka_topic_created()->set_id(topic.id.value());
    record.mutable_kafka_topic_created()->set_replication(there->replication);
    facts_.push_back(std::move(record));
    refusals_.erase(topic.id);
    more_ = true;
  }
}

NewKafkaTopic TopicReconciler::MakeTopic(
    const federation::SubCluster& sub_cluster, const WantedTopic& topic,
    const KafkaClusterDescription& seen) const {
  // Brokers that are down just now count: else topics created meanwhile would
  // stay under-replicated for good. Kafka refuses, and we ask again.
  const uint32_t brokers = std::max(seen.brokers, sub_cluster.brokers);
  NewKafkaTopic made;
  made.name = topic.row.name;
  made.partitions = topic.row.partitions;
  made.replication = topic.logical.replication != 0
                         ? topic.logical.replication
                         : std::clamp(brokers, 1u, kWantedReplication);
  made.config = KafkaTopicSettings(topic.logical, made.replication,
                                   options_.fence_window, spelling_);
  return made;
}

absl::Status TopicReconciler::Create(const federation::SubCluster& sub_cluster,
                                     const std::vector<WantedTopic>& wanted,
                                     const KafkaClusterDescription& seen,
                                     KafkaCluster* kafka) {
  std::vector<WantedTopic> missing;
  for (const WantedTopic& topic : InState(wanted, KafkaTopicState::kPlanned)) {
    if (Find(seen, topic.row.name) == nullptr) missing.push_back(topic);
  }
  for (size_t first = 0; first < missing.size();) {
    const size_t count = std::min(kBatch, missing.size() - first);
    std::vector<NewKafkaTopic> batch;
    for (size_t i = first; i < first + count; ++i) {
      batch.push_back(MakeTopic(sub_cluster, missing[i], seen));
    }
    ASSIGN_OR_RETURN(const auto statuses,
                     kafka->CreateTopics(batch, options_.call_timeout));
    if (spelling_ == FenceSpelling::kBeforeAndAfter &&
        std::any_of(statuses.begin(), statuses.end(), &IsUnknownFence)) {
      LogInfo(
          "brokers older than 3.6: the timestamp fence is set as "
          "message.timestamp.difference.max.ms");
      spelling_ = FenceSpelling::kDifference;
      continue;  // the same batch, spelt differently
    }
    for (size_t i = 0; i < count; ++i) {
      const absl::Status& status = statuses[i];
      const KafkaTopicId id = missing[first + i].id;
      if (status.ok() || absl::IsAlreadyExists(status)) {
        refusals_.erase(id);
        more_ = true;
        LogInfo("Kafka topic created", {{"kafka_topic", batch[i].name},
                                        {"partitions", batch[i].partitions},
                                        {"replication", batch[i].replication}});
      } else if (IsRefusal(status)) {
        refusals_[id] = "can't be created: " + std::string(status.message());
      }
    }
    first += count;
  }
  return absl::OkStatus();
}

absl::Status TopicReconciler::Delete(const std::vector<WantedTopic>& wanted,
                                     KafkaCluster* kafka) {
  const auto doomed = InState(wanted, KafkaTopicState::kDoomed);
  for (size_t first = 0; first < doomed.size(); first += kBatch) {
    const size_t count = std::min(kBatch, doomed.size() - first);
    std::vector<std::string> names;
    for (size_t i = first; i < first + count; ++i) {
      names.push_back(doomed[i].row.name);
    }
    ASSIGN_OR_RETURN(const auto statuses,
                     kafka->DeleteTopics(names, options_.call_timeout));
    for (size_t i = 0; i < count; ++i) {
      const KafkaTopicId id = doomed[first + i].id;
      if (absl::IsNotFound(statuses[i])) {
        // Gone, and not only on its way: that is what the record says.
        v1::Record record;
        record.mutable_kafka_topic_deleted()->set_id(id.value());
        facts_.push_back(std::move(record));
      } else if (statuses[i].ok()) {
        more_ = true;
      } else if (IsRefusal(statuses[i])) {
        refusals_[id] =
            "can't be deleted: " + std::string(statuses[i].message());
      }
    }
  }
  return absl::OkStatus();
}

absl::Status TopicReconciler::LookAtSettings(
    const std::vector<WantedTopic>& wanted, KafkaCluster* kafka) {
  const milliseconds now = clock_.Steady();
  const auto ready = InState(wanted, KafkaTopicState::kReady);
  if (now < next_settings_ || ready.empty()) return absl::OkStatus();
  for (size_t first = 0; first < ready.size(); first += kSettingsBatch) {
    const size_t count = std::min(kSettingsBatch, ready.size() - first);
    std::vector<std::string> names;
    for (size_t i = first; i < first + count; ++i) {
      names.push_back(ready[i].row.name);
    }
    ASSIGN_OR_RETURN(const auto settings,
                     kafka->DescribeConfigs(names, options_.call_timeout));
    for (size_t i = first; i < first + count; ++i) {
      const auto at = settings.find(ready[i].row.name);
      if (at == settings.end()) continue;
      fence_drift_[ready[i].id] = FenceDrift(at->second, options_.fence_window);
    }
  }
  next_settings_ = now + options_.settings_interval;
  return absl::OkStatus();
}

std::string TopicReconciler::DriftOf(
    const WantedTopic& topic, const KafkaClusterDescription& seen) const {
  const KafkaTopicDescription* there = Find(seen, topic.row.name);
  const auto text = [&](const std::map<KafkaTopicId, std::string>& texts) {
    const auto at = texts.find(topic.id);
    return at == texts.end() ? std::string() : at->second;
  };
  switch (topic.row.state) {
    case KafkaTopicState::kPlanned:
      if (there == nullptr) return text(refusals_);
      return there->partitions == topic.row.partitions
                 ? std::string()
                 : TopicDrift(topic.row, there);
    case KafkaTopicState::kReady: {
      std::string drift = TopicDrift(topic.row, there);
      const std::string fence = there == nullptr ? "" : text(fence_drift_);
      if (!drift.empty() && !fence.empty()) drift += "; ";
      return drift + fence;
    }
    case KafkaTopicState::kDoomed:
      return text(refusals_);
  }
  return {};
}

void TopicReconciler::FindDrift(const std::vector<WantedTopic>& wanted,
                                const KafkaClusterDescription& seen) {
  for (const WantedTopic& topic : wanted) {
    const std::string drift = DriftOf(topic, seen);
    if (drift == topic.row.drift) {
      suspected_.erase(topic.id);
      continue;
    }
    // Brokers tell late of what is new: drift must be seen twice in a row.
    if (!drift.empty() && suspected_[topic.id] != drift) {
      suspected_[topic.id] = drift;
      more_ = true;
      continue;
    }
    suspected_.erase(topic.id);
    if (drift.empty()) {
      LogInfo("drift of a Kafka topic is over",
              {{"kafka_topic", topic.row.name}});
    } else {
      LogWarning("a Kafka topic is not as wanted",
                 {{"kafka_topic", topic.row.name}, {"drift", drift}});
    }
    v1::Record record;
    record.mutable_kafka_topic_drift_found()->set_id(topic.id.value());
    record.mutable_kafka_topic_drift_found()->set_drift(drift);
    facts_.push_back(std::move(record));
  }
}

}  // namespace kafed::controller
