// ConsumerHandle: one librdkafka consumer of one sub-cluster.
//
// Either it reads the places it is told (Read: manual assignment), or it is a
// member of a consumer group (Subscribe). It never commits by itself and never
// resets an offset silently: a place whose offset Kafka no longer has is
// reported with the lowest one left.
//
// Threads: one that polls; it applies Read and Subscribe and calls the
// callbacks, which may call Read. All calls are thread-safe.
#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "client/agent.h"
#include "client/kafka/last_trouble.h"
#include "common/clock.h"

namespace kafed::client {

struct ConsumerCallbacks {
  std::function<void(Record)> record;
  // The offset of the place is gone; `low` is the first one left.
  std::function<void(const ReadPlace&, uint64_t low)> gap;
  // The sub-cluster, a topic or a partition cannot be reached.
  std::function<void(const absl::Status&)> trouble;
  // Group mode: partitions of this member, and those taken from it.
  std::function<void(const std::string& topic, uint32_t partition, bool owned)>
      owned;
};

struct ConsumerOptions {
  AgentCluster cluster;
  std::string group;
  std::string member;  // group mode: a name for people
  std::string secrets_dir;
  milliseconds session_timeout{10'000};  // group mode
};

class ConsumerHandle {
 public:
  static absl::StatusOr<std::unique_ptr<ConsumerHandle>> Create(
      ConsumerOptions options, ConsumerCallbacks callbacks);
  ~ConsumerHandle();
  ConsumerHandle(const ConsumerHandle&) = delete;
  ConsumerHandle& operator=(const ConsumerHandle&) = delete;

  // From now on exactly these places.
  void Read(std::vector<ReadPlace> places);
  // From now on a member of the group for these Kafka topics.
  void Subscribe(std::vector<std::string> topics);

  // `wait`: until Kafka answered.
  absl::Status Commit(const std::vector<ReadPlace>& places, bool wait);
  // The group's committed offset; nullopt if there is none.
  absl::StatusOr<std::optional<uint64_t>> Committed(const ReadPlace& place,
                                                    milliseconds timeout);

 private:
  using Place = std::pair<std::string, uint32_t>;

  ConsumerHandle(ConsumerOptions options, ConsumerCallbacks callbacks);
  absl::Status Start();
  rd_kafka_resp_err_t CommitNow(const rd_kafka_topic_partition_list_t* list);
  void Loop();
  void ApplyRead();
  void ApplySubscribe();
  void Take(rd_kafka_message_t* message);
  void Resume(rd_kafka_message_t* message);
  static void OnRebalance(rd_kafka_t* kafka, rd_kafka_resp_err_t error,
                          rd_kafka_topic_partition_list_t* partitions,
                          void* self);
  void Rebalance(rd_kafka_resp_err_t error,
                 rd_kafka_topic_partition_list_t* partitions);

  const ConsumerOptions options_;
  const ConsumerCallbacks callbacks_;
  rd_kafka_t* kafka_ = nullptr;
  LastTrouble trouble_;
  absl::Mutex mutex_;
  std::vector<ReadPlace> wanted_ ABSL_GUARDED_BY(mutex_);
  bool read_changed_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::string> topics_ ABSL_GUARDED_BY(mutex_);
  bool topics_changed_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<Place, uint64_t> reading_;  // round by place; polling thread only
  std::thread thread_;
};

}  // namespace kafed::client
