// The mirror over several nodes: fail-over, discovery, the own region, and
// sessions that outlive the node they were opened at.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "client/mirror.h"
#include "tests/unit/client/fake_node.h"

namespace kafed::client {
namespace {

using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr milliseconds kPatience{30'000};
// Longer than a test may take: whoever pauses is found out.
constexpr milliseconds kForEver{3'600'000};

Position At(uint64_t index) { return {1, LogIndex(index)}; }

std::vector<v1::Row> Basics() {
  return {SubClusterRowOf(1, "a", "localhost:1"),
          TopicRowOf(1, "nca", v1::TOPIC_KIND_UNICAST),
          KafkaTopicRowOf(1, 1, "nca.g1.0"), PartitionRowOf(1, 0, 1, 1, 0),
          KeyRowOf(1, "host-1", {0})};
}

class MirrorNodesTest : public ::testing::Test {
 protected:
  MirrorNodesTest() {
    a_->Apply(Basics());
    b_->Apply(Basics());
    options_.nodes = {"a:1"};
    options_.connector = ConnectorOf({{"a:1", a_}, {"b:1", b_}});
    options_.backoff_min = options_.backoff_max = kForEver;
  }
  // Through a:1, and knowing both.
  void FollowA() {
    a_->SetNodes(NodesOf(1, {{"a:1", "us"}, {"b:1", "eu"}}));
    auto mirror = Mirror::Create(options_);
    ASSERT_TRUE(mirror.ok()) << mirror.status();
    mirror_ = *std::move(mirror);
    ASSERT_TRUE(mirror_->WaitReady(kPatience).ok());
  }

  std::shared_ptr<FakeNode> a_ = FakeNode::Create();
  std::shared_ptr<FakeNode> b_ = FakeNode::Create();
  MirrorOptions options_;
  std::unique_ptr<Mirror> mirror_;
};

TEST_F(MirrorNodesTest, StartsAtWhicheverAnswersWithoutAPause) {
  options_.nodes = {"nobody:1", "nobody:2", "b:1", "nobody:3"};
  auto mirror = Mirror::Create(options_);
  EXPECT_TRUE((*mirror)->WaitReady(kPatience).ok());
}

TEST_F(MirrorNodesTest, AnEmptyAddressIsNone) {
  options_.nodes = {""};
  const absl::Status status = Mirror::Create(options_).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), StartsWith("nodes: none given"));
}

TEST_F(MirrorNodesTest, PausesWhenAllWereTried) {
  options_.nodes = {"nobody:1", "nobody:2"};
  std::atomic<int> attempts{0};
  options_.connector = [&, inner = options_.connector](const std::string& at) {
    ++attempts;
    return inner(at);
  };
  auto mirror = Mirror::Create(options_);
  EXPECT_TRUE(
      absl::IsDeadlineExceeded((*mirror)->WaitReady(milliseconds(200))));
  EXPECT_EQ(attempts, 2);
}

TEST_F(MirrorNodesTest, GoesOnWithANodeThatTheFirstNamed) {
  options_.nodes_interval = milliseconds(1);
  FollowA();
  // Asked again: the first answer is known.
  ASSERT_TRUE(a_->WaitNodesAsked(2));
  b_->Apply({KeyRowOf(1, "host-2", {0})});
  a_->SetUp(false);
  ASSERT_TRUE(mirror_->WaitFor(At(2), kPatience).ok());
  EXPECT_TRUE(mirror_->view()->Route("nca/host-2").ok());
  // Only what changed.
  EXPECT_EQ(b_->first_requests()[0].position().index(), 1u);
  EXPECT_EQ(b_->rows_sent(), 1u);
  // The new one is asked, too.
  EXPECT_TRUE(b_->WaitNodesAsked(1));
}

TEST_F(MirrorNodesTest, NeverGoesBackOverNodes) {
  options_.nodes = {"a:1", "b:1"};
  options_.backoff_min = options_.backoff_max = milliseconds(1);
  b_->SetUp(false);
  a_->Apply({KeyRowOf(1, "host-2", {0})});
  FollowA();
  ASSERT_TRUE(mirror_->WaitFor(At(2), kPatience).ok());
  std::atomic<bool> went_back{false};
  mirror_->AddListener([&](const ViewPointer& view) {
    if (view->position() < At(2)) went_back = true;
  });
  b_->SetUp(true);
  a_->SetUp(false);
  // Behind: refused, and asked again until it has caught up.
  while (b_->first_requests().size() < 2) {
    ASSERT_EQ(mirror_->position(), At(2));
  }
  b_->Apply({});
  b_->Apply({KeyRowOf(1, "host-3", {0})});
  ASSERT_TRUE(mirror_->WaitFor(At(3), kPatience).ok());
  EXPECT_FALSE(went_back);
}

TEST_F(MirrorNodesTest, MovesToANodeOfItsRegion) {
  options_.region = "eu";
  FollowA();
  // a:1 is up, and is left all the same.
  EXPECT_TRUE(b_->WaitStreams(1));
  EXPECT_TRUE(a_->WaitStreams(0));
}

TEST_F(MirrorNodesTest, AsksForNodesAgainAndAgain) {
  options_.nodes_interval = milliseconds(1);
  FollowA();
  EXPECT_TRUE(a_->WaitNodesAsked(3));
  EXPECT_EQ(a_->first_requests().size(), 1u);
}

TEST_F(MirrorNodesTest, LeavesANodeThatHangs) {
  options_.nodes_interval = milliseconds(1);
  FollowA();
  ASSERT_TRUE(a_->WaitNodesAsked(2));
  // Its stream stays, silent.
  a_->SetNodes(absl::DeadlineExceededError("silent"));
  EXPECT_TRUE(b_->WaitStreams(1));
}

// A session on two nodes of one log.
class MirrorSessionTest : public MirrorNodesTest {
 protected:
  void Start() {
    options_.nodes = {"a:1", "b:1"};
    options_.backoff_min = options_.backoff_max = milliseconds(1);
    b_->SetUp(false);
    SessionSpec session;
    session.source[0] = 7;
    source_ = std::string(AsBytes(session.source));
    session.opened = [this](const v1::OpenSessionResponse&) { ++opened_; };
    auto mirror = Mirror::CreateSession(options_, std::move(session),
                                        [](const ViewPointer&) {});
    ASSERT_TRUE(mirror.ok()) << mirror.status();
    mirror_ = *std::move(mirror);
    ASSERT_TRUE(mirror_->WaitLeased(kPatience).ok());
  }
  void MoveToB() {
    b_->SetUp(true);
    a_->SetUp(false);
    b_->Apply({});
    ASSERT_TRUE(b_->WaitAcknowledged(2));
  }

