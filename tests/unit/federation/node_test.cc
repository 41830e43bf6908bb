// Nodes: who there is, who is in office, what all of them understand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/federation/lab.h"

namespace kafed::federation {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

NodeRow Row(const std::string& address, uint32_t level = kFeatureLevel) {
  return {address, level, "1.0", "eu"};
}

class NodeTest : public ::testing::Test {
 protected:
  void Register(uint64_t id, const NodeRow& row) {
    const absl::Status done = lab_.Commit([&](Draft* draft) {
      PlanRegisterNode(id, row, draft);
      return absl::OkStatus();
    });
    ASSERT_TRUE(done.ok()) << done;
  }
  absl::Status Remove(uint64_t id) {
    return lab_.Commit([&](Draft* draft) {
      v1::RemoveNodeRequest request;
      request.set_node_id(id);
      return PlanRemoveNode(request, draft).status();
    });
  }
  void Elect(uint64_t id) {
    ASSERT_TRUE(lab_.Commit([&](Draft* draft) {
                      PlanElectCoordinator(id, draft);
                      return absl::OkStatus();
                    })
                    .ok());
  }
  absl::StatusOr<std::string> Finish() {
    std::string summary;
    const absl::Status done = lab_.Commit([&](Draft* draft) {
      const auto answer = PlanFinishUpgrade({}, draft);
      if (answer.ok()) summary = answer->summary();
      return answer.status();
    });
    if (!done.ok()) return done;
    return summary;
  }
  void SetLevel(uint32_t level) {
    ASSERT_TRUE(lab_.Commit([&](Draft* draft) {
                      v1::Record record;
                      record.mutable_feature_level_raised()->set_level(level);
                      draft->Add(std::move(record));
                      return absl::OkStatus();
                    })
                    .ok());
  }
  uint32_t level() const { return lab_.image().head().feature_level; }

  Lab lab_;
};

TEST_F(NodeTest, ANodeIsRegisteredOnceAndAgainWhenItChanges) {
  Register(7, Row("a:1"));
  const uint64_t index = lab_.image().head().index.value();
  Register(7, Row("a:1"));
  EXPECT_THAT(lab_.last_changes(), IsEmpty());
  Register(7, Row("b:1"));
  ASSERT_THAT(NodesOf(lab_.image()), SizeIs(1));
  EXPECT_EQ(NodesOf(lab_.image())[0].second.address, "b:1");
  EXPECT_EQ(NodesOf(lab_.image())[0].second.region, "eu");
  EXPECT_GT(lab_.image().head().index.value(), index);
}

TEST_F(NodeTest, ARemovedNodeIsGone) {
  Register(7, Row("a:1"));
  Register(8, Row("b:1"));
  ASSERT_TRUE(Remove(7).ok());
  ASSERT_THAT(NodesOf(lab_.image()), SizeIs(1));
  EXPECT_EQ(NodesOf(lab_.image())[0].first, 8u);
  const absl::Status again = Remove(7);
  EXPECT_TRUE(absl::IsNotFound(again));
  EXPECT_THAT(std::string(again.message()), HasSubstr("node_id"));
}

TEST_F(NodeTest, EachElectionRaisesTheEpoch) {
  EXPECT_EQ(CoordinatorOf(lab_.image()).epoch, 0u);
  Elect(7);
  Elect(7);  // is in office
  EXPECT_EQ(CoordinatorOf(lab_.image()).epoch, 1u);
  Elect(8);
  Elect(7);
  EXPECT_EQ(CoordinatorOf(lab_.image()).node_id, 7u);
  EXPECT_EQ(CoordinatorOf(lab_.image()).epoch, 3u);
}

TEST_F(NodeTest, BelowTheLevelNothingNewIsRecorded) {
  SetLevel(1);
  Register(7, Row("a:1"));
  Elect(7);
  EXPECT_EQ(NodesOf(lab_.image())[0].second.region, "");
  EXPECT_EQ(CoordinatorOf(lab_.image()).epoch, 0u);
  const absl::Status removed = Remove(7);
  EXPECT_TRUE(absl::IsFailedPrecondition(removed));
  EXPECT_THAT(std::string(removed.message()), HasSubstr("feature level 2"));
  // As the former version wrote it: no byte for what it does not know.
  EXPECT_EQ(lab_.image().table(Table::kNodes).Find(KeyOf(uint64_t{7})).value(),
            EncodeRow(NodeRow{"a:1", kFeatureLevel, "1.0", ""}));
  EXPECT_TRUE(lab_.image().table(Table::kOffices).empty());
}

TEST_F(NodeTest, AnUpgradeIsFinishedWhenAllNodesSupportIt) {
  SetLevel(1);
  Register(7, Row("a:1", 2));
  Register(8, Row("b:1", 1));
  const auto held_back = Finish();
  EXPECT_TRUE(absl::IsFailedPrecondition(held_back.status()));
  EXPECT_THAT(std::string(held_back.status().message()), HasSubstr("node 8"));
  EXPECT_EQ(level(), 1u);
  Register(8, Row("b:1", 2));
  EXPECT_EQ(Finish().value(), "feature level raised from 1 to 2");
  EXPECT_EQ(level(), 2u);
  Register(8, Row("b:1", 2));  // tells its region now
  EXPECT_EQ(NodesOf(lab_.image())[1].second.region, "eu");
  EXPECT_THAT(Finish().value(), HasSubstr("nothing is to be done"));
}

TEST_F(NodeTest, ATrailingFieldThatIsEmptyIsNoByte) {
  NodeRow row{"a:1", 1, "1.0", ""};
  const std::string without = EncodeRow(row);
  NodeRow read;
  EXPECT_TRUE(TryDecodeRow(without, &read));
  EXPECT_EQ(read.region, "");
  row.region = "eu";
  const std::string with = EncodeRow(row);
  EXPECT_GT(with.size(), without.size());
  EXPECT_TRUE(TryDecodeRow(with, &read));
  EXPECT_EQ(read.region, "eu");
  // There is one encoding of a row: an empty field is not spelt out.
  EXPECT_FALSE(TryDecodeRow(without + std::string(1, '\0'), &read));
}

}  // namespace
}  // namespace kafed::federation
