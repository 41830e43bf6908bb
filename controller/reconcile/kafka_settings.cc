#include "controller/reconcile/kafka_settings.h"

#include <string_view>

#include "absl/strings/numbers.h"
#include "common/status_macros.h"

namespace kafed::controller {
namespace {

constexpr char kBefore[] = "message.timestamp.before.max.ms";
constexpr char kAfter[] = "message.timestamp.after.max.ms";
constexpr char kDifference[] = "message.timestamp.difference.max.ms";
constexpr char kType[] = "message.timestamp.type";
constexpr char kCreateTime[] = "CreateTime";
constexpr uint32_t kReplicasForTwoInSync = 3;

using Settings = std::map<std::string, std::string>;

// "NAME is VALUE, wanted at most LIMIT" if it is not.
std::string OverLimit(const Settings& settings, const char* name,
                      int64_t limit) {
  const auto at = settings.find(name);
  int64_t value = 0;
  if (at != settings.end() && absl::SimpleAtoi(at->second, &value) &&
      value >= 0 && value <= limit) {
    return {};
  }
  return std::string(name) + " is " +
         (at == settings.end() ? "not set" : at->second) + ", wanted at most " +
         std::to_string(limit);
}

void Join(const std::string& text, std::string* all) {
  if (text.empty()) return;
  if (!all->empty()) *all += "; ";
  *all += text;
}

}  // namespace

Settings KafkaTopicSettings(const federation::Topic& topic,
                            uint32_t replication, milliseconds fence_window,
                            FenceSpelling spelling) {
  Settings settings = {
      {"cleanup.policy", "delete"},
      {"retention.ms", std::to_string(topic.retention_ms)},
      {kType, kCreateTime},
      // Set also where it is 1: the cluster's default may be higher than the
      // replication, and nothing could be written then.
      {"min.insync.replicas", replication >= kReplicasForTwoInSync ? "2" : "1"},
      {"unclean.leader.election.enable", "false"},
  };
  const std::string window = std::to_string(fence_window.count());
  if (spelling == FenceSpelling::kDifference) {
    settings[kDifference] = window;
  } else {
    settings[kBefore] = window;
    settings[kAfter] = std::to_string(fence_window.count() / 2);
  }
  return settings;
}

bool IsUnknownFence(const absl::Status& refusal) {
  if (!absl::IsInvalidArgument(refusal)) return false;
  const std::string_view text = Message(refusal);
  return text.find(kBefore) != std::string_view::npos ||
         text.find(kAfter) != std::string_view::npos;
}

std::string FenceDrift(const Settings& settings, milliseconds fence_window) {
  if (settings.empty()) return {};
  std::string drift;
  const auto type = settings.find(kType);
  if (type == settings.end() || type->second != kCreateTime) {
    Join(std::string(kType) + " is not CreateTime", &drift);
  }
  if (settings.contains(kBefore) || !settings.contains(kDifference)) {
    Join(OverLimit(settings, kBefore, fence_window.count()), &drift);
    Join(OverLimit(settings, kAfter, fence_window.count() / 2), &drift);
  } else {
    Join(OverLimit(settings, kDifference, fence_window.count()), &drift);
  }
  return drift;
}

std::string TopicDrift(const federation::KafkaTopic& row,
                       const KafkaTopicDescription* seen) {
  if (seen == nullptr) return "is missing in Kafka";
  std::string drift;
  if (seen->partitions != row.partitions) {
    Join("has " + std::to_string(seen->partitions) + " partitions, wanted " +
             std::to_string(row.partitions),
         &drift);
  }
  if (seen->replication < row.replication) {
    Join("has replication " + std::to_string(seen->replication) + ", wanted " +
             std::to_string(row.replication),
         &drift);
  }
  return drift;
}

}  // namespace kafed::controller
