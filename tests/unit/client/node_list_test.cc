// Which node is asked next: rounds, regions, and what nodes say of others.
#include "client/node_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/unit/client/fake_node.h"

namespace kafed::client {
namespace {

using ::testing::Contains;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// Enough that a wrong order would show.
constexpr int kTimes = 40;

// What one round says, from where the list is until all were asked.
std::vector<std::string> Round(NodeList* nodes) {
  std::vector<std::string> round;
  do {
    round.push_back(nodes->Next());
  } while (!nodes->AllAsked() && round.size() < 100);
  return round;
}

TEST(NodeList, AsksEachNodeOnceInARound) {
  FakeClock clock;
  NodeList nodes({"a:1", "b:1", "c:1", "a:1", ""}, "", &clock);
  EXPECT_EQ(nodes.size(), 3u);
  std::set<std::string> first;
  for (int i = 0; i < kTimes; ++i) {
    const std::vector<std::string> round = Round(&nodes);
    EXPECT_THAT(round, UnorderedElementsAre("a:1", "b:1", "c:1"));
    EXPECT_EQ(nodes.current(), round.back());
    first.insert(round.front());
  }
  // In random order: clients spread over the nodes.
  EXPECT_EQ(first.size(), 3u);
}

TEST(NodeList, AfterAnAnswerTheOthersComeFirst) {
  FakeClock clock;
  NodeList nodes({"a:1", "b:1", "c:1"}, "", &clock);
  for (int i = 0; i < kTimes; ++i) {
    const std::string served = nodes.Next();
    nodes.Answered();
    const std::vector<std::string> round = Round(&nodes);
    EXPECT_EQ(round.size(), 2u);
    EXPECT_THAT(round, Not(Contains(served)));
    nodes.Answered();
    while (!nodes.AllAsked()) nodes.Next();
  }
}

TEST(NodeList, TheOnlyNodeIsAskedAgainAfterAPause) {
  FakeClock clock;
  NodeList nodes({"a:1"}, "eu", &clock);
  EXPECT_FALSE(nodes.AllAsked());
  EXPECT_EQ(nodes.Next(), "a:1");
  EXPECT_TRUE(nodes.AllAsked());
  nodes.Answered();
  EXPECT_TRUE(nodes.AllAsked());
  EXPECT_EQ(nodes.Next(), "a:1");
}

TEST(NodeList, NodesOfTheOwnRegionComeFirst) {
  FakeClock clock;
  NodeList nodes({"a:1", "b:1", "c:1", "d:1"}, "eu", &clock);
  nodes.Learn(
      NodesOf(1, {{"a:1", "us"}, {"b:1", "eu"}, {"c:1", "eu"}, {"d:1", ""}}));
  for (int i = 0; i < kTimes; ++i) {
    const std::vector<std::string> round = Round(&nodes);
    ASSERT_EQ(round.size(), 4u);
    EXPECT_THAT((std::vector<std::string>{round[0], round[1]}),
                UnorderedElementsAre("b:1", "c:1"));
  }
}

TEST(NodeList, LearnsAndForgetsOthersButKeepsWhatWasConfigured) {
  FakeClock clock;
  NodeList nodes({"a:1"}, "", &clock);
  nodes.Next();
  nodes.Learn(NodesOf(5, {{"b:1", ""}, {"", "eu"}, {"c:1", ""}, {"b:1", ""}}));
  EXPECT_EQ(nodes.size(), 3u);
  EXPECT_FALSE(nodes.AllAsked());
  // The others in this round, before a:1 again.
  EXPECT_THAT(Round(&nodes), UnorderedElementsAre("b:1", "c:1"));
  nodes.Learn(NodesOf(6, {{"c:1", ""}}));
  EXPECT_EQ(nodes.size(), 2u);
  // An older answer, of a node that is behind, changes nothing.
  nodes.Learn(NodesOf(5, {{"b:1", ""}}));
  EXPECT_THAT(Round(&nodes), UnorderedElementsAre("a:1", "c:1"));
  nodes.Learn(NodesOf(7, {}));
  EXPECT_THAT(Round(&nodes), UnorderedElementsAre("a:1"));
}

TEST(NodeList, GoesHomeOnceInAWhile) {
  FakeClock clock;
  NodeList nodes({"a:1"}, "eu", &clock);
  EXPECT_EQ(nodes.Next(), "a:1");
  EXPECT_FALSE(nodes.ShouldGoHome());
  nodes.Learn(NodesOf(1, {{"a:1", "us"}, {"b:1", "eu"}, {"c:1", "us"}}));
  EXPECT_TRUE(nodes.ShouldGoHome());
  EXPECT_EQ(nodes.Next(), "b:1");
  // It is down: elsewhere, without another attempt for a while.
  EXPECT_EQ(nodes.Next(), "c:1");
  EXPECT_FALSE(nodes.ShouldGoHome());
  clock.Advance(NodeList::kHomeInterval - milliseconds(1));
  EXPECT_FALSE(nodes.ShouldGoHome());
  clock.Advance(milliseconds(1));
  EXPECT_TRUE(nodes.ShouldGoHome());
  EXPECT_EQ(nodes.Next(), "b:1");
  clock.Advance(NodeList::kHomeInterval);
  EXPECT_FALSE(nodes.ShouldGoHome());
}

TEST(NodeList, WithoutARegionEveryNodeIsHome) {
  FakeClock clock;
  NodeList nodes({"a:1"}, "", &clock);
  nodes.Next();
  nodes.Learn(NodesOf(1, {{"b:1", ""}, {"c:1", "eu"}}));
  EXPECT_FALSE(nodes.ShouldGoHome());
}

}  // namespace
}  // namespace kafed::client
