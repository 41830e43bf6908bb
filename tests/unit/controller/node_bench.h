// NodeBench: the write path of a node over an in-memory log, with a fake clock.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "common/uuid.h"
#include "controller/session/lease_table.h"
#include "controller/write/recovery.h"
#include "controller/write/writer.h"
#include "federation/plan/planners.h"
#include "metastore/log/memory_loglet.h"

namespace kafed::controller {

struct NodeBench {
  explicit NodeBench(metastore::SharedLog* other_log = nullptr)
      : log(other_log != nullptr ? other_log : &memory) {
    federation::Image image;
    const absl::Status begun =
        BeginIncarnation(log,
                         {.node_id = 7,
                          .now_ms = static_cast<uint64_t>(clock.Wall().count()),
                          .node = {.version = "test"}},
                         &image);
    EXPECT_TRUE(begun.ok()) << begun;
    replica = std::make_unique<Replica>(image);
    leases = std::make_unique<LeaseTable>(LeaseOptions{}, &clock, image);
    writer = std::make_unique<Writer>(log, replica.get(), &clock, 7);
  }

  template <typename Request, typename Planner>
  absl::StatusOr<Committed> Run(Planner planner, const Request& request,
                                const std::string& request_id = "",
                                bool dry_run = false) {
    return writer->Run(
        {.plan = [&](federation::Draft* draft) -> absl::StatusOr<std::string> {
           auto answer = planner(request, draft);
           if (!answer.ok()) return answer.status();
           return answer->SerializeAsString();
         },
         .request_id = request_id,
         .fingerprint = std::hash<std::string>()(request.SerializeAsString()),
         .dry_run = dry_run});
  }

  absl::StatusOr<Committed> AddCluster(const std::string& name,
                                       const std::string& request_id = "",
                                       bool dry_run = false) {
    v1::AddSubClusterRequest request;
    request.mutable_spec()->set_name(name);
    request.mutable_spec()->set_region("eu");
    request.mutable_spec()->add_zones("z1");
    request.mutable_spec()->set_bootstrap_servers("127.0.0.1:9092");
    return Run(federation::PlanAddSubCluster, request, request_id, dry_run);
  }
  absl::StatusOr<Committed> CreateTopic(const std::string& name,
                                        v1::TopicKind kind) {
    v1::CreateTopicRequest request;
    request.mutable_spec()->set_name(name);
    request.mutable_spec()->set_kind(kind);
    return Run(federation::PlanCreateTopic, request);
  }
  absl::StatusOr<Committed> AddHosts(const std::string& prefix, int count) {
    std::vector<v1::HostSpec> hosts(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) {
      hosts[static_cast<size_t>(i)].set_id(prefix + std::to_string(i));
      hosts[static_cast<size_t>(i)].set_region("eu");
    }
    return writer->Run(
        [&](federation::Draft* draft) -> absl::StatusOr<std::string> {
          const absl::Status added =
              federation::PlanAddHosts(hosts, false, draft);
          if (!added.ok()) return added;
          return std::string();
        });
  }
  std::string RequestIdNow() {
    return std::string(AsBytes(NewRequestId(clock.Wall())));
  }

  FakeClock clock;
  metastore::MemoryLoglet memory;
  metastore::SharedLog* log;
  std::unique_ptr<Replica> replica;
  std::unique_ptr<LeaseTable> leases;
  std::unique_ptr<Writer> writer;
};

}  // namespace kafed::controller
