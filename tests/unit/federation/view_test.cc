// The route view: by deltas it equals the one from scratch; deltas hold just
// what changed.
#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include "common/murmur2.h"
#include "federation/view/route_view.h"
#include "federation/view/view_feed.h"
#include "tests/unit/federation/lab.h"

namespace kafed::federation {
namespace {

using Rows = google::protobuf::RepeatedPtrField<v1::Row>;

Rows Collect(ViewFeed* feed, const Image& image, Position have,
             size_t slice = 7) {
  feed->Begin(std::make_shared<Image>(image), have, 7);
  Rows rows;
  while (feed->Next(slice, &rows)) {
  }
  return rows;
}

RouteView FromScratch(const Image& image, const v1::ViewFilter& filter = {}) {
  const ChangeLog none;
  ViewFeed feed(filter, &none);
  RouteView view;
  for (const v1::Row& row : Collect(&feed, image, {})) {
    EXPECT_TRUE(view.Apply(row).ok());
  }
  return view;
}

void Apply(const Rows& rows, RouteView* view) {
  for (const v1::Row& row : rows) EXPECT_TRUE(view->Apply(row).ok());
}

class ViewTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(lab_.AddCluster("a", "eu", {"z1"}).ok());
    ASSERT_TRUE(lab_.AddCluster("b", "us", {"z2"}).ok());
    v1::TopicSpec spec;
    spec.set_name("nca");
    spec.set_kind(v1::TOPIC_KIND_UNICAST);
    spec.set_region_policy(v1::REGION_POLICY_MULTI_REGION);
    ASSERT_TRUE(lab_.CreateTopic(spec).ok());
    spec.set_name("orders");
    spec.set_kind(v1::TOPIC_KIND_HASHED);
    ASSERT_TRUE(lab_.CreateTopic(spec).ok());
    ASSERT_TRUE(lab_.AddHosts("e", 40, "eu").ok());
    ASSERT_TRUE(lab_.AddHosts("u", 40, "us").ok());
  }
  Lab lab_;
};

TEST_F(ViewTest, RoutesLikeTheImage) {
  const RouteView view = FromScratch(lab_.image());
  const auto targets = view.Route("nca/e7");
  ASSERT_TRUE(targets.ok()) << targets.status();
  const Segment at = lab_.SegmentOfHost("nca", "e7");
  EXPECT_EQ(targets->at(0).segment.kafka_topic, at.kafka_topic);
  EXPECT_EQ(targets->at(0).segment.kafka_partition, at.kafka_partition);
  EXPECT_FALSE(targets->at(0).ready);
  const TopicId orders = lab_.image().FindTopic("orders");
  for (int i = 0; i < 200; ++i) {
    const std::string key = std::to_string(i);
    Target target;
    ASSERT_TRUE(view.RouteOne(orders, key, &target));
    EXPECT_EQ(target.partition,
              lab_.image().FindRange(orders, *lab_.image().topic(orders),
                                     KeyHash(key)));
  }
  EXPECT_FALSE(view.Route("nca/ghost").ok());
  EXPECT_FALSE(view.Route("nothing/e7").ok());
  EXPECT_FALSE(view.Route("no-slash").ok());
}

TEST_F(ViewTest, RowsThatCannotBeAreRefused) {
  RouteView view = FromScratch(lab_.image());
  const TableDigest before = view.Digest();
  EXPECT_TRUE(absl::IsInvalidArgument(view.Apply({})));
  v1::Row row;
  row.mutable_topic()->set_id(9);
  row.mutable_topic()->set_kind(v1::TOPIC_KIND_HASHED);
  row.mutable_topic()->set_range_bits(40);
  EXPECT_TRUE(absl::IsInvalidArgument(view.Apply(row)));
  EXPECT_EQ(view.Digest(), before);
}

