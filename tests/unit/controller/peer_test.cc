// What nodes conclude from what they know of each other; no network in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "controller/peer/hash_history.h"
#include "controller/peer/log_trimmer.h"
#include "controller/peer/office.h"
#include "controller/write/tail_prover.h"
#include "federation/plan/planners.h"
#include "tests/unit/controller/node_bench.h"

namespace kafed::controller {
namespace {

constexpr milliseconds kLong{20'000};

v1::IndexHash Hash(uint64_t index, uint64_t value) {
  v1::IndexHash hash;
  hash.set_index(index);
  hash.set_low(value);
  hash.set_high(value + 1);
  return hash;
}

TEST(CompareHashesTest, OnlyPositionsThatBothHaveAreCompared) {
  const std::vector<v1::IndexHash> mine{Hash(3, 30), Hash(5, 50)};
  EXPECT_EQ(CompareHashes(mine, {}).index, 0u);
  EXPECT_EQ(CompareHashes(mine, {{Hash(4, 99)}, {}}).index, 0u);
  EXPECT_EQ(CompareHashes(mine, {{Hash(3, 30), Hash(5, 50)}}).index, 0u);
  EXPECT_EQ(CompareHashes(mine, {{Hash(3, 30), Hash(5, 51)}}).index, 5u);
}

TEST(CompareHashesTest, TheMinorityIsWhoFewerAgreeWith) {
  const std::vector<v1::IndexHash> mine{Hash(5, 50)};
  const std::vector<v1::IndexHash> same{Hash(5, 50)};
  const std::vector<v1::IndexHash> other{Hash(5, 51)};
  const std::vector<v1::IndexHash> third{Hash(5, 52)};
  EXPECT_TRUE(CompareHashes(mine, {other, other}).minority());
  EXPECT_FALSE(CompareHashes(mine, {same, other}).minority());
  EXPECT_EQ(CompareHashes(mine, {same, other}).index, 5u);
  // Nobody is outvoted where each is alone: none stops, all say so.
  EXPECT_FALSE(CompareHashes(mine, {other}).minority());
  EXPECT_FALSE(CompareHashes(mine, {other, third}).minority());
  EXPECT_TRUE(CompareHashes(mine, {same, other, other, other}).minority());
}

TEST(HashHistoryTest, KeepsTheNewestOfOneIncarnation) {
  NodeBench bench;
  HashHistory history;
  history.Add(*bench.replica->image());
  ASSERT_EQ(history.List().size(), 1u);
  EXPECT_EQ(history.List()[0].index(), 1u);
  EXPECT_EQ(history.List()[0].low(), bench.replica->image()->Hash().low);
}

TEST(HashHistoryTest, SaysWhichTablesDiffer) {
  NodeBench bench;
  HashHistory history;
  const auto image = bench.replica->image();
  history.Add(*image);
  v1::PeerStateResponse peer;
  *peer.mutable_position() = PositionOf(*image);
  for (int i = 0; i < federation::kTables; ++i) {
    const auto digest =
        image->table(static_cast<federation::Table>(i)).digest();
    v1::TableHash& hash = *peer.add_hashes();
    hash.set_table(static_cast<uint32_t>(i));
    hash.set_low(digest.low);
    hash.set_high(digest.high);
  }
  EXPECT_TRUE(history.TablesThatDiffer(peer).empty());
  const auto hosts = static_cast<int>(federation::Table::kHosts);
  peer.mutable_hashes(hosts)->set_low(peer.hashes(hosts).low() + 1);
  peer.add_hashes()->set_table(1'000);  // of a newer version
  EXPECT_THAT(
      history.TablesThatDiffer(peer),
      testing::ElementsAre(std::string(TableName(federation::Table::kHosts))));
  // At a position that this node does not know, nothing can be said.
  peer.mutable_position()->set_index(99);
  EXPECT_TRUE(history.TablesThatDiffer(peer).empty());
}

TEST(TrimBeforeTest, WhatAMajorityHoldsMayGo) {
  EXPECT_EQ(TrimBefore({}), 0u);
  EXPECT_EQ(TrimBefore({{10, 20}}), 11u);  // alone
  // Two of two, two of three, three of four.
  EXPECT_EQ(TrimBefore({{10, 20}, {0, 20}}), 0u);
  EXPECT_EQ(TrimBefore({{10, 20}, {7, 20}}), 8u);
  EXPECT_EQ(TrimBefore({{10, 20}, {7, 20}, {0, 20}}), 8u);
  EXPECT_EQ(TrimBefore({{10, 20}, {9, 20}, {7, 20}, {0, 20}}), 8u);
}

TEST(TrimBeforeTest, NoNodeThatAnswersLosesWhatItNeeds) {
  EXPECT_EQ(TrimBefore({{10, 20}, {9, 20}, {0, 4}}), 5u);
  // One that is away comes back with a peer's snapshot.
  EXPECT_EQ(TrimBefore({{10, 20}, {9, 20}, {0, std::nullopt}}), 10u);
}

TEST(TailProverTest, ProvesWhatWasTrueWhenItBegan) {
  NodeBench bench;
  absl::Mutex mutex;
  std::vector<std::pair<milliseconds, LogIndex>> proofs;
  const milliseconds begun = RealClock().Steady();
  {
    TailProver prover(bench.log, bench.replica.get(), &RealClock(),
                      milliseconds(5), [&](milliseconds at, LogIndex tail) {
                        absl::MutexLock lock(&mutex);
                        proofs.emplace_back(at, tail);
                      });
    absl::MutexLock lock(&mutex);
    const auto several = [&] { return proofs.size() >= 3; };
    ASSERT_TRUE(mutex.AwaitWithTimeout(absl::Condition(&several),
                                       absl::FromChrono(kLong)));
  }
  for (const auto& [at, tail] : proofs) {
    EXPECT_GE(at, begun);
    EXPECT_LE(at, RealClock().Steady());
    EXPECT_EQ(tail, LogIndex(1));
  }
  EXPECT_LT(proofs[0].first, proofs[2].first + milliseconds(1));
}

TEST(TailProverTest, AReplicaThatIsBehindProvesNothing) {
  NodeBench bench;
  // Another node writes; nobody brings this replica up.
  metastore::LogEntry entry;
  entry.id[0] = 1;
  entry.payload = "x";
  ASSERT_TRUE(bench.log->AppendAt(LogIndex(2), entry).ok());
  std::atomic<int> proofs{0};
  TailProver prover(bench.log, bench.replica.get(), &RealClock(),
                    milliseconds(5), [&](milliseconds, LogIndex) { ++proofs; });
  absl::SleepFor(absl::Milliseconds(200));
  EXPECT_EQ(proofs, 0);
}

// An office in memory.
class FakeElection : public metastore::Election {
 public:
  absl::StatusOr<std::string> Campaign(std::string_view candidate) override {
    absl::MutexLock lock(&mutex);
    if (!reachable) return absl::UnavailableError("no quorum");
    own = std::string(candidate);
    if (holder.empty()) holder = own;
    return holder;
  }
  absl::StatusOr<std::string> Holder() override {
    absl::MutexLock lock(&mutex);
    return holder;
  }
  absl::Status Resign() override {
    absl::MutexLock lock(&mutex);
    if (holder == own) holder.clear();
    return absl::OkStatus();
  }
  absl::Mutex mutex;
  std::string holder;
  std::string own;
  bool reachable = true;
};

bool Within(milliseconds time, const std::function<bool()>& met) {
  const milliseconds end = RealClock().Steady() + time;
  while (!met()) {
    if (RealClock().Steady() > end) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

TEST(OfficeHolderTest, TakesAVacantOfficeAndRecordsIt) {
  NodeBench bench;
  FakeElection election;
  OfficeHolder office(&election, 7, bench.replica.get(), bench.writer.get(),
                      milliseconds(5));
  ASSERT_TRUE(Within(kLong, [&] { return office.in_office(); }));
  EXPECT_EQ(federation::CoordinatorOf(*bench.replica->image()).node_id, 7u);
  EXPECT_EQ(federation::CoordinatorOf(*bench.replica->image()).epoch, 1u);
  office.Resign();
  EXPECT_FALSE(office.in_office());
  EXPECT_EQ(*election.Holder(), "");
}

TEST(OfficeHolderTest, IsNotInOfficeWhereItCannotKnow) {
  NodeBench bench;
  FakeElection election;
  OfficeHolder office(&election, 7, bench.replica.get(), bench.writer.get(),
                      milliseconds(5));
  ASSERT_TRUE(Within(kLong, [&] { return office.in_office(); }));
  {
    absl::MutexLock lock(&election.mutex);
    election.reachable = false;
  }
  ASSERT_TRUE(Within(kLong, [&] { return !office.in_office(); }));
  {
    absl::MutexLock lock(&election.mutex);
    election.reachable = true;
    election.holder = "8";  // its session was over meanwhile
  }
  absl::SleepFor(absl::Milliseconds(100));
  EXPECT_FALSE(office.in_office());
  EXPECT_EQ(federation::CoordinatorOf(*bench.replica->image()).epoch, 1u);
  office.Resign();
  EXPECT_EQ(*election.Holder(), "8");  // another one's
}

}  // namespace
}  // namespace kafed::controller
