// The mirror's views and positions, sessions and leases, against a fake node.
#include "client/mirror.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "client/view_snapshot.h"
#include "tests/unit/client/fake_node.h"

namespace kafed::client {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr milliseconds kPatience{30'000};

std::vector<v1::Row> Basics() {
  return {SubClusterRowOf(1, "a", "localhost:1"),
          TopicRowOf(1, "nca", v1::TOPIC_KIND_UNICAST),
          KafkaTopicRowOf(1, 1, "nca.g1.0"), PartitionRowOf(1, 0, 1, 1, 0),
          KeyRowOf(1, "host-1", {0})};
}

MirrorOptions OptionsOf(const std::shared_ptr<FakeNode>& node) {
  MirrorOptions options;
  options.nodes = {"fake:1"};
  options.connector = node->connector();
  options.backoff_min = options.backoff_max = milliseconds(1);
  return options;
}

Position At(uint64_t index) { return {1, LogIndex(index)}; }

v1::FollowResponse Response(uint64_t index, std::vector<v1::Row> rows,
                            bool full = false) {
  v1::FollowResponse response;
  for (v1::Row& row : rows) *response.add_rows() = std::move(row);
  response.set_full(full);
  if (index != 0) {
    response.mutable_position()->set_incarnation(1);
    response.mutable_position()->set_index(index);
  }
  return response;
}

TEST(ViewState, PublishesOnlyWholeBatches) {
  ViewState state;
  EXPECT_FALSE(*state.Apply(Response(0, Basics(), true)));
  EXPECT_FALSE(state.ready());
  EXPECT_TRUE(*state.Apply(Response(3, {KeyRowOf(1, "host-2", {0})})));
  EXPECT_EQ(state.current()->position(), At(3));
  EXPECT_TRUE(state.current()->view.Route("nca/host-1").ok());
  EXPECT_TRUE(state.current()->view.Route("nca/host-2").ok());
  // A full view replaces the old one only at its end.
  EXPECT_FALSE(*state.Apply(Response(0, Basics(), true)));
  EXPECT_TRUE(state.current()->view.Route("nca/host-2").ok());
  EXPECT_TRUE(*state.Apply(Response(4, {})));
  EXPECT_FALSE(state.current()->view.Route("nca/host-2").ok());
}

TEST(ViewState, DropsAnUnfinishedBatchWhenAStreamBegins) {
  ViewState state;
  EXPECT_FALSE(state.Begin().has_value());
  EXPECT_TRUE(*state.Apply(Response(3, Basics(), true)));
  EXPECT_FALSE(*state.Apply(Response(0, {KeyRowOf(1, "host-2", {0})})));
  EXPECT_EQ(state.Begin()->index(), 3);
  EXPECT_TRUE(*state.Apply(Response(4, {})));
  EXPECT_FALSE(state.current()->view.Route("nca/host-2").ok());
}

TEST(ViewState, RefusesAnOlderPosition) {
  ViewState state;
  EXPECT_TRUE(*state.Apply(Response(5, Basics(), true)));
  const auto older = state.Apply(Response(4, {}, true));
  EXPECT_TRUE(absl::IsFailedPrecondition(older.status()));
  EXPECT_EQ(state.current()->position(), At(5));
  EXPECT_TRUE(state.current()->view.Route("nca/host-1").ok());
}

TEST(Mirror, FollowsAndReceivesOnlyChangesAfterAReconnect) {
  auto node = FakeNode::Create();
  node->Apply(Basics());
  auto mirror = Mirror::Create(OptionsOf(node));
  ASSERT_TRUE(mirror.ok()) << mirror.status();
  ASSERT_TRUE((*mirror)->WaitReady(kPatience).ok());
  EXPECT_EQ((*mirror)->position(), At(1));
  const size_t before = node->rows_sent();
  node->SetUp(false);
  ASSERT_TRUE(node->WaitStreams(0));
  node->Apply({KeyRowOf(1, "host-2", {0})});
  EXPECT_TRUE((*mirror)->view()->Route("nca/host-1").ok());
  node->SetUp(true);
  ASSERT_TRUE((*mirror)->WaitFor(At(2), kPatience).ok());
  EXPECT_TRUE((*mirror)->view()->Route("nca/host-2").ok());
  EXPECT_EQ(node->rows_sent() - before, 1u);
  EXPECT_EQ(node->first_requests().back().position().index(), 1u);
}

// How many connections a mirror of these nodes makes for three attempts.
int ConnectionsOfThreeAttempts(std::vector<std::string> nodes) {
  const auto node = FakeNode::Create();
  node->Apply(Basics());
  std::atomic<int> made{0};
  MirrorOptions options = OptionsOf(node);
  options.nodes = std::move(nodes);
  options.connector = [&, inner = options.connector](const std::string& at) {
    ++made;
    return inner(at);
  };
  auto mirror = Mirror::Create(options);
  EXPECT_TRUE(mirror.ok()) << mirror.status();
  for (int again = 0; again < 2; ++again) {
    EXPECT_TRUE(node->WaitStreams(1));
    node->SetUp(false);
    EXPECT_TRUE(node->WaitStreams(0));
    node->SetUp(true);
  }
  EXPECT_TRUE(node->WaitStreams(1));
  return made;
}

TEST(Mirror, KeepsTheConnectionToTheOnlyNode) {
  EXPECT_EQ(ConnectionsOfThreeAttempts({"fake:1"}), 1);
  EXPECT_GE(ConnectionsOfThreeAttempts({"fake:1", "fake:2"}), 3);
}

TEST(Mirror, StaysAtItsPositionWhileTheNodeIsBehind) {
  auto node = FakeNode::Create();
  node->Apply(Basics());
  node->Apply({KeyRowOf(1, "host-2", {0})});
  auto mirror = Mirror::Create(OptionsOf(node));
  ASSERT_TRUE((*mirror)->WaitFor(At(2), kPatience).ok());
  node->SetUp(false);
  ASSERT_TRUE(node->WaitStreams(0));
  node->Restart(1, Basics());
  node->SetUp(true);
  const absl::Status late = (*mirror)->WaitFor(At(3), milliseconds(50));
  EXPECT_TRUE(absl::IsDeadlineExceeded(late));
  EXPECT_EQ((*mirror)->position(), At(2));
  node->Apply({});
  node->Apply({KeyRowOf(1, "host-3", {0})});
  EXPECT_TRUE((*mirror)->WaitFor(At(3), kPatience).ok());
}

TEST(Mirror, StartsFromItsOwnSnapshotWithoutAnyNode) {
  const std::string path =
      std::filesystem::temp_directory_path() /
      ("kafed-mirror-" + std::to_string(getpid()) + ".snapshot");
  auto node = FakeNode::Create();
  node->Apply(Basics());
  {
    auto mirror = Mirror::Create(OptionsOf(node));
    ASSERT_TRUE((*mirror)->WaitReady(kPatience).ok());
    ASSERT_TRUE((*mirror)->SaveSnapshot(path).ok());
  }
  MirrorOptions cold;
  cold.snapshot_path = path;
  auto mirror = Mirror::Create(cold);
  ASSERT_TRUE(mirror.ok()) << mirror.status();
  EXPECT_EQ((*mirror)->position(), At(1));
  EXPECT_TRUE((*mirror)->view()->Route("nca/host-1").ok());
  // With a node it goes on from there.
  node->Apply({KeyRowOf(1, "host-2", {0})});
  const size_t before = node->rows_sent();
  MirrorOptions warm = OptionsOf(node);
  warm.snapshot_path = path;
  auto following = Mirror::Create(warm);
  ASSERT_TRUE((*following)->WaitFor(At(2), kPatience).ok());
  EXPECT_EQ(node->rows_sent() - before, 1u);
  std::filesystem::remove(path);
  EXPECT_TRUE(absl::IsNotFound(Mirror::Create(cold).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Mirror::Create({}).status()));
}

TEST(Mirror, AcknowledgesAfterItsListenersAndClosesItsSession) {
  auto node = FakeNode::Create();
  node->Apply(Basics());
  std::atomic<uint64_t> listened{0};
  SessionSpec session;
  session.counts = [] {
    v1::SegmentCount count;
    count.set_acknowledged(5);
    return std::vector<v1::SegmentCount>{count};
  };
  auto mirror = Mirror::CreateSession(
      OptionsOf(node), session, [&](const ViewPointer& view) {
        listened = view->position().index.value();
      });
  ASSERT_TRUE((*mirror)->WaitLeased(kPatience).ok());
  node->Apply({});
  ASSERT_TRUE(node->WaitAcknowledged(2));
  EXPECT_EQ(listened, 2u);
  EXPECT_EQ((*mirror)->session_id(), 1u);
  (*mirror)->Stop();
  ASSERT_THAT(node->closed(), SizeIs(1));
  EXPECT_EQ(node->closed()[0].counts(0).acknowledged(), 5u);
}

TEST(Mirror, OpensANewSessionWhenTheNodeForgotIt) {
  auto node = FakeNode::Create();
  node->Apply(Basics());
  auto mirror = Mirror::CreateSession(OptionsOf(node), SessionSpec(),
                                      [](const ViewPointer&) {});
  ASSERT_TRUE((*mirror)->WaitLeased(kPatience).ok());
  node->ForgetSessions();
  node->SetUp(false);
  ASSERT_TRUE(node->WaitStreams(0));
  node->Apply({});
  node->SetUp(true);
  ASSERT_TRUE(node->WaitAcknowledged(2));
  EXPECT_EQ(node->sessions_opened(), 2u);
  EXPECT_EQ((*mirror)->session_id(), 2u);
}

TEST(Mirror, SaysWhyItIsNotLeased) {
  auto node = FakeNode::Create();
  node->Apply(Basics());
  node->AnswerLeases(false);
  auto mirror = Mirror::CreateSession(OptionsOf(node), SessionSpec(),
                                      [](const ViewPointer&) {});
  const absl::Status status = (*mirror)->WaitLeased(milliseconds(20));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("no lease"));
}

TEST(LeaseKeeper, CountsFromWhenTheRequestWasSent) {
  FakeClock clock;
  LeaseKeeper keeper(&clock);
  const uint64_t first = keeper.Sent();
  const milliseconds sent = clock.Steady();
  clock.Advance(milliseconds(400));
  EXPECT_EQ(keeper.Waiting(), milliseconds(400));
  keeper.Granted(first, milliseconds(9'000), milliseconds(3'000));
  EXPECT_EQ(keeper.state().session_until, sent + milliseconds(9'000));
  EXPECT_EQ(keeper.state().multicast_until, sent + milliseconds(3'000));
  EXPECT_EQ(keeper.interval(), milliseconds(1'000));
  EXPECT_EQ(keeper.Waiting(), milliseconds(0));
}

TEST(LeaseKeeper, WhoeverSetsTheWallClockEndsNoLeaseAndProlongsNone) {
  FakeClock clock;
  LeaseKeeper keeper(&clock);
  keeper.Granted(keeper.Sent(), milliseconds(9'000), milliseconds(3'000));
  const milliseconds until = keeper.state().session_until;
  EXPECT_EQ(until, clock.Steady() + milliseconds(9'000));
  clock.StepWall(milliseconds(3'600'000));
  keeper.Granted(keeper.Sent(), milliseconds(9'000), milliseconds(3'000));
  EXPECT_EQ(keeper.state().session_until, until);
  clock.StepWall(milliseconds(-7'200'000));
  EXPECT_EQ(keeper.state().session_until - clock.Steady(), milliseconds(9'000));
}

TEST(LeaseKeeper, DoesNotHurryForTheRestOfALease) {
  FakeClock clock;
  LeaseKeeper keeper(&clock);
  keeper.Granted(keeper.Sent(), milliseconds(9'000), milliseconds(2));
  EXPECT_EQ(keeper.interval(), LeaseKeeper::kLeastInterval);
}

TEST(LeaseKeeper, GrantsNothingForRequestsItDidNotSend) {
  FakeClock clock;
  LeaseKeeper keeper(&clock);
  keeper.Granted(1, milliseconds(9'000), milliseconds(3'000));
  EXPECT_EQ(keeper.state().session_until, milliseconds(0));
  const uint64_t lost = keeper.Sent();
  keeper.Disconnected();
  keeper.Granted(lost, milliseconds(9'000), milliseconds(3'000));
  EXPECT_EQ(keeper.state().session_until, milliseconds(0));
}

TEST(LeaseKeeper, AnAnswerSettlesTheRequestsBefore) {
  FakeClock clock;
  LeaseKeeper keeper(&clock);
  const uint64_t first = keeper.Sent();
  clock.Advance(milliseconds(1'000));
  const uint64_t second = keeper.Sent();
  keeper.Granted(second, milliseconds(5'000), milliseconds(5'000));
  const LeaseState granted = keeper.state();
  keeper.Granted(first, milliseconds(5'000), milliseconds(5'000));
  EXPECT_EQ(keeper.state().session_until, granted.session_until);
  keeper.Reset();
  EXPECT_EQ(keeper.state().session_until, milliseconds(0));
}

}  // namespace
}  // namespace kafed::client
