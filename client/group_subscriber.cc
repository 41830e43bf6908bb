#include "client/group_subscriber.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/time/time.h"
#include "client/rpc/grpc_connection.h"
#include "common/log.h"

namespace kafed::client {
namespace {
constexpr absl::Duration kStep = absl::Milliseconds(50);
// Workers are few and resources come and go: they ask more often than agents.
constexpr milliseconds kMostRefresh{5'000};
constexpr size_t kMostFetched = 1'000;
constexpr milliseconds kCommitPatience{60'000};
}  // namespace

GroupSubscriber::GroupSubscriber(SubscriberOptions options,
                                 SubscriberHandlers handlers)
    : options_(std::move(options)),
      handlers_(std::move(handlers)),
      clock_(*options_.clock),
      nodes_(options_, ConnectorOr(options_.connector)),
      backoff_(options_.backoff_min, options_.backoff_max) {}

absl::StatusOr<std::unique_ptr<Subscriber>> GroupSubscriber::Create(
    SubscriberOptions options, SubscriberHandlers handlers) {
  std::unique_ptr<GroupSubscriber> subscriber(
      new GroupSubscriber(std::move(options), std::move(handlers)));
  subscriber->thread_ =
      std::thread([self = subscriber.get()] { self->Loop(); });
  subscriber->deliverer_ =
      std::thread([self = subscriber.get()] { self->DeliverLoop(); });
  return std::unique_ptr<Subscriber>(std::move(subscriber));
}

GroupSubscriber::~GroupSubscriber() { Stop(); }

void GroupSubscriber::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  if (deliverer_.joinable()) deliverer_.join();
  std::map<std::string, std::unique_ptr<ConsumerHandle>> ending;
  {
    absl::MutexLock lock(&mutex_);
    ending.swap(consumers_);
  }
  ending.clear();
}

void GroupSubscriber::Loop() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kStep)) return;
      if (clock_.Steady() < next_ask_) continue;
    }
    Ask();
  }
}

void GroupSubscriber::Ask() {
  v1::SubscriptionsRequest request;
  request.set_resource_topic(options_.resource_topic);
  const auto response = nodes_.Subscriptions(request);
  absl::MutexLock lock(&mutex_);
  const milliseconds now = clock_.Steady();
  if (!response.ok()) {
    last_error_ = response.status();
    next_ask_ = now + nodes_.PauseOf(&backoff_);
    return;
  }
  ++stats_.asked;
  backoff_.Reset();
  const milliseconds most = std::min(options_.refresh_interval, kMostRefresh);
  next_ask_ =
      now + most - milliseconds(RandomNumber64() % (most.count() / 5 + 1));
  Merge(*response);
  ready_ = true;
}

void GroupSubscriber::Merge(const v1::SubscriptionsResponse& response) {
  std::map<uint32_t, AgentCluster> clusters;
  for (const v1::SubClusterRow& row : response.sub_clusters()) {
    clusters[row.id()] = {row.id(), row.name(), row.bootstrap_servers(),
                          row.security_ref()};
  }
  std::map<uint32_t, std::string> kafka_topics;
  for (const v1::KafkaTopicRow& row : response.kafka_topics()) {
    if (row.ready()) kafka_topics[row.id()] = row.name();
  }
  std::map<std::string, std::set<std::string>> topics;
  for (const auto& [name, consumer] : consumers_) topics[name];
  std::map<std::string, AgentCluster> used;
  chains_.clear();
  for (const v1::Subscription& each : response.subscriptions()) {
    for (const v1::Segment& segment : each.chain()) {
      const auto cluster = clusters.find(segment.sub_cluster_id());
      const auto topic = kafka_topics.find(segment.kafka_topic_id());
      if (cluster == clusters.end() || topic == kafka_topics.end()) continue;
      const std::string& name = cluster->second.name;
      used[name] = cluster->second;
      topics[name].insert(topic->second);
      Chain& chain = chains_[{name, topic->second, segment.kafka_partition()}];
      chain.partition = each.partition();
      chain.epoch = segment.epoch();
      for (const v1::SubscribedKey& key : each.keys()) {
        chain.keys.push_back(key.key());
      }
    }
  }
  for (const auto& [name, cluster] : used) ConsumerOf(cluster);
  for (const auto& [name, names] : topics) {
    const auto at = consumers_.find(name);
    if (at != consumers_.end()) {
      at->second->Subscribe({names.begin(), names.end()});
    }
  }
}

