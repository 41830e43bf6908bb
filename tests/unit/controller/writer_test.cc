#include "controller/write/writer.h"

#include <gmock/gmock.h>

#include <atomic>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "federation/image/entry_codec.h"
#include "tests/unit/controller/node_bench.h"

namespace kafed::controller {
namespace {

using testing::HasSubstr;

TEST(WriterTest, PublishesWhatItAnswers) {
  NodeBench node;
  const auto committed = node.AddCluster("a");
  ASSERT_TRUE(committed.ok()) << committed.status();
  EXPECT_EQ(committed->position, node.replica->position());
  EXPECT_TRUE(node.replica->image()->FindSubCluster("a").valid());
  federation::Image replayed;
  ASSERT_TRUE(Replay(node.log, &replayed, nullptr).ok());
  EXPECT_EQ(replayed.Hash(), node.replica->image()->Hash());
}

TEST(WriterTest, ARefusalChangesNothing) {
  NodeBench node;
  ASSERT_TRUE(node.AddCluster("a").ok());
  const Position before = node.replica->position();
  const auto again = node.AddCluster("a");
  EXPECT_EQ(again.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(node.replica->position(), before);
}

TEST(WriterTest, ADryRunAnswersAndChangesNothing) {
  NodeBench node;
  const Position before = node.replica->position();
  ASSERT_TRUE(node.AddCluster("a", node.RequestIdNow(), true).ok());
  EXPECT_EQ(node.replica->position(), before);
  EXPECT_FALSE(node.replica->image()->FindSubCluster("a").valid());
}

TEST(WriterTest, ARetryGetsTheFirstAnswer) {
  NodeBench node;
  const std::string id = node.RequestIdNow();
  const auto first = node.AddCluster("a", id);
  ASSERT_TRUE(first.ok());
  const Position before = node.replica->position();
  const auto second = node.AddCluster("a", id);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->response, first->response);
  EXPECT_EQ(node.replica->position(), before);
}

TEST(WriterTest, AnIdOfAnotherRequestIsRefused) {
  NodeBench node;
  const std::string id = node.RequestIdNow();
  ASSERT_TRUE(node.AddCluster("a", id).ok());
  const auto other = node.AddCluster("b", id);
  EXPECT_TRUE(absl::IsInvalidArgument(other.status())) << other.status();
  EXPECT_THAT(std::string(other.status().message()),
              HasSubstr("request_id: was used for another request"));
  EXPECT_FALSE(node.replica->image()->FindSubCluster("b").valid());
}

TEST(WriterTest, ARequestOlderThanTheWindowIsNeverCarriedOut) {
  NodeBench node;
  const std::string id = node.RequestIdNow();
  node.clock.Advance(milliseconds(federation::kRequestWindowMs + 1'000));
  const auto late = node.AddCluster("a", id);
  EXPECT_EQ(late.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(late.status().message()),
              HasSubstr("look before you retry"));
  EXPECT_FALSE(node.replica->image()->FindSubCluster("a").valid());
  EXPECT_FALSE(node.AddCluster("a", "not a uuid").ok());
}

TEST(WriterTest, ManyCallersShareEntriesAndNoneIsLost) {
  NodeBench node;
  constexpr int kThreads = 4;
  constexpr int kEach = 100;
  std::vector<std::thread> threads;
  std::atomic<int> failed{0};
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const auto added =
            node.AddCluster("c" + std::to_string(t) + "-" + std::to_string(i));
        if (!added.ok()) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(node.replica->image()->SubClusters().size(), 400u);
  EXPECT_LE(node.replica->position().index.value(), 401u);
}

TEST(WriterTest, TimeNeverGoesBackWhenTheClockDoes) {
  NodeBench node;
  ASSERT_TRUE(node.AddCluster("a").ok());
  const uint64_t before = node.replica->image()->head().time_ms;
  node.clock.StepWall(milliseconds(-100'000));
  ASSERT_TRUE(node.AddCluster("b").ok());
  EXPECT_EQ(node.replica->image()->head().time_ms, before);
}

// An operator's `date -s`, an hour ahead and back after ten minutes.
TEST(WriterTest, AClockSetForwardAndBackForgetsAndRefusesNothing) {
  constexpr milliseconds kHour{3'600'000};
  NodeBench node;
  const std::string before = node.RequestIdNow();
  const auto first = node.AddCluster("a", before);
  ASSERT_TRUE(first.ok()) << first.status();
  const uint64_t began_ms = node.replica->image()->head().time_ms;
  // Clients whose clocks are right.
  node.clock.Advance(milliseconds(60'000));
  const std::string right = node.RequestIdNow();
  node.clock.StepWall(kHour);
  ASSERT_TRUE(node.AddCluster("b", right).ok());
  const auto retried = node.AddCluster("a", before);
  ASSERT_TRUE(retried.ok()) << "the answer was forgotten " << retried.status();
  EXPECT_EQ(retried->response, first->response);
  // And one whose clock was set with the node's.
  EXPECT_TRUE(node.AddCluster("c", node.RequestIdNow()).ok());
  EXPECT_LE(node.replica->image()->head().time_ms, began_ms + 75'000);
  node.clock.Advance(milliseconds(540'000));
  ASSERT_TRUE(node.AddCluster("d", node.RequestIdNow()).ok());
  node.clock.StepWall(-kHour);
  EXPECT_TRUE(node.AddCluster("e", node.RequestIdNow()).ok());
  EXPECT_LE(node.replica->image()->head().time_ms, began_ms + 750'000);
}

TEST(WriterTest, AClockThatWasBehindIsCaughtUpWith) {
  NodeBench node;
  ASSERT_TRUE(node.AddCluster("a").ok());
  node.clock.StepWall(milliseconds(100'000));
  node.clock.Advance(milliseconds(200'000));
  ASSERT_TRUE(node.AddCluster("b").ok());
  const auto lag_ms =
      static_cast<int64_t>(node.clock.Wall().count()) -
      static_cast<int64_t>(node.replica->image()->head().time_ms);
  EXPECT_EQ(lag_ms, 50'000);
  node.clock.Advance(milliseconds(200'000));
  ASSERT_TRUE(node.AddCluster("c").ok());
  EXPECT_EQ(node.replica->image()->head().time_ms,
            static_cast<uint64_t>(node.clock.Wall().count()));
}

// Another node that appends first, at every append, a number of times.
class ContestedLog : public metastore::MemoryLoglet {
 public:
  explicit ContestedLog(int conflicts) : conflicts_(conflicts) {}
  metastore::AppendOutcome AppendBatchAt(
      LogIndex first, std::span<const metastore::LogEntry> entries) override {
    if (first.value() > 1 && conflicts_ > 0) {
      --conflicts_;
      federation::Image image;
      EXPECT_TRUE(Replay(this, &image, nullptr).ok());
      v1::EntryHeader header;
      header.set_entry_id(std::string(AsBytes(RandomBytes16())));
      *header.mutable_position() = PositionOf(image);
      header.mutable_position()->set_index(image.head().index.value() + 1);
      header.set_feature_level(1);
      header.set_predecessor_hash(image.head().header_hash);
      header.set_time_ms(image.head().time_ms);
      federation::Draft draft(image, header);
      v1::AddSubClusterRequest request;
      request.mutable_spec()->set_name("other-" + std::to_string(conflicts_));
      request.mutable_spec()->set_region("eu");
      request.mutable_spec()->add_zones("z");
      request.mutable_spec()->set_bootstrap_servers("h:1");
      EXPECT_TRUE(federation::PlanAddSubCluster(request, &draft).ok());
      metastore::LogEntry entry;
      std::copy(header.entry_id().begin(), header.entry_id().end(),
                entry.id.begin());
      entry.payload = federation::EncodeEntry(draft.entry());
      EXPECT_TRUE(
          metastore::MemoryLoglet::AppendBatchAt(first, {&entry, 1}).ok());
    }
    if (unknown_ > 0) {
      --unknown_;
      return metastore::UnknownOutcome(LogIndex(), absl::UnavailableError("?"));
    }
    return metastore::MemoryLoglet::AppendBatchAt(first, entries);
  }
  int conflicts_;
  int unknown_ = 0;
};

TEST(WriterTest, PlansAgainWhenAnotherNodeWasFirst) {
  ContestedLog log(3);
  NodeBench node(&log);
  ASSERT_TRUE(node.AddCluster("mine").ok());
  const auto image = node.replica->image();
  EXPECT_EQ(image->SubClusters().size(), 4u);
  EXPECT_EQ(image->FindSubCluster("mine").value(), 4u);
  // A name the other node took meanwhile is refused on the newer image.
  log.conflicts_ = 1;
  EXPECT_EQ(node.AddCluster("other-0").status().code(),
            absl::StatusCode::kAlreadyExists);
}

// Its caller may have been refused elsewhere by then, and must be able to rely
// on that.
TEST(WriterTest, WhatNobodyWaitsForIsNotPlannedAgain) {
  ContestedLog log(1);
  NodeBench node(&log);
  int planned = 0;
  const auto committed = node.writer->Run(
      {.plan = [&](federation::Draft* draft) -> absl::StatusOr<std::string> {
         ++planned;
         v1::AddSubClusterRequest request;
         request.mutable_spec()->set_name("mine");
         request.mutable_spec()->set_region("eu");
         request.mutable_spec()->add_zones("z1");
         request.mutable_spec()->set_bootstrap_servers("h:1");
         return PlanAddSubCluster(request, draft)->SerializeAsString();
       },
       .request_id = node.RequestIdNow(),
       .abandoned = [&] { return planned > 0; }});
  EXPECT_TRUE(absl::IsCancelled(committed.status())) << committed.status();
  EXPECT_EQ(planned, 1);
  EXPECT_FALSE(node.replica->image()->FindSubCluster("mine").valid());
}

TEST(WriterTest, AnUnknownOutcomeIsRetriedNeverReported) {
  ContestedLog log(0);
  NodeBench node(&log);
  log.unknown_ = 3;
  ASSERT_TRUE(node.AddCluster("a").ok());
  EXPECT_EQ(node.replica->image()->SubClusters().size(), 1u);
}

// A log that holds each append back, or refuses the next one.
class HeldLog : public metastore::MemoryLoglet {
 public:
  metastore::AppendOutcome AppendBatchAt(
      LogIndex first, std::span<const metastore::LogEntry> entries) override {
    const auto free = [this] {
      mutex_.AssertReaderHeld();
      return !held_;
    };
    absl::MutexLock lock(&mutex_);
    ++begun_;
    mutex_.Await(absl::Condition(&free));
    if (std::exchange(refuse_, false)) {
      return metastore::RefusedOutcome(LogIndex(),
                                       absl::UnavailableError("broken"));
    }
    return metastore::MemoryLoglet::AppendBatchAt(first, entries);
  }
  // From now on; returns the number of appends so far.
  int Hold() {
    absl::MutexLock lock(&mutex_);
    held_ = true;
    return begun_;
  }
  void AwaitBegun(int count) {
    const auto begun = [this, count] {
      mutex_.AssertReaderHeld();
      return begun_ >= count;
    };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&begun));
  }
  void Release(bool refuse) {
    absl::MutexLock lock(&mutex_);
    refuse_ = refuse;
    held_ = false;
  }

 private:
  absl::Mutex mutex_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  bool refuse_ ABSL_GUARDED_BY(mutex_) = false;
  int begun_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A node whose log holds the append of "first" back.
struct HeldNode {
  // What became of one command.
  struct Caller {
    absl::Notification planned;
    absl::Notification answered;
    absl::StatusOr<Committed> result;
  };

  HeldNode() {
    const int before = log.Hold();
    first = Submit("first");
    log.AwaitBegun(before + 1);
  }
  // `bytes` of noise stay in the entry, as the command's answer.
  std::shared_ptr<Caller> Submit(const std::string& name, size_t bytes = 0) {
    auto caller = std::make_shared<Caller>();
    v1::AddSubClusterRequest request;
    request.mutable_spec()->set_name(name);
    request.mutable_spec()->set_region("eu");
    request.mutable_spec()->add_zones("z1");
    request.mutable_spec()->set_bootstrap_servers("h:1");
    std::string noise(bytes, '\0');
    std::mt19937 random(static_cast<unsigned char>(name.front()));
    for (char& each : noise) each = static_cast<char>('!' + random() % 90);
    node.writer->Submit(
        {.plan = [caller, request, noise](
                     federation::Draft* draft) -> absl::StatusOr<std::string> {
           const auto answer = federation::PlanAddSubCluster(request, draft);
           if (!caller->planned.HasBeenNotified()) caller->planned.Notify();
           if (!answer.ok()) return answer.status();
           return noise;
         },
         .request_id = node.RequestIdNow(),
         .done =
             [caller](absl::StatusOr<Committed> result) {
               caller->result = std::move(result);
               caller->answered.Notify();
             }});
    return caller;
  }

  HeldLog log;
  NodeBench node{&log};
  std::shared_ptr<Caller> first;
};

TEST(WriterTest, TheNextEntryIsPlannedWhileOneIsAppended) {
  HeldNode held;
  const auto second = held.Submit("second");
  const auto again = held.Submit("first");
  second->planned.WaitForNotification();
  again->planned.WaitForNotification();
  EXPECT_FALSE(held.first->answered.HasBeenNotified());
  EXPECT_FALSE(again->answered.HasBeenNotified()) << "rests on the first";
  held.log.Release(/*refuse=*/false);
  second->answered.WaitForNotification();
  again->answered.WaitForNotification();
  ASSERT_TRUE(held.first->result.ok()) << held.first->result.status();
  ASSERT_TRUE(second->result.ok()) << second->result.status();
  EXPECT_EQ(second->result->position.index.value(),
            held.first->result->position.index.value() + 1);
  EXPECT_TRUE(absl::IsAlreadyExists(again->result.status()));
}

TEST(WriterTest, WhatRestsOnARefusedEntryIsPlannedAnew) {
  HeldNode held;
  const auto second = held.Submit("second");
  const auto again = held.Submit("first");
  again->planned.WaitForNotification();
  held.log.Release(/*refuse=*/true);
  second->answered.WaitForNotification();
  again->answered.WaitForNotification();
  EXPECT_TRUE(absl::IsUnavailable(held.first->result.status()));
  ASSERT_TRUE(second->result.ok()) << second->result.status();
  ASSERT_TRUE(again->result.ok()) << again->result.status();
  EXPECT_EQ(held.node.replica->image()->SubClusters().size(), 2u);
  federation::Image replayed;
  ASSERT_TRUE(Replay(&held.log, &replayed, nullptr).ok());
  EXPECT_EQ(replayed.Hash(), held.node.replica->image()->Hash());
}

TEST(WriterTest, LargeCommandsDoNotShareAnEntry) {
  constexpr size_t kBytes = 300 * 1024;  // two are more than an entry takes
  HeldNode held;
  std::vector<std::shared_ptr<HeldNode::Caller>> callers;
  for (const auto& [name, bytes] :
       {std::pair("a", kBytes), std::pair("b", kBytes), std::pair("c", 0ul),
        std::pair("d", 3 * kBytes), std::pair("e", 0ul)}) {
    callers.push_back(held.Submit(name, bytes));
  }
  held.log.Release(/*refuse=*/false);
  std::vector<bool> taken;
  for (const auto& caller : callers) {
    caller->answered.WaitForNotification();
    taken.push_back(caller->result.ok());
  }
  EXPECT_THAT(taken, testing::ElementsAre(true, true, true, false, true));
  EXPECT_THAT(std::string(callers[3]->result.status().message()),
              HasSubstr("the limit is 524288"));
}

TEST(ReplicaTest, WaitsForAPosition) {
  NodeBench node;
  const Position next{1, LogIndex(2)};
  EXPECT_EQ(node.replica->WaitFor(next, milliseconds(1)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  std::thread waiter([&] {
    EXPECT_TRUE(node.replica->WaitFor(next, milliseconds(60'000)).ok());
  });
  ASSERT_TRUE(node.AddCluster("a").ok());
  waiter.join();
}

}  // namespace
}  // namespace kafed::controller
