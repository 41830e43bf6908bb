// One cluster of mock Kafka brokers inside this process, with a memory of the
// topics that were made on purpose.
//
// The mock makes any topic that a client asks for, with 4 partitions. A topic
// therefore exists here only once Create() made it: List() shows no other, and
// creating one that a client conjured up before is an error, as its partition
// count would be wrong.
//
// Called by ControlServer's thread; not thread-safe. The brokers have their
// own thread inside librdkafka.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kafed::tests {

class MockCluster {
 public:
  // REQUIRES: brokers >= 1. An empty id means a random one.
  static absl::StatusOr<std::unique_ptr<MockCluster>> Start(
      int brokers, const std::string& cluster_id);
  ~MockCluster();
  MockCluster(const MockCluster&) = delete;
  MockCluster& operator=(const MockCluster&) = delete;

  // host:port,... of all brokers.
  const std::string& bootstrap() const { return bootstrap_; }

  // 22 characters, as Kafka's own cluster ids.
  const std::string& cluster_id() const { return cluster_id_; }

  // AlreadyExists if Create() made it before, FailedPrecondition if a client
  // did, InvalidArgument for a name or count that Kafka would refuse.
  absl::Status Create(const std::string& topic, int partitions);

  // Partitions by topic name.
  const std::map<std::string, int>& topics() const { return topics_; }

  // Brokers are numbered from 1; NotFound for any other.
  absl::Status SetDown(int broker);
  absl::Status SetUp(int broker);
  absl::Status SetRoundTripMs(int broker, int round_trip_ms);

 private:
  struct Handles;
  MockCluster() = default;
  absl::Status CheckBroker(int broker) const;

  std::unique_ptr<Handles> handles_;
  int brokers_ = 0;
  std::string bootstrap_;
  std::string cluster_id_;
  std::map<std::string, int> topics_;
};

}  // namespace kafed::tests