ConsumerHandle* GroupSubscriber::ConsumerOf(const AgentCluster& cluster) {
  auto& consumer = consumers_[cluster.name];
  if (consumer) return consumer.get();
  ConsumerCallbacks callbacks;
  callbacks.record = [this](Record record) { OnRecord(std::move(record)); };
  callbacks.gap = [this](const ReadPlace& place, uint64_t) {
    absl::MutexLock handler_lock(&handler_mutex_);
    std::vector<std::string> keys;
    {
      absl::MutexLock lock(&mutex_);
      for (const std::string& key :
           chains_[{place.sub_cluster, place.kafka_topic,
                    place.kafka_partition}]
               .keys) {
        keys.push_back(options_.resource_topic + "/" + key);
      }
    }
    if (handlers_.on_gap) handlers_.on_gap(keys);
  };
  callbacks.trouble = [this](const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    last_error_ = status;
  };
  callbacks.owned = [this, name = cluster.name](
                        const std::string& topic, uint32_t partition,
                        bool owned) { OnOwned(name, topic, partition, owned); };
  auto made =
      ConsumerHandle::Create({cluster, options_.group, options_.worker,
                              options_.secrets_dir, options_.session_timeout},
                             std::move(callbacks));
  if (!made.ok()) {
    LogWarning("no Kafka consumer for a sub-cluster",
               {{"sub_cluster", cluster.name}, {"error", made.status()}});
    last_error_ = made.status();
    consumers_.erase(cluster.name);
    return nullptr;
  }
  consumer = *std::move(made);
  return consumer.get();
}

void GroupSubscriber::OnOwned(const std::string& sub_cluster,
                              const std::string& topic, uint32_t partition,
                              bool owned) {
  absl::MutexLock lock(&mutex_);
  const Place place{sub_cluster, topic, partition};
  const auto at = owned_.find(place);
  if (at != owned_.end()) {
    for (const auto& [ticket, offset] : at->second.pending) {
      tickets_.erase(ticket);
    }
    owned_.erase(at);
  }
  if (owned) {
    owned_.emplace(
        std::piecewise_construct, std::forward_as_tuple(place),
        std::forward_as_tuple(next_tenure_++, options_.filter_entries));
  }
}

void GroupSubscriber::OnRecord(Record record) {
  absl::MutexLock lock(&mutex_);
  const auto room = [this] {
    mutex_.AssertReaderHeld();
    return stopping_ || fetched_.size() < kMostFetched;
  };
  mutex_.Await(absl::Condition(&room));
  const auto at = owned_.find(
      {record.sub_cluster, record.kafka_topic, record.kafka_partition});
  if (at == owned_.end()) return;
  fetched_.push_back({std::move(record), at->second.tenure});
}

void GroupSubscriber::DeliverLoop() {
  const auto wake = [this] {
    mutex_.AssertReaderHeld();
    return stopping_ || !fetched_.empty();
  };
  while (true) {
    absl::MutexLock handler_lock(&handler_mutex_);
    std::optional<Message> message;
    {
      absl::MutexLock lock(&mutex_);
      // Not for ever: gaps are reported under the same lock.
      mutex_.AwaitWithTimeout(absl::Condition(&wake), kStep);
      if (stopping_) return;
      if (fetched_.empty()) continue;
      Fetched fetched = std::move(fetched_.front());
      fetched_.pop_front();
      message = MessageOf(std::move(fetched));
    }
    if (message) handlers_.on_message(*message);
  }
}

