// ReconcileBench: a node's write path and a coordinator that does its rounds
// quickly, over fake or real Kafka clusters.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controller/reconcile/coordinator.h"
#include "controller/write/recovery.h"
#include "controller/write/writer.h"
#include "federation/plan/planners.h"
#include "metastore/log/memory_loglet.h"
#include "tests/unit/controller/fake_kafka.h"

namespace kafed::controller {

class ReconcileBench {
 public:
  ReconcileBench() {
    federation::Image image;
    const absl::Status begun = BeginIncarnation(
        &log,
        {.node_id = 7,
         .now_ms = static_cast<uint64_t>(RealClock().Wall().count()),
         .node = {.version = "test"}},
        &image);
    EXPECT_TRUE(begun.ok()) << begun;
    replica = std::make_unique<Replica>(image);
    leases = std::make_unique<LeaseTable>(LeaseOptions{}, &lease_clock, image);
    writer = std::make_unique<Writer>(&log, replica.get(), &RealClock(), 7);
    options.interval = milliseconds(20);
    options.busy_interval = milliseconds(5);
    options.first_backoff = milliseconds(2);
    options.max_backoff = milliseconds(20);
    options.settings_interval = milliseconds(20);
  }
  ~ReconcileBench() { Stop(); }

  // Sub-clusters are connected to the fakes by bootstrap servers.
  FakeKafka& AddFake(const std::string& bootstrap_servers) {
    auto& fake = fakes_[bootstrap_servers];
    fake = std::make_shared<FakeKafka>();
    fake->With([&](FakeKafkaState& state) {
      state.id = "id-of-" + bootstrap_servers;
    });
    return *fake;
  }

  void Start() {
    if (!fakes_.empty()) {
      options.connect = [this](const federation::SubCluster& row)
          -> absl::StatusOr<std::unique_ptr<KafkaCluster>> {
        const auto at = fakes_.find(row.bootstrap_servers);
        if (at == fakes_.end()) return absl::UnavailableError("no such host");
        return at->second->Connect();
      };
    }
    coordinator = std::make_unique<Coordinator>(
        options, replica.get(), writer.get(), leases.get(), &RealClock());
  }
  void Stop() { coordinator = nullptr; }

  template <typename Request, typename Planner>
  void Commit(Planner planner, const Request& request) {
    const auto done = writer->Run(
        [&](federation::Draft* draft) -> absl::StatusOr<std::string> {
          const auto answer = planner(request, draft);
          if (!answer.ok()) return answer.status();
          return std::string();
        });
    ASSERT_TRUE(done.ok()) << done.status();
  }

  void AddCluster(const std::string& name, const std::string& bootstrap,
                  const std::string& admin = "",
                  const std::string& kafka_cluster_id = "") {
    v1::AddSubClusterRequest request;
    v1::SubClusterSpec& spec = *request.mutable_spec();
    spec.set_name(name);
    spec.set_region("eu");
    spec.add_zones("z1");
    spec.set_bootstrap_servers(bootstrap);
    spec.set_admin(admin);
    spec.set_kafka_cluster_id(kafka_cluster_id);
    Commit(federation::PlanAddSubCluster, request);
  }
  void CreateTopic(const std::string& name, v1::TopicKind kind,
                   uint32_t partitions = 2) {
    v1::CreateTopicRequest request;
    request.mutable_spec()->set_name(name);
    request.mutable_spec()->set_kind(kind);
    if (kind == v1::TOPIC_KIND_HASHED) {
      request.mutable_spec()->set_partitions(partitions);
    } else {
      request.mutable_spec()->mutable_limits()->set_partitions_per_topic(
          partitions);
    }
    Commit(federation::PlanCreateTopic, request);
  }
  void DeleteTopic(const std::string& name) {
    v1::DeleteTopicRequest request;
    request.set_name(name);
    Commit(federation::PlanDeleteTopic, request);
  }
  void AddHosts(const std::vector<std::string>& ids) {
    std::vector<v1::HostSpec> hosts;
    for (const std::string& id : ids) {
      hosts.emplace_back().set_id(id);
      hosts.back().set_region("eu");
    }
    const auto done = writer->Run(
        [&](federation::Draft* draft) -> absl::StatusOr<std::string> {
          const absl::Status added =
              federation::PlanAddHosts(hosts, false, draft);
          if (!added.ok()) return added;
          return std::string();
        });
    ASSERT_TRUE(done.ok()) << done.status();
  }
  void CreateVpc(const std::string& id) {
    v1::CreateVpcRequest request;
    request.set_id(id);
    Commit(federation::PlanCreateVpc, request);
  }
  void Join(const std::string& vpc, const std::vector<std::string>& hosts) {
    v1::AddVpcHostsRequest request;
    request.set_vpc(vpc);
    for (const std::string& host : hosts) request.add_hosts(host);
    Commit(
        [](const v1::AddVpcHostsRequest& add, federation::Draft* draft) {
          return federation::PlanAddVpcHosts(add, {}, draft);
        },
        request);
  }
  void Leave(const std::string& vpc, const std::vector<std::string>& hosts) {
    v1::RemoveVpcHostsRequest request;
    request.set_vpc(vpc);
    for (const std::string& host : hosts) request.add_hosts(host);
    Commit(federation::PlanRemoveVpcHosts, request);
  }

  // Waits for an image that satisfies the condition; false after a minute.
  bool Await(const std::function<bool(const federation::Image&)>& condition) {
    const milliseconds deadline = RealClock().Steady() + milliseconds(60'000);
    auto image = replica->image();
    while (!condition(*image)) {
      if (RealClock().Steady() > deadline) return false;
      Position next = image->position();
      next.index = kafed::Next(next.index);
      const auto newer = replica->WaitFor(next, milliseconds(100));
      image = newer.ok() ? *newer : replica->image();
    }
    return true;
  }
  bool AwaitState(const std::string& name, v1::SubClusterState state) {
    return Await([&](const federation::Image& image) {
      return Row(image, name).state == state;
    });
  }
  bool AwaitReady(const std::string& topic) {
    return Await([&](const federation::Image& image) {
      const auto counters = image.topic_counters(image.FindTopic(topic));
      return counters.kafka_topics > 0 &&
             counters.kafka_topics == counters.kafka_topics_ready;
    });
  }
  bool AwaitNoMarkers() {
    return Await([](const federation::Image& image) {
      return image.table(federation::Table::kPendingMarkers).empty();
    });
  }
  bool AwaitDrift(const std::string& kafka_topic, const std::string& drift) {
    return Await([&](const federation::Image& image) {
      bool found = false;
      image.table(federation::Table::kKafkaTopics)
          .ForEach([&](std::string_view, std::string_view value) {
            const auto row = DecodeRow<federation::KafkaTopic>(value);
            found |= row.name == kafka_topic && row.drift == drift;
          });
      return found;
    });
  }

  static federation::SubCluster Row(const federation::Image& image,
                                    const std::string& name) {
    return image.sub_cluster(image.FindSubCluster(name))
        .value_or(federation::SubCluster());
  }
  std::shared_ptr<KafkaCluster> Find(const std::string& name) const {
    return coordinator->Find(replica->image()->FindSubCluster(name));
  }

  FakeClock lease_clock;
  metastore::MemoryLoglet log;
  CoordinatorOptions options;
  std::unique_ptr<Replica> replica;
  std::unique_ptr<LeaseTable> leases;
  std::unique_ptr<Writer> writer;
  std::unique_ptr<Coordinator> coordinator;

 private:
  std::map<std::string, std::shared_ptr<FakeKafka>> fakes_;
};

}  // namespace kafed::controller