TEST_F(ViewTest, ManyAreRoutedAsOneByOne) {
  RouteView view = FromScratch(lab_.image());
  v1::Row seen;
  *seen.mutable_kafka_topic() =
      *view.kafka_topic(lab_.SegmentOfHost("nca", "e7").kafka_topic);
  seen.mutable_kafka_topic()->set_ready(true);
  ASSERT_TRUE(view.Apply(seen).ok());
  EXPECT_TRUE(view.Route("nca/e7")->at(0).ready);
  EXPECT_FALSE(view.Route("nca/u7")->at(0).ready);
  std::vector<std::string> names = {"ghost", "", std::string(300, 'x')};
  for (int i = 0; i < 40; ++i) {
    names.push_back("e" + std::to_string(i));
    names.push_back("u" + std::to_string(i));
  }
  const std::vector<std::string_view> ids(names.begin(), names.end());
  for (const std::string_view topic : {"nca", "orders", "nothing"}) {
    const TopicId id = view.FindTopic(topic);
    std::vector<Target> targets(ids.size());
    size_t found = 0;
    const size_t many = view.RouteMany(id, ids, targets);
    for (size_t i = 0; i < ids.size(); ++i) {
      Target target;
      if (!view.RouteOne(id, ids[i], &target)) {
        EXPECT_FALSE(targets[i].topic.valid()) << ids[i];
        continue;
      }
      ++found;
      EXPECT_EQ(targets[i].topic, id);
      EXPECT_EQ(targets[i].partition, target.partition) << ids[i];
      EXPECT_EQ(targets[i].segment.kafka_topic, target.segment.kafka_topic);
      EXPECT_EQ(targets[i].segment.kafka_partition,
                target.segment.kafka_partition);
      EXPECT_EQ(targets[i].ready, target.ready);
    }
    EXPECT_EQ(many, found) << topic;
  }
}

TEST_F(ViewTest, ADeltaHoldsExactlyTheRowsThatChanged) {
  const Position before = lab_.image().position();
  RouteView view = FromScratch(lab_.image());
  ChangeLog changes;
  ASSERT_TRUE(lab_.AddHosts("n", 3, "eu").ok());
  changes.Append(lab_.image().head().index, lab_.last_changes());
  for (const bool known : {true, false}) {
    const ChangeLog none;
    ViewFeed feed({}, known ? &changes : &none);
    const Rows rows = Collect(&feed, lab_.image(), before);
    EXPECT_FALSE(feed.full());
    EXPECT_EQ(rows.size(), 3) << (known ? "change log" : "scan");
    for (const v1::Row& row : rows) EXPECT_TRUE(row.has_key());
    RouteView updated = view;
    Apply(rows, &updated);
    EXPECT_EQ(updated.Digest(), FromScratch(lab_.image()).Digest());
  }
}

// A node that reads what others wrote publishes several entries at once: the
// indexes of a change log have gaps.
TEST(ChangeLogTest, KnowsTheRowsBehindEntriesThatWerePublishedAsOne) {
  ChangeLog changes;
  changes.Append(LogIndex(10), {{Table::kHosts, "a"}});
  changes.Append(LogIndex(13), {{Table::kHosts, "b"}});  // 11 to 13
  changes.Append(LogIndex(14), {{Table::kHosts, "c"}});
  const auto collected = [&](uint64_t since, uint64_t upto) {
    absl::btree_set<ChangedRow> rows;
    EXPECT_TRUE(changes.Collect(LogIndex(since), LogIndex(upto), &rows));
    std::string keys;
    for (const ChangedRow& row : rows) keys += row.key;
    return keys;
  };
  EXPECT_EQ(collected(9, 14), "abc");
  EXPECT_EQ(collected(10, 13), "b");
  EXPECT_EQ(collected(10, 14), "bc");
  EXPECT_EQ(collected(11, 14), "bc");
  EXPECT_EQ(collected(13, 14), "c");
  EXPECT_EQ(collected(14, 14), "");
  absl::btree_set<ChangedRow> rows;
  EXPECT_FALSE(changes.Collect(LogIndex(8), LogIndex(14), &rows));
}

TEST_F(ViewTest, DeletesReachAFollowerThatWasAway) {
  const Position before = lab_.image().position();
  RouteView view = FromScratch(lab_.image());
  const std::vector<std::string> gone = {"e1", "e2"};
  ASSERT_TRUE(lab_.Commit([&](Draft* draft) {
                    return PlanRemoveHosts(gone, false, draft);
                  })
                  .ok());
  const ChangeLog none;
  ViewFeed feed({}, &none);
  const Rows rows = Collect(&feed, lab_.image(), before);
  EXPECT_EQ(rows.size(), 2);
  Apply(rows, &view);
  EXPECT_FALSE(view.Route("nca/e1").ok());
  EXPECT_EQ(view.Digest(), FromScratch(lab_.image()).Digest());
}