  std::string source_;
  std::atomic<int> opened_{0};
};

TEST_F(MirrorSessionTest, GoesOnAtAnotherNodeAndClosesThere) {
  Start();
  b_->AddSession(1, source_);
  const LeaseState before = mirror_->lease();
  MoveToB();
  EXPECT_GE(mirror_->lease().session_until, before.session_until);
  EXPECT_EQ(mirror_->session_id(), 1u);
  EXPECT_EQ(opened_, 1);
  mirror_->Stop();
  EXPECT_THAT(b_->closed(), SizeIs(1));
}

TEST_F(MirrorSessionTest, LeavesANodeThatGrantsNoLeases) {
  a_->SetLeases(milliseconds(900'000), milliseconds(300));
  Start();
  b_->AddSession(1, source_);
  b_->Apply({});
  b_->SetUp(true);
  const milliseconds begun = RealClock().Steady();
  a_->AnswerLeases(false);
  ASSERT_TRUE(b_->WaitAcknowledged(2));
  // Long before a node is given up that is the only one.
  EXPECT_LT(RealClock().Steady() - begun, milliseconds(5'000));
  EXPECT_TRUE(a_->WaitStreams(0));
  EXPECT_EQ(opened_, 1);
}

TEST_F(MirrorSessionTest, ANodeThatHasNotHeardOfItYetGivesTheSameSession) {
  Start();
  b_->AddSession(1, source_, FakeNode::Heard::kWhenOpened);
  MoveToB();
  ASSERT_TRUE(mirror_->WaitLeased(kPatience).ok());
  EXPECT_EQ(mirror_->session_id(), 1u);
  // Its counts go on.
  EXPECT_EQ(opened_, 1);
}

TEST_F(MirrorSessionTest, ASessionThatIsOverIsFollowedByANewOne) {
  Start();
  b_->AddSession(5, "another producer");
  MoveToB();
  EXPECT_EQ(mirror_->session_id(), 6u);
  EXPECT_EQ(opened_, 2);
}

}  // namespace
}  // namespace kafed::client
