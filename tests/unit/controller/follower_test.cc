#include "controller/write/follower.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "tests/unit/controller/node_bench.h"

namespace kafed::controller {
namespace {

constexpr milliseconds kLong{60'000};

// Another node over the log of the first, whose reads may fail.
struct OtherNode {
  explicit OtherNode(metastore::SharedLog* log) {
    federation::Image image;
    EXPECT_TRUE(Replay(log, &image, nullptr).ok());
    replica = std::make_unique<Replica>(std::move(image));
    writer = std::make_unique<Writer>(log, replica.get(), &RealClock(), 8);
    follower.emplace(log, replica.get(), writer.get(), &RealClock());
  }

  absl::StatusOr<Committed> AddCluster(const std::string& name) {
    return writer->Run(
        [name](federation::Draft* draft) -> absl::StatusOr<std::string> {
          v1::AddSubClusterRequest request;
          request.mutable_spec()->set_name(name);
          request.mutable_spec()->set_region("eu");
          request.mutable_spec()->add_zones("z1");
          request.mutable_spec()->set_bootstrap_servers("127.0.0.1:9092");
          const auto answer = federation::PlanAddSubCluster(request, draft);
          if (!answer.ok()) return answer.status();
          return answer->SerializeAsString();
        });
  }

  std::unique_ptr<Replica> replica;
  std::unique_ptr<Writer> writer;
  std::optional<Follower> follower;
};

TEST(FollowerTest, WhatAnotherNodeWroteIsSeenWithoutWriting) {
  NodeBench first;
  OtherNode second(first.log);
  for (const std::string name : {"a", "b", "c"}) {
    const auto committed = first.AddCluster(name);
    ASSERT_TRUE(committed.ok()) << committed.status();
    const auto image = second.replica->WaitFor(committed->position, kLong);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_TRUE((*image)->FindSubCluster(name).valid());
    EXPECT_EQ((*image)->Hash(), first.replica->image()->Hash());
  }
}

TEST(FollowerTest, AFollowerTellsItsOwnListeners) {
  NodeBench first;
  OtherNode second(first.log);
  absl::Notification told;
  second.replica->AddListener([&] {
    if (!told.HasBeenNotified()) told.Notify();
  });
  const auto committed = first.AddCluster("a");
  ASSERT_TRUE(committed.ok());
  EXPECT_TRUE(
      told.WaitForNotificationWithTimeout(absl::Milliseconds(kLong.count())));
}

TEST(FollowerTest, NodesThatWriteAtOnceAgreeAndLoseNothing) {
  constexpr int kEach = 60;
  NodeBench seed;  // begins the log
  OtherNode nodes[] = {OtherNode(seed.log), OtherNode(seed.log),
                       OtherNode(seed.log)};
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int n = 0; n < 3; ++n) {
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&, n, t] {
        for (int i = 0; i < kEach; ++i) {
          const std::string name = "c" + std::to_string(n) + "-" +
                                   std::to_string(t) + "-" + std::to_string(i);
          const auto added = nodes[n].AddCluster(name);
          if (!added.ok()) ++failed;
          // Read your writes, on the node that answered.
          if (!nodes[n].replica->image()->FindSubCluster(name).valid()) {
            ++failed;
          }
        }
      });
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  const auto tail = seed.log->Tail();
  ASSERT_TRUE(tail.ok());
  std::vector<TableDigest> hashes;
  for (OtherNode& node : nodes) {
    const auto image = node.replica->WaitFor({1, *tail}, kLong);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ((*image)->SubClusters().size(), 3u * 2 * kEach);
    hashes.push_back((*image)->Hash());
  }
  EXPECT_EQ(hashes[0], hashes[1]);
  EXPECT_EQ(hashes[0], hashes[2]);
}

// A log that one node can't read for a while.
class CutOffLog : public metastore::SharedLog {
 public:
  explicit CutOffLog(metastore::SharedLog* log) : log_(*log) {}
  void CutOff(bool cut) { cut_ = cut; }
  void AwaitAttempt() const {
    EXPECT_TRUE(attempted_.WaitForNotificationWithTimeout(
        absl::Milliseconds(kLong.count())));
  }

  metastore::AppendOutcome AppendBatchAt(
      LogIndex first, std::span<const metastore::LogEntry> entries) override {
    return log_.AppendBatchAt(first, entries);
  }
  absl::StatusOr<std::vector<metastore::LogEntry>> Read(
      LogIndex from, size_t max_bytes) override {
    if (cut_) return Refuse();
    return log_.Read(from, max_bytes);
  }
  // How often the tail was asked for.
  int tails() const { return tails_; }
  absl::StatusOr<LogIndex> Tail() override {
    if (cut_) return Refuse();
    ++tails_;
    return log_.Tail();
  }
  absl::StatusOr<LogIndex> FirstKept() override { return log_.FirstKept(); }
  absl::StatusOr<uint64_t> SizeBytes() override { return log_.SizeBytes(); }
  absl::Status WaitFor(LogIndex index, milliseconds deadline) override {
    return log_.WaitFor(index, deadline);
  }
  absl::Status Trim(LogIndex before) override { return log_.Trim(before); }
  absl::StatusOr<LogIndex> Seal() override { return log_.Seal(); }

 private:
  absl::Status Refuse() {
    if (!attempted_.HasBeenNotified()) attempted_.Notify();
    return absl::UnavailableError("cut off");
  }

  metastore::SharedLog& log_;
  std::atomic<bool> cut_{false};
  std::atomic<int> tails_{0};
  absl::Notification attempted_;  // by the one thread that reads
};

// On a shared log that is a write to its quorum, of each node for each entry.
TEST(FollowerTest, FollowingDoesNotAskForTheTail) {
  NodeBench first;
  CutOffLog log(first.log);
  OtherNode second(&log);
  const int before = log.tails();
  for (const std::string name : {"a", "b", "c"}) {
    const auto committed = first.AddCluster(name);
    ASSERT_TRUE(committed.ok()) << committed.status();
    ASSERT_TRUE(second.replica->WaitFor(committed->position, kLong).ok());
  }
  EXPECT_EQ(log.tails(), before);
}

TEST(FollowerTest, ALogThatCantBeReadIsReadLater) {
  NodeBench first;
  CutOffLog log(first.log);
  OtherNode second(&log);
  log.CutOff(true);
  const auto committed = first.AddCluster("a");
  ASSERT_TRUE(committed.ok());
  log.AwaitAttempt();
  EXPECT_LT(second.replica->position(), committed->position);
  log.CutOff(false);
  EXPECT_TRUE(second.replica->WaitFor(committed->position, kLong).ok());
}

TEST(FollowerTest, ANodeThatIsCutOffCanStop) {
  NodeBench first;
  CutOffLog log(first.log);
  OtherNode second(&log);
  log.CutOff(true);
  ASSERT_TRUE(first.AddCluster("a").ok());
  log.AwaitAttempt();
}

}  // namespace
}  // namespace kafed::controller
