// The Subscriber's agent mode: an Agent, a consumer for each sub-cluster, and a
// thread that asks nodes and writes things down.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "client/backoff.h"
#include "client/kafka/consumer_handle.h"
#include "client/node_asker.h"
#include "client/subscriber.h"

namespace kafed::client {

class AgentSubscriber final : public Subscriber {
 public:
  static absl::StatusOr<std::unique_ptr<Subscriber>> Create(
      SubscriberOptions options, SubscriberHandlers handlers);
  ~AgentSubscriber() override;

  absl::Status Commit(const Message& message) override;
  absl::Status CommitAll() override;
  absl::Status WaitReady(milliseconds timeout) const override;
  SubscriberStats stats() const override;
  void Stop() override;

 private:
  AgentSubscriber(SubscriberOptions options, SubscriberHandlers handlers);
  absl::Status LoadState();
  void Loop();
  // Asks a node; sets when to ask next.
  void Ask();
  void StartAtCommits() ABSL_LOCKS_EXCLUDED(mutex_);
  void OnRecord(Record record);
  void OnGap(const ReadPlace& place, uint64_t low);
  void OnTrouble(const absl::Status& status);
  void Distribute() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ConsumerHandle* ConsumerOf(const std::string& sub_cluster)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes the state and tells Kafka, where something changed or `again`.
  absl::Status WriteDown(bool wait, bool again);

  struct Consumer {
    AgentCluster cluster;
    std::unique_ptr<ConsumerHandle> handle;
  };

  const SubscriberOptions options_;
  const SubscriberHandlers handlers_;
  const Clock& clock_;
  const std::string state_path_;
  NodeAsker nodes_;  // the loop's
  Backoff backoff_;  // the loop's

  absl::Mutex handler_mutex_;  // one handler at a time
  absl::Mutex write_mutex_;    // one writer of the state file
  std::string written_ ABSL_GUARDED_BY(write_mutex_);
  mutable absl::Mutex mutex_;
  Agent agent_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Consumer> consumers_ ABSL_GUARDED_BY(mutex_);
  // Their clusters changed; they end with Stop.
  std::vector<std::unique_ptr<ConsumerHandle>> replaced_
      ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool fresh_ ABSL_GUARDED_BY(mutex_) = false;  // no state was on disk
  bool dirty_ ABSL_GUARDED_BY(mutex_) = false;
  bool ask_all_ ABSL_GUARDED_BY(mutex_) = false;
  milliseconds next_ask_ ABSL_GUARDED_BY(mutex_){0};
  milliseconds next_commit_ ABSL_GUARDED_BY(mutex_){0};
  milliseconds next_write_ ABSL_GUARDED_BY(mutex_){0};
  absl::Status last_error_ ABSL_GUARDED_BY(mutex_);
  SubscriberStats stats_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace kafed::client