TEST_F(ViewTest, AnotherIncarnationBeginsAFullView) {
  const ChangeLog none;
  ViewFeed feed({}, &none);
  Collect(&feed, lab_.image(), {2, LogIndex(3)});
  EXPECT_TRUE(feed.full());
  feed.Begin(std::make_shared<Image>(lab_.image()), lab_.image().position(),
             /*have_nonce=*/99);
  EXPECT_TRUE(feed.full());
}

TEST_F(ViewTest, FiltersByTopicAndRegion) {
  v1::ViewFilter filter;
  filter.add_regions("eu");
  filter.add_topics("nca");
  const RouteView view = FromScratch(lab_.image(), filter);
  EXPECT_EQ(view.keys(), 40u);
  EXPECT_TRUE(view.Route("nca/e1").ok());
  EXPECT_FALSE(view.Route("nca/u1").ok());
  EXPECT_FALSE(view.FindTopic("orders").valid());
  EXPECT_EQ(view.sub_clusters().size(), 1u);
}

TEST_F(ViewTest, RowsRebuildTheView) {
  const RouteView view = FromScratch(lab_.image());
  RouteView copy;
  view.ForEachRow(
      [&](const v1::Row& row) { EXPECT_TRUE(copy.Apply(row).ok()); });
  EXPECT_EQ(copy.Digest(), view.Digest());
}

TEST(ChangeLogTest, ForgetsTheOldestAndSaysSo) {
  ChangeLog log(/*max_rows=*/4);
  for (uint64_t i = 1; i <= 4; ++i) {
    log.Append(LogIndex(i), {{Table::kBindings, std::to_string(i)}});
  }
  absl::btree_set<ChangedRow> rows;
  EXPECT_FALSE(log.Collect(LogIndex(1), LogIndex(4), &rows));
  EXPECT_TRUE(log.Collect(LogIndex(2), LogIndex(4), &rows));
  EXPECT_EQ(rows.size(), 2u);
  EXPECT_TRUE(log.Collect(LogIndex(4), LogIndex(4), &rows));
}

// Random commands; followers join at random positions and stay equal.
RC_GTEST_PROP(ViewProperty, ByDeltasEqualsFromScratch, ()) {
  Lab lab;
  RC_ASSERT(lab.AddCluster("a", "eu", {"z1"}).ok());
  RC_ASSERT(lab.AddCluster("b", "eu", {"z2"}).ok());
  RC_ASSERT(lab.CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
  RC_ASSERT(lab.CreateTopic("vpc", v1::TOPIC_KIND_MULTICAST).ok());
  RC_ASSERT(lab.CreateVpc("v").ok());
  ChangeLog changes(/*max_rows=*/20);
  RouteView view = FromScratch(lab.image());
  Position have = lab.image().position();
  const int steps = *rc::gen::inRange(1, 25);
  for (int i = 0; i < steps; ++i) {
    const std::string host = "h" + std::to_string(*rc::gen::inRange(0, 8));
    const std::vector<std::string> hosts = {host};
    absl::Status status;
    switch (*rc::gen::inRange(0, 5)) {
      case 0:
        status = lab.AddHosts({Lab::HostOf(host, "eu")});
        break;
      case 1:
        status = lab.Commit(
            [&](Draft* draft) { return PlanRemoveHosts(hosts, true, draft); });
        break;
      case 2:
        status = lab.Join("v", hosts);
        break;
      case 3:
        status = lab.Leave("v", hosts);
        break;
      default: {
        ViewFeed feed({}, &changes);
        const Rows rows = Collect(&feed, lab.image(), have);
        if (feed.full()) view = RouteView();
        Apply(rows, &view);
        have = lab.image().position();
        RC_ASSERT(view.Digest() == FromScratch(lab.image()).Digest());
        continue;
      }
    }
    if (status.ok()) {
      changes.Append(lab.image().head().index, lab.last_changes());
    }
  }
}

}  // namespace
}  // namespace kafed::federation
