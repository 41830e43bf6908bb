#include "controller/rpc/key_router.h"

#include "common/murmur2.h"
#include "common/status_macros.h"

namespace kafed::controller {
namespace {

using federation::Binding;
using federation::KafkaTopic;
using federation::KafkaTopicId;
using federation::KeyOf;
using federation::PartitionNumber;
using federation::Quote;
using federation::SubCluster;
using federation::SubClusterId;
using federation::Table;
using federation::TopicId;

void Refuse(const absl::Status& status, v1::RouteResult* result) {
  result->clear_targets();
  result->set_error_code(static_cast<uint32_t>(status.code()));
  result->set_error(std::string(status.message()));
}

// Rows of one table, asked for together: views of the keys are made only when
// all of them stand in one buffer.
class Rows {
 public:
  void Add(std::string_view key) {
    bytes_.append(key);
    ends_.push_back(bytes_.size());
  }
  std::vector<std::optional<std::string_view>> Find(const BlockTable& table) {
    std::vector<std::string_view> keys;
    keys.reserve(ends_.size());
    size_t begin = 0;
    for (const size_t end : ends_) {
      keys.emplace_back(bytes_.data() + begin, end - begin);
      begin = end;
    }
    std::vector<std::optional<std::string_view>> rows(keys.size());
    table.FindMany(keys, rows);
    return rows;
  }

 private:
  std::string bytes_;
  std::vector<size_t> ends_;
};

}  // namespace

const KeyRouter::TopicFacts& KeyRouter::TopicOf(std::string_view name) {
  if (const auto at = topics_.find(name); at != topics_.end()) {
    return at->second;
  }
  const TopicId id = image_.FindTopic(name);
  return topics_.emplace(name, TopicFacts{id, image_.topic(id)}).first->second;
}

const SubCluster* KeyRouter::SubClusterOf(SubClusterId id) {
  const auto [at, added] = sub_clusters_.try_emplace(id.value());
  if (added) at->second = image_.sub_cluster(id);
  return at->second ? &*at->second : nullptr;
}

const KafkaTopic* KeyRouter::KafkaTopicOf(KafkaTopicId id) {
  const auto [at, added] = kafka_topics_.try_emplace(id.value());
  if (added) at->second = image_.kafka_topic(id);
  return at->second ? &*at->second : nullptr;
}

bool KeyRouter::FillTarget(TopicId topic, PartitionNumber number,
                           v1::RouteTarget* target) {
  return Fill(number,
              image_.table(Table::kPartitions).Find(KeyOf(topic, number)),
              target);
}

bool KeyRouter::Fill(PartitionNumber number,
                     std::optional<std::string_view> partition,
                     v1::RouteTarget* target) {
  const auto segment =
      partition ? federation::WritableIn(*partition) : std::nullopt;
  if (!segment) return false;
  const KafkaTopic* kafka_topic = KafkaTopicOf(segment->kafka_topic);
  const SubCluster* sub_cluster = SubClusterOf(segment->sub_cluster);
  if (kafka_topic == nullptr || sub_cluster == nullptr) return false;
  target->set_partition(number.value());
  target->set_sub_cluster_id(segment->sub_cluster.value());
  target->set_sub_cluster(sub_cluster->name);
  target->set_bootstrap_servers(sub_cluster->bootstrap_servers);
  target->set_kafka_topic(kafka_topic->name);
  target->set_kafka_partition(segment->kafka_partition);
  target->set_epoch(segment->epoch.value());
  target->set_ready(kafka_topic->state == federation::KafkaTopicState::kReady);
  target->set_held(segment->state == v1::SEGMENT_STATE_CLOSING);
  target->set_security_ref(sub_cluster->security_ref);
  return true;
}

KeyRouter::Asked KeyRouter::Ask(std::string_view text,
                                v1::RouteResult* result) {
  result->set_key(std::string(text));
  const auto key = federation::ParseKey(text);
  if (!key.ok()) {
    Refuse(key.status(), result);
    return {};
  }
  const TopicFacts& topic = TopicOf(key->topic);
  if (!topic.row) {
    Refuse(absl::NotFoundError("key: no topic is called " + Quote(key->topic)),
           result);
    return {};
  }
  return {&topic, key->id};
}

absl::Status KeyRouter::NotBound(const Asked& asked) const {
  const federation::Topic& topic = *asked.topic->row;
  switch (topic.kind) {
    case v1::TOPIC_KIND_HASHED:
      RETURN_IF_ERROR(federation::ValidateHashedId("key", asked.id));
      return absl::NotFoundError("key: topic " + topic.name +
                                 " has no partition for " + Quote(asked.id));
    case v1::TOPIC_KIND_UNICAST:
      return absl::NotFoundError("key: no host is called " + Quote(asked.id));
    case v1::TOPIC_KIND_MULTICAST:
      if (image_.vpc(asked.id)) {
        return absl::FailedPreconditionError(
            "key: VPC " + std::string(asked.id) + " has no members yet");
      }
      return absl::NotFoundError("key: no VPC is called " + Quote(asked.id));
    default:
      return absl::NotFoundError("key: no resource is called " +
                                 Quote(asked.id));
  }
}

std::vector<RoutedTopic> KeyRouter::Route(
    const std::vector<std::string_view>& keys,
    const std::vector<v1::RouteResult*>& results) {
  std::vector<Asked> asked(keys.size());
  Rows bindings;
  for (size_t i = 0; i < keys.size(); ++i) {
    asked[i] = Ask(keys[i], results[i]);
    if (asked[i].topic != nullptr) {
      bindings.Add(KeyOf(asked[i].topic->id, asked[i].id));
    }
  }
  const auto bound = bindings.Find(image_.table(Table::kBindings));
  Rows partitions;
  std::vector<PartitionNumber> numbers;
  const auto wants = [&](Asked* key, PartitionNumber number) {
    partitions.Add(KeyOf(key->topic->id, number));
    numbers.push_back(number);
    ++key->partitions;
  };
  size_t next = 0;
  for (Asked& key : asked) {
    if (key.topic == nullptr) continue;
    const auto binding = bound[next++];
    if (key.topic->row->kind == v1::TOPIC_KIND_HASHED) {
      if (!federation::ValidateHashedId("key", key.id).ok()) continue;
      const auto number =
          image_.FindRange(key.topic->id, *key.topic->row, KeyHash(key.id));
      if (number) wants(&key, *number);
    } else if (binding) {
      for (const auto& target : DecodeRow<Binding>(*binding).targets) {
        wants(&key, target.partition);
      }
    }
  }
  const auto rows = partitions.Find(image_.table(Table::kPartitions));
  std::vector<RoutedTopic> routed(keys.size());
  next = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    const Asked& key = asked[i];
    if (key.topic == nullptr) continue;
    const federation::Topic& topic = *key.topic->row;
    routed[i] = {topic.lease_ttl_ms, topic.kind == v1::TOPIC_KIND_MULTICAST};
    absl::Status wrong = key.partitions == 0 ? NotBound(key) : absl::OkStatus();
    for (size_t end = next + key.partitions; next < end; ++next) {
      if (!wrong.ok() ||
          Fill(numbers[next], rows[next], results[i]->add_targets())) {
        continue;
      }
      wrong = absl::UnavailableError("key: partition " + topic.name + "/" +
                                     std::to_string(numbers[next].value()) +
                                     " has no writable segment at present");
    }
    if (wrong.ok()) continue;
    Refuse(wrong, results[i]);
    routed[i] = {};
  }
  return routed;
}

}  // namespace kafed::controller