std::optional<Message> GroupSubscriber::MessageOf(Fetched fetched) {
  Record& record = fetched.record;
  const Place place{record.sub_cluster, record.kafka_topic,
                    record.kafka_partition};
  const auto at = owned_.find(place);
  if (at == owned_.end() || at->second.tenure != fetched.tenure) {
    return std::nullopt;  // its next owner gets it
  }
  if (record.header && record.header->kind != MessageKind::kData) {
    return std::nullopt;
  }
  Message message;
  message.topic = options_.resource_topic;
  message.key = message.topic + "/" + record.key;
  if (record.header) {
    message.source = record.header->source;
    message.sequence = record.header->sequence;
    if (!at->second.seen.Take(RepeatFilter::NameOf(message.source, message.key),
                              message.sequence)) {
      ++stats_.repeats;
      return std::nullopt;
    }
  }
  const auto chain = chains_.find(place);
  if (chain != chains_.end()) {
    message.partition = chain->second.partition;
    message.epoch = chain->second.epoch;
    message.late = record.header && record.header->epoch < message.epoch;
  }
  message.payload = std::move(record.payload);
  message.headers = std::move(record.headers);
  message.offset = record.offset;
  message.ticket = next_ticket_++;
  at->second.pending[message.ticket] = record.offset;
  tickets_[message.ticket] = place;
  ++stats_.delivered;
  return message;
}

absl::Status GroupSubscriber::CommitTicket(uint64_t ticket) {
  const milliseconds deadline = clock_.Steady() + kCommitPatience;
  while (true) {
    ConsumerHandle* consumer = nullptr;
    ReadPlace commit;
    {
      absl::MutexLock lock(&mutex_);
      const auto at = tickets_.find(ticket);
      if (at == tickets_.end() || stopping_) {
        return absl::AbortedError(
            "the message's partition is another worker's by now, or it was "
            "committed before");
      }
      const auto& [sub_cluster, topic, partition] = at->second;
      commit = {sub_cluster, topic, partition,
                owned_.at(at->second).pending.at(ticket) + 1, 0};
      consumer = consumers_.at(sub_cluster).get();
    }
    absl::Status status = consumer->Commit({commit}, true);
    absl::MutexLock lock(&mutex_);
    if (status.ok()) {
      const auto at = tickets_.find(ticket);
      if (at == tickets_.end()) return status;
      auto& pending = owned_.at(at->second).pending;
      while (!pending.empty() && pending.begin()->first <= ticket) {
        tickets_.erase(pending.begin()->first);
        pending.erase(pending.begin());
      }
      return status;
    }
    // A group in the middle of a rebalance takes no commits; this worker keeps
    // its partitions until it gives them up. Without an answer, the same commit
    // again does no harm either.
    if (absl::IsAborted(status) || clock_.Steady() >= deadline) {
      return absl::AbortedError("the commit was refused: " + status.ToString());
    }
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kStep);
  }
}

absl::Status GroupSubscriber::Commit(const Message& message) {
  return CommitTicket(message.ticket);
}

absl::Status GroupSubscriber::CommitAll() {
  std::vector<uint64_t> tickets;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [place, owned] : owned_) {
      if (!owned.pending.empty()) {
        tickets.push_back(owned.pending.rbegin()->first);
      }
    }
  }
  absl::Status status;
  for (const uint64_t ticket : tickets) {
    const absl::Status each = CommitTicket(ticket);
    if (status.ok()) status = each;
  }
  return status;
}

absl::Status GroupSubscriber::WaitReady(milliseconds timeout) const {
  absl::MutexLock lock(&mutex_);
  if (mutex_.AwaitWithTimeout(absl::Condition(&ready_),
                              absl::Milliseconds(timeout.count()))) {
    return absl::OkStatus();
  }
  return NoNodeAnswered(timeout, last_error_);
}

SubscriberStats GroupSubscriber::stats() const {
  absl::MutexLock lock(&mutex_);
  return stats_;
}

}  // namespace kafed::client
