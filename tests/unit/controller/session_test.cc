// Leases, fences and followers.
#include <gmock/gmock.h>

#include "controller/session/follow_session.h"
#include "federation/view/route_view.h"
#include "tests/unit/controller/node_bench.h"

namespace kafed::controller {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Position At(uint64_t index) { return {1, LogIndex(index)}; }

class LeaseTest : public testing::Test {
 protected:
  LeaseTest() {
    node_.clock.Advance(milliseconds(20'000));  // past what a start assumes
  }
  LeaseTable::Fence FenceNow(uint64_t index) {
    return node_.leases->MulticastFence(At(index), node_.clock.Steady());
  }
  NodeBench node_;
};

TEST_F(LeaseTest, AFenceWaitsForSessionsThatMayUseOlderRoutes) {
  node_.leases->Grant(1, At(5));
  node_.leases->Grant(2, At(9));
  EXPECT_THAT(FenceNow(9).sessions, ElementsAre(1));
  EXPECT_TRUE(FenceNow(5).complete());
  node_.leases->Acknowledge(1, At(9));
  EXPECT_TRUE(FenceNow(9).complete());
}

TEST_F(LeaseTest, ALeaseThatIsOverBlocksNobody) {
  node_.leases->Grant(1, At(5));
  node_.clock.Advance(node_.leases->options().multicast_ttl);
  EXPECT_TRUE(FenceNow(9).complete());
}

TEST_F(LeaseTest, WhoeverSetsTheWallClockEndsNoLeaseAndProlongsNone) {
  node_.leases->Grant(1, At(5));
  for (const milliseconds step :
       {milliseconds(3'600'000), milliseconds(-7'200'000)}) {
    node_.clock.StepWall(step);
    EXPECT_THAT(FenceNow(9).sessions, ElementsAre(1));
  }
  node_.clock.Advance(node_.leases->options().multicast_ttl);
  EXPECT_TRUE(FenceNow(9).complete());
}

TEST_F(LeaseTest, WhereOthersGiveLeasesAFenceWaitsForAllThatMayBeOut) {
  LeaseOptions options;
  options.shared_log = true;
  LeaseTable leases(options, &node_.clock, *node_.replica->image());
  const milliseconds committed_at = node_.clock.Steady();
  // This node gave none, but it can't speak for the others.
  EXPECT_FALSE(leases.MulticastFence(At(9), committed_at).complete());
  node_.clock.Advance(options.multicast_ttl - milliseconds(1));
  EXPECT_FALSE(leases.MulticastFence(At(9), committed_at).complete());
  node_.clock.Advance(milliseconds(1));
  EXPECT_TRUE(leases.MulticastFence(At(9), committed_at).complete());
}

TEST_F(LeaseTest, OnASharedLogALeaseBeginsWithTheLastProof) {
  LeaseOptions options;
  options.shared_log = true;
  LeaseTable leases(options, &node_.clock, *node_.replica->image());
  const milliseconds ttl{10'000};
  EXPECT_EQ(leases.Left(ttl, leases.ProvenAt()).count(), 0);  // none yet
  const milliseconds proven = node_.clock.Steady();
  leases.Proven(proven);
  leases.Proven(proven - milliseconds(500));  // an older one that came late
  node_.clock.Advance(milliseconds(3'000));
  EXPECT_EQ(leases.Left(ttl, leases.ProvenAt()).count(), 7'000);
  node_.clock.Advance(milliseconds(8'000));
  EXPECT_EQ(leases.Left(ttl, leases.ProvenAt()).count(), 0);
  // On a log of its own a node is always at the tail.
  EXPECT_EQ(node_.leases->Left(ttl, node_.leases->ProvenAt()), ttl);
}

TEST_F(LeaseTest, ASessionOfAnotherNodeExpiresATtlAfterItWasFirstSeen) {
  node_.leases->Watch(9);
  EXPECT_THAT(node_.leases->Expired(), IsEmpty());
  EXPECT_THAT(node_.leases->Unexpired(), ElementsAre(9));
  node_.clock.Advance(node_.leases->options().session_ttl - milliseconds(1));
  node_.leases->Watch(9);  // is known: counts on
  node_.clock.Advance(milliseconds(1));
  EXPECT_THAT(node_.leases->Expired(), ElementsAre(9));
  EXPECT_THAT(node_.leases->Unexpired(), IsEmpty());
}

TEST_F(LeaseTest, UnaryAnswersBlockUntilTheirTtlIsOver) {
  node_.leases->GrantUnary(milliseconds(10'000));
  EXPECT_FALSE(FenceNow(9).complete());
  EXPECT_THAT(FenceNow(9).sessions, IsEmpty());
  node_.clock.Advance(milliseconds(10'000));
  EXPECT_TRUE(FenceNow(9).complete());
}

TEST_F(LeaseTest, AStartCountsAllFormerLeasesAsJustGranted) {
  v1::OpenSessionRequest open;
  open.set_source(std::string(16, 's'));
  ASSERT_TRUE(
      node_.writer
          ->Run([&](federation::Draft* draft) -> absl::StatusOr<std::string> {
            auto answer = federation::PlanOpenSession(open, 1, 1, draft);
            return answer.ok() ? absl::StatusOr<std::string>("")
                               : answer.status();
          })
          .ok());
  LeaseTable restarted({}, &node_.clock, *node_.replica->image());
  const auto fence = restarted.MulticastFence(At(99), node_.clock.Steady());
  EXPECT_THAT(fence.sessions, ElementsAre(1));
  EXPECT_EQ(fence.remaining, milliseconds(10'000));
  EXPECT_THAT(restarted.Expired(), IsEmpty());
  node_.clock.Advance(restarted.options().session_ttl);
  EXPECT_THAT(restarted.Expired(), ElementsAre(1));
}

TEST_F(LeaseTest, AConnectedSessionDoesNotExpire) {
  node_.leases->Connected(4);
  node_.clock.Advance(node_.leases->options().session_ttl * 2);
  EXPECT_THAT(node_.leases->Expired(), IsEmpty());
  node_.leases->Disconnected(4);
  EXPECT_THAT(node_.leases->Expired(), IsEmpty());
  node_.clock.Advance(node_.leases->options().session_ttl);
  EXPECT_THAT(node_.leases->Expired(), ElementsAre(4));
}

TEST_F(LeaseTest, CountsOfNobodyAreNotKept) {
  node_.leases->KeepCounts(9, std::vector<v1::SegmentCount>(1));
  EXPECT_THAT(node_.leases->List(), IsEmpty());
  node_.leases->Acknowledge(9, {});
  node_.leases->KeepCounts(9, std::vector<v1::SegmentCount>(1));
  EXPECT_EQ(node_.leases->LastCounts(9).size(), 1u);
}

TEST_F(LeaseTest, ASessionThatNeverFollowedExpiresAfterItsTtl) {
  node_.leases->Acknowledge(9, {});  // as OpenSession does
  EXPECT_THAT(node_.leases->Expired(), IsEmpty());
  node_.clock.Advance(node_.leases->options().session_ttl);
  EXPECT_THAT(node_.leases->Expired(), ElementsAre(9));
}

class FollowTest : public testing::Test {
 protected:
  FollowTest() {
    EXPECT_TRUE(node_.AddCluster("a").ok());
    EXPECT_TRUE(node_.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
    EXPECT_TRUE(node_.AddHosts("h", 10).ok());
  }
  std::unique_ptr<FollowSession> NewSession() {
    return std::make_unique<FollowSession>(node_.replica.get(),
                                           node_.leases.get(), &node_.clock,
                                           milliseconds(15'000));
  }
  // Reads until there is nothing more; counts rows and keeps the last position.
  int Drain(FollowSession* session) {
    int rows = 0;
    v1::FollowResponse response;
    while (session->Next(&response)) {
      rows += response.rows_size();
      full_ = full_ || response.full();
      if (response.has_position()) position_ = response.position();
      if (response.lease_request() != 0) lease_ = response;
      for (const v1::Row& row : response.rows()) {
        EXPECT_TRUE(view_.Apply(row).ok());
      }
      response.Clear();
    }
    return rows;
  }
  uint64_t OpenSession(const std::string& source) {
    v1::OpenSessionRequest open;
    open.set_source(source);
    v1::OpenSessionResponse response;
    const auto committed = node_.writer->Run(
        [&](federation::Draft* draft) -> absl::StatusOr<std::string> {
          auto answer = federation::PlanOpenSession(open, 900'000, 1, draft);
          if (!answer.ok()) return answer.status();
          return answer->SerializeAsString();
        });
    EXPECT_TRUE(committed.ok());
    response.ParseFromString(committed->response);
    return response.session_id();
  }
  // A session that has a lease and has not acknowledged what came since.
  std::pair<v1::FollowRequest, std::unique_ptr<FollowSession>>
  LeasedAndBehind() {
    node_.clock.Advance(milliseconds(20'000));  // past what a start assumes
    v1::FollowRequest request;
    request.set_session_id(OpenSession(std::string(16, 'c')));
    request.set_client_time_ms(
        static_cast<uint64_t>(node_.clock.Wall().count()));
    request.set_lease_request(1);
    auto session = NewSession();
    EXPECT_TRUE(session->Receive(request).ok());
    Drain(session.get());
    EXPECT_TRUE(node_.AddHosts("n", 1).ok());
    return {request, std::move(session)};
  }
  NodeBench node_;
  federation::RouteView view_;
  v1::Position position_;
  v1::FollowResponse lease_;
  bool full_ = false;
};

TEST_F(FollowTest, SendsAllThenOnlyWhatChanged) {
  auto session = NewSession();
  ASSERT_TRUE(session->Receive({}).ok());
  EXPECT_GT(Drain(session.get()), 10);
  EXPECT_TRUE(full_);
  EXPECT_EQ(position_.index(), node_.replica->position().index.value());
  EXPECT_TRUE(view_.Route("nca/h3").ok());
  EXPECT_EQ(Drain(session.get()), 0);
  ASSERT_TRUE(node_.AddHosts("n", 3).ok());
  EXPECT_EQ(Drain(session.get()), 3);
  EXPECT_EQ(position_.index(), node_.replica->position().index.value());
}

TEST_F(FollowTest, AReconnectingFollowerGetsOnlyRowsChangedSince) {
  auto first = NewSession();
  ASSERT_TRUE(first->Receive({}).ok());
  Drain(first.get());
  ASSERT_TRUE(node_.AddHosts("n", 4).ok());
  v1::FollowRequest again;
  *again.mutable_position() = position_;
  full_ = false;
  auto second = NewSession();
  ASSERT_TRUE(second->Receive(again).ok());
  EXPECT_EQ(Drain(second.get()), 4);
  EXPECT_FALSE(full_);
}

TEST_F(FollowTest, WhatASlowFollowerMissedCoalesces) {
  auto session = NewSession();
  ASSERT_TRUE(session->Receive({}).ok());
  Drain(session.get());
  const auto add_and_remove = [&] {
    ASSERT_TRUE(node_.AddHosts("x", 1).ok());
    const std::vector<std::string> ids = {"x0"};
    ASSERT_TRUE(
        node_.writer
            ->Run([&](federation::Draft* draft) -> absl::StatusOr<std::string> {
              const auto removed =
                  federation::PlanRemoveHosts(ids, false, draft);
              if (!removed.ok()) return removed;
              return std::string();
            })
            .ok());
  };
  for (int i = 0; i < 50; ++i) add_and_remove();
  EXPECT_EQ(Drain(session.get()), 1);  // x0 is gone
}

TEST_F(FollowTest, ALeaseComesBehindTheRowsUpToTheTail) {
  v1::FollowRequest request;
  request.set_session_id(OpenSession(std::string(16, 'a')));
  request.set_client_time_ms(static_cast<uint64_t>(node_.clock.Wall().count()));
  request.set_lease_request(5);
  auto session = NewSession();
  ASSERT_TRUE(session->Receive(request).ok());
  Drain(session.get());
  EXPECT_EQ(lease_.lease_request(), 5u);
  EXPECT_EQ(lease_.multicast_lease_ms(), 10'000u);
  EXPECT_EQ(lease_.position().index(), node_.replica->position().index.value());
  node_.clock.Advance(milliseconds(11'000));  // what the start assumed is over
  ASSERT_TRUE(node_.AddHosts("n", 1).ok());
  EXPECT_TRUE(
      node_.leases
          ->MulticastFence(node_.replica->position(), node_.clock.Steady())
          .complete());
  request.set_lease_request(6);
  ASSERT_TRUE(session->Receive(request).ok());
  Drain(session.get());
  EXPECT_EQ(lease_.lease_request(), 6u);
  EXPECT_EQ(lease_.position().index(), node_.replica->position().index.value());
  ASSERT_TRUE(node_.AddHosts("m", 1).ok());
  EXPECT_FALSE(
      node_.leases
          ->MulticastFence(node_.replica->position(), node_.clock.Steady())
          .complete());
}

TEST_F(FollowTest, TakesNoAcknowledgementOfWhatItDidNotSend) {
  auto [request, session] = LeasedAndBehind();
  v1::FollowRequest ahead;
  *ahead.mutable_position() = position_;
  ahead.mutable_position()->set_index(1'000'000'000);
  const absl::Status refused = session->Receive(ahead);
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_THAT(
      node_.leases
          ->MulticastFence(node_.replica->position(), node_.clock.Steady())
          .sessions,
      ElementsAre(request.session_id()));
}

TEST_F(FollowTest, AViewOfAnotherIncarnationAcknowledgesNothing) {
  auto [request, session] = LeasedAndBehind();
  // The same counter and index, restored from another backup.
  *request.mutable_position() = PositionOf(*node_.replica->image());
  request.mutable_position()->set_nonce(~request.position().nonce());
  const auto waits_for = [&] {
    return node_.leases
        ->MulticastFence(node_.replica->position(), node_.clock.Steady())
        .sessions;
  };
  ASSERT_TRUE(NewSession()->Receive(request).ok());
  EXPECT_THAT(waits_for(), ElementsAre(request.session_id()));
  *request.mutable_position() = PositionOf(*node_.replica->image());
  ASSERT_TRUE(NewSession()->Receive(request).ok());
  EXPECT_THAT(waits_for(), IsEmpty());
}

TEST_F(FollowTest, RefusesWhatItCanNotServe) {
  v1::FollowRequest ahead;
  ahead.mutable_position()->set_incarnation(1);
  ahead.mutable_position()->set_index(99'999);
  EXPECT_EQ(NewSession()->Receive(ahead).code(),
            absl::StatusCode::kUnavailable);
  v1::FollowRequest unknown;
  unknown.set_session_id(77);
  EXPECT_EQ(NewSession()->Receive(unknown).code(), absl::StatusCode::kNotFound);
  v1::FollowRequest skewed;
  skewed.set_session_id(OpenSession(std::string(16, 'b')));
  skewed.set_client_time_ms(5);
  EXPECT_EQ(NewSession()->Receive(skewed).code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace kafed::controller
