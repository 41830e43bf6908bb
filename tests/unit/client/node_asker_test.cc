// The asker: the next node after a failure, and others than were configured.
#include "client/node_asker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/client/fake_node.h"

namespace kafed::client {
namespace {

using ::testing::HasSubstr;

class NodeAskerTest : public ::testing::Test {
 protected:
  NodeAskerTest() {
    for (const auto& node : {a_, b_}) {
      node->SetSubscriptions("h1", v1::SubscriptionsResponse());
    }
    options_.nodes = {"a:1"};
    options_.clock = &clock_;
    request_.set_host("h1");
  }
  NodeAsker Asker() {
    return {options_, ConnectorOf({{"a:1", a_}, {"b:1", b_}})};
  }
  static constexpr milliseconds kPause{50};

  FakeClock clock_;
  std::shared_ptr<FakeNode> a_ = FakeNode::Create();
  std::shared_ptr<FakeNode> b_ = FakeNode::Create();
  SubscriberOptions options_;
  v1::SubscriptionsRequest request_;
  Backoff backoff_{kPause, kPause};
};

TEST_F(NodeAskerTest, GoesOnWithANodeThatAnotherNamed) {
  a_->SetNodes(NodesOf(1, {{"a:1", ""}, {"b:1", ""}}));
  v1::SubscriptionsResponse answer;
  answer.mutable_position()->set_index(7);
  a_->SetSubscriptions("h1", answer);
  NodeAsker asker = Asker();
  EXPECT_TRUE(asker.Subscriptions(request_).ok());
  a_->SetUp(false);
  const absl::Status down = asker.Subscriptions(request_).status();
  EXPECT_THAT(std::string(down.message()), HasSubstr("a:1: "));
  // At once, and never from before the last answer.
  EXPECT_EQ(asker.PauseOf(&backoff_), milliseconds(0));
  EXPECT_TRUE(asker.Subscriptions(request_).ok());
  ASSERT_EQ(b_->subscription_requests().size(), 1u);
  EXPECT_EQ(b_->subscription_requests()[0].min_position().index(), 7u);
}

TEST_F(NodeAskerTest, PausesWhenAllAreDown) {
  options_.nodes = {"a:1", "b:1"};
  a_->SetUp(false);
  b_->SetUp(false);
  NodeAsker asker = Asker();
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(asker.Subscriptions(request_).ok());
    EXPECT_EQ(asker.PauseOf(&backoff_), milliseconds(0));
    EXPECT_FALSE(asker.Subscriptions(request_).ok());
    EXPECT_GE(asker.PauseOf(&backoff_), kPause / 2);
  }
}

TEST_F(NodeAskerTest, AsksForNodesWithEachConnectionAndOnceInAWhile) {
  NodeAsker asker = Asker();
  EXPECT_TRUE(asker.Subscriptions(request_).ok());
  EXPECT_TRUE(asker.Subscriptions(request_).ok());
  EXPECT_EQ(a_->nodes_asked(), 1u);
  clock_.Advance(options_.nodes_interval);
  EXPECT_TRUE(asker.Subscriptions(request_).ok());
  EXPECT_EQ(a_->nodes_asked(), 2u);
  a_->SetUp(false);
  EXPECT_FALSE(asker.Subscriptions(request_).ok());
  a_->SetUp(true);
  EXPECT_TRUE(asker.Subscriptions(request_).ok());
  EXPECT_EQ(a_->nodes_asked(), 3u);
}

TEST_F(NodeAskerTest, MovesToANodeOfItsRegion) {
  options_.region = "eu";
  a_->SetNodes(NodesOf(1, {{"a:1", "us"}, {"b:1", "eu"}}));
  NodeAsker asker = Asker();
  EXPECT_TRUE(asker.Subscriptions(request_).ok());
  EXPECT_TRUE(asker.Subscriptions(request_).ok());
  EXPECT_EQ(a_->subscription_requests().size(), 1u);
  EXPECT_EQ(b_->subscription_requests().size(), 1u);
}

}  // namespace
}  // namespace kafed::client
