// The Subscriber's group mode: a worker of a Kafka consumer group that serves
// the public resources of one logical topic.
//
// Kafka assigns the physical partitions; nodes say which Kafka topics there
// are. A partition that is taken away forgets what was handed over but not
// committed, because its next owner gets it again.
//
// Handlers run on a thread of their own: a commit may have to wait for the end
// of a rebalance, and that needs the polling threads.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "client/backoff.h"
#include "client/kafka/consumer_handle.h"
#include "client/node_asker.h"
#include "client/repeat_filter.h"
#include "client/subscriber.h"

namespace kafed::client {

class GroupSubscriber final : public Subscriber {
 public:
  static absl::StatusOr<std::unique_ptr<Subscriber>> Create(
      SubscriberOptions options, SubscriberHandlers handlers);
  ~GroupSubscriber() override;

  absl::Status Commit(const Message& message) override;
  absl::Status CommitAll() override;
  absl::Status WaitReady(milliseconds timeout) const override;
  SubscriberStats stats() const override;
  void Stop() override;

 private:
  // (sub-cluster, Kafka topic, Kafka partition)
  using Place = std::tuple<std::string, std::string, uint32_t>;
  struct Owned {
    Owned(uint64_t number, size_t entries) : tenure(number), seen(entries) {}
    // Which time this worker owns the partition.
    uint64_t tenure = 0;
    RepeatFilter seen;
    // Offsets handed over and not committed, by ticket.
    std::map<uint64_t, uint64_t> pending;
  };
  struct Fetched {
    Record record;
    uint64_t tenure = 0;
  };
  struct Chain {
    uint32_t partition = 0;  // of the logical topic
    uint64_t epoch = 0;
    std::vector<std::string> keys;
  };

  GroupSubscriber(SubscriberOptions options, SubscriberHandlers handlers);
  void Loop();
  void Ask();
  void Merge(const v1::SubscriptionsResponse& response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ConsumerHandle* ConsumerOf(const AgentCluster& cluster)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnRecord(Record record);
  void DeliverLoop();
  // What the application gets of a record; nullopt: nothing.
  std::optional<Message> MessageOf(Fetched fetched)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnOwned(const std::string& sub_cluster, const std::string& topic,
               uint32_t partition, bool owned);
  absl::Status CommitTicket(uint64_t ticket);

  const SubscriberOptions options_;
  const SubscriberHandlers handlers_;
  const Clock& clock_;
  NodeAsker nodes_;  // the loop's
  Backoff backoff_;  // the loop's

  absl::Mutex handler_mutex_;  // one handler at a time
  std::deque<Fetched> fetched_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_tenure_ ABSL_GUARDED_BY(mutex_) = 1;
  mutable absl::Mutex mutex_;
  std::map<std::string, std::unique_ptr<ConsumerHandle>> consumers_
      ABSL_GUARDED_BY(mutex_);
  std::map<Place, Chain> chains_ ABSL_GUARDED_BY(mutex_);
  std::map<Place, Owned> owned_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, Place> tickets_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_ticket_ ABSL_GUARDED_BY(mutex_) = 1;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
  milliseconds next_ask_ ABSL_GUARDED_BY(mutex_){0};
  absl::Status last_error_ ABSL_GUARDED_BY(mutex_);
  SubscriberStats stats_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
  std::thread deliverer_;
};

}  // namespace kafed::client
