// Followers of the route view among random commits: whatever position each
// comes from, whatever the node has forgotten and however its rows are cut,
// what it then has is what the image says, and no more than its filter.
#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <map>
#include <set>

#include "client/view_state.h"
#include "common/murmur2.h"
#include "federation/view/view_feed.h"
#include "tests/unit/federation/lab.h"
#include "tests/unit/federation/snapshot_bytes.h"

namespace kafed::federation {
namespace {

using Rows = std::map<std::string, std::string>;  // identity -> row

constexpr uint64_t kNonce = 7;  // Lab's

std::string IdentityOf(const v1::Row& row) {
  switch (row.row_case()) {
    case v1::Row::kSubCluster:
      return "c" + std::to_string(row.sub_cluster().id());
    case v1::Row::kTopic:
      return "t" + std::to_string(row.topic().id());
    case v1::Row::kKafkaTopic:
      return "k" + std::to_string(row.kafka_topic().id());
    case v1::Row::kPartition:
      return "p" + std::to_string(row.partition().topic_id()) + "/" +
             std::to_string(row.partition().partition());
    default:
      return "b" + std::to_string(row.key().topic_id()) + "/" + row.key().key();
  }
}

Rows ContentOf(const RouteView& view) {
  Rows rows;
  view.ForEachRow([&](const v1::Row& row) {
    RC_ASSERT(rows.emplace(IdentityOf(row), row.SerializeAsString()).second);
  });
  return rows;
}

// What an image holds for a filter, row by row, without a feed.
class Expected {
 public:
  Expected(const Image& image, const v1::ViewFilter& filter)
      : image_(image),
        topics_(filter.topics().begin(), filter.topics().end()),
        regions_(filter.regions().begin(), filter.regions().end()) {}

  Rows All() {
    for (const Table table :
         {Table::kSubClusters, Table::kTopics, Table::kKafkaTopics,
          Table::kPartitions, Table::kBindings}) {
      image_.table(table).ForEach([&](auto key, auto value) {
        if (!Passes(table, key, value)) return;
        const auto row = RowOf(image_, table, key);
        RC_ASSERT(row.has_value());
        rows_.emplace(IdentityOf(*row), row->SerializeAsString());
      });
    }
    return std::move(rows_);
  }

 private:
  bool TopicIn(TopicId id) const {
    if (topics_.empty()) return true;  // also Kafka topics of one that is gone
    const auto topic = image_.topic(id);
    return topic && topics_.contains(topic->name);
  }
  bool RegionIn(SubClusterId id) const {
    if (regions_.empty()) return true;
    const auto row = image_.sub_cluster(id);
    return row && regions_.contains(row->region);
  }
  // Any segment: what an agent still has to read is of the region too.
  bool PartitionIn(TopicId topic, PartitionNumber number) const {
    const auto row = image_.partition(topic, number);
    return row && TopicIn(topic) &&
           std::any_of(row->chain.begin(), row->chain.end(),
                       [&](const Segment& segment) {
                         return RegionIn(segment.sub_cluster);
                       });
  }
  bool Passes(Table table, std::string_view key, std::string_view value) {
    ByteReader reader(key);
    switch (table) {
      case Table::kSubClusters:
        return RegionIn(SubClusterId(reader.Big32()));
      case Table::kTopics:
        return TopicIn(TopicId(reader.Big32()));
      case Table::kKafkaTopics: {
        const auto row = DecodeRow<KafkaTopic>(value);
        return TopicIn(row.topic) && RegionIn(row.sub_cluster);
      }
      case Table::kPartitions: {
        const TopicId topic(reader.Big32());
        return PartitionIn(topic, PartitionNumber(reader.Big32()));
      }
      default: {
        const TopicId topic(reader.Big32());
        for (const auto& target : DecodeRow<Binding>(value).targets) {
          if (PartitionIn(topic, target.partition)) return true;
        }
        return false;
      }
    }
  }

  const Image& image_;
  const std::set<std::string> topics_;
  const std::set<std::string> regions_;
  Rows rows_;
};

// Every key goes where the image has it: segment, epoch, readiness.
void CheckRoutes(const Image& image, const RouteView& view) {
  image.table(Table::kBindings).ForEach([&](auto key, auto value) {
    ByteReader reader(key);
    const TopicId topic(reader.Big32());
    const auto targets = view.Route(topic, reader.rest());
    RC_ASSERT(targets.ok());
    const auto binding = DecodeRow<Binding>(value);
    RC_ASSERT(targets->size() == binding.targets.size());
    for (size_t i = 0; i < targets->size(); ++i) {
      const Target& target = (*targets)[i];
      RC_ASSERT(target.partition == binding.targets[i].partition);
      const auto partition = image.partition(topic, target.partition);
      const Segment& segment = *partition->Writable();
      RC_ASSERT(target.segment.epoch == segment.epoch);
      RC_ASSERT(target.segment.kafka_topic == segment.kafka_topic);
      RC_ASSERT(target.segment.kafka_partition == segment.kafka_partition);
      RC_ASSERT(target.segment.sub_cluster == segment.sub_cluster);
      RC_ASSERT(target.ready ==
                (image.kafka_topic(segment.kafka_topic)->state ==
                 KafkaTopicState::kReady));
    }
  });
  for (const auto& [id, topic] : image.Topics()) {
    if (topic.kind != v1::TOPIC_KIND_HASHED) continue;
    for (int i = 0; i < 20; ++i) {
      const std::string key = std::to_string(i * 7919);
      Target target;
      RC_ASSERT(view.RouteOne(id, key, &target));
      RC_ASSERT(image.FindRange(id, topic, KeyHash(key)) == target.partition);
    }
  }
}

// A node's side of one stream and the client's.
class Follower {
 public:
  Follower(v1::ViewFilter filter, size_t slice)
      : filter_(std::move(filter)), slice_(slice) {}

  // Begins a run to `image`, or goes on with the one that is under way: one
  // message. True: the run is complete.
  bool Step(const Image& image, const ChangeLog& changes) {
    v1::FollowResponse response;
    if (!run_) {
      run_ = std::make_unique<Run>(filter_, &changes);
      run_->image = std::make_shared<Image>(image);
      const auto from = state_->Begin();
      const Position have =
          from ? Position{from->incarnation(), LogIndex(from->index())}
               : Position{};
      run_->feed.Begin(run_->image, have, from ? from->nonce() : 0);
      response.set_full(run_->feed.full());
    }
    const bool more = run_->feed.Next(slice_, response.mutable_rows());
    if (!more) {
      const ImageHead& head = run_->image->head();
      response.mutable_position()->set_incarnation(head.incarnation.counter);
      response.mutable_position()->set_nonce(kNonce);
      response.mutable_position()->set_index(head.index.value());
    }
    const auto complete = state_->Apply(response);
    RC_ASSERT(complete.ok());
    RC_ASSERT(*complete == !more);
    if (more) return false;
    Check(*run_->image);
    run_.reset();
    return true;
  }

  // The stream breaks; what was not complete is forgotten.
  void Break() { run_.reset(); }

  // The client comes back with what it had saved.
  void Restart() {
    run_.reset();
    const auto had = state_->current();
    client::PublishedView saved;
    saved.at = had->at;
    had->view.ForEachRow(
        [&](const v1::Row& row) { RC_ASSERT(saved.view.Apply(row).ok()); });
    RC_ASSERT(ContentOf(saved.view) == ContentOf(had->view));
    const bool ready = state_->ready();
    state_ = std::make_unique<client::ViewState>();
    if (ready) state_->Load(std::move(saved), /*resumable=*/true);
  }

  void Check(const Image& image) const {
    const auto view = state_->current();
    RC_ASSERT(view->position() == image.position());
    RC_ASSERT(ContentOf(view->view) == Expected(image, filter_).All());
    if (filter_.topics().empty() && filter_.regions().empty()) {
      CheckRoutes(image, view->view);
    }
  }

 private:
  struct Run {
    Run(const v1::ViewFilter& filter, const ChangeLog* changes)
        : feed(filter, changes) {}
    std::shared_ptr<const Image> image;
    ViewFeed feed;
  };
  const v1::ViewFilter filter_;
  const size_t slice_;
  std::unique_ptr<client::ViewState> state_ =
      std::make_unique<client::ViewState>();
  std::unique_ptr<Run> run_;
};

// A node with its followers.
class World {
 public:
  World() {
    RC_ASSERT(lab_.AddCluster("a", "eu", {"z1"}, Few()).ok());
    RC_ASSERT(lab_.AddCluster("c", "us", {"z1"}, Few()).ok());
    v1::ViewFilter nca;
    nca.add_topics("nca");
    nca.add_topics("ord");
    v1::ViewFilter eu;
    eu.add_regions("eu");
    followers_.emplace_back(v1::ViewFilter(), 1'000);
    followers_.emplace_back(v1::ViewFilter(), 3);
    followers_.emplace_back(nca, 2);
    followers_.emplace_back(eu, 5);
  }

  // A change; refusals change nothing and are no news to followers.
  void Change() {
    const std::string host = "h" + std::to_string(*rc::gen::inRange(0, 9));
    const std::string region = host.back() % 2 == 0 ? "eu" : "us";
    const std::vector<std::string> hosts = {host};
    absl::Status status;
    switch (*rc::gen::weightedElement<int>({{4, 0},
                                            {2, 1},
                                            {2, 2},
                                            {1, 3},
                                            {3, 4},
                                            {2, 5},
                                            {1, 6},
                                            {3, 7},
                                            {1, 8},
                                            {1, 9},
                                            {1, 10}})) {
      case 0:
        status = lab_.AddHosts({Lab::HostOf(host, region)});
        break;
      case 1:
        status = lab_.Commit(
            [&](Draft* draft) { return PlanRemoveHosts(hosts, true, draft); });
        break;
      case 2:
        status = CreateTopic();
        break;
      case 3:
        status = DeleteTopic();
        break;
      case 4:
        status = lab_.Join("v" + region, hosts);
        break;
      case 5:
        status = lab_.Leave("v" + region, hosts);
        break;
      case 6:
        status = CreateVpc("v" + region, region);
        break;
      case 7:
        status = Settle();
        break;
      case 8:
        status = lab_.AddCluster("b", "eu", {"z2"}, Few());
        break;
      case 9: {
        v1::RemoveSubClusterRequest request;
        request.set_name("b");
        status = lab_.Run(PlanRemoveSubCluster, request);
        break;
      }
      default:
        status = Address();
    }
    if (status.ok()) Publish();
  }

  void StepFollower(bool whole) {
    Follower& follower = followers_[*rc::gen::inRange<size_t>(0, 4)];
    while (!follower.Step(served_, *changes_) && whole) {
    }
  }
  void BreakFollower() { followers_[*rc::gen::inRange<size_t>(0, 4)].Break(); }
  void RestartFollower() {
    followers_[*rc::gen::inRange<size_t>(0, 4)].Restart();
  }

  // The node comes back from a snapshot and remembers no change.
  void RestartNode() {
    auto loaded = ImageOf(SnapshotOf(lab_.image()));
    RC_ASSERT(loaded.ok());
    served_ = *std::move(loaded);
    Forget(*rc::gen::inRange<size_t>(0, 60));
  }

  // From a backup: another incarnation, which followers must not mix up.
  void Restore() {
    RC_ASSERT(lab_.Restore(++incarnation_).ok());
    Publish();
    Forget(60);
  }

  void End() {
    for (Follower& follower : followers_) {
      do {
      } while (!follower.Step(served_, *changes_));
      // A run that was under way completed where it began: one more.
      while (!follower.Step(served_, *changes_)) {
      }
      follower.Check(served_);
    }
  }

 private:
  static v1::Limits Few() {
    v1::Limits limits;
    limits.set_topics(6);
    limits.set_partitions_per_topic(3);
    limits.set_keys_per_partition(2);
    return limits;
  }

  absl::Status CreateTopic() {
    static const std::vector<std::pair<std::string, v1::TopicKind>> kTopics = {
        {"nca", v1::TOPIC_KIND_UNICAST},
        {"nca", v1::TOPIC_KIND_UNICAST},
        {"vpc", v1::TOPIC_KIND_MULTICAST},
        {"ord", v1::TOPIC_KIND_HASHED}};
    const auto [name, kind] = *rc::gen::elementOf(kTopics);
    v1::CreateTopicRequest request;
    request.mutable_spec()->set_name(name);
    request.mutable_spec()->set_kind(kind);
    request.mutable_spec()->set_region_policy(v1::REGION_POLICY_MULTI_REGION);
    request.mutable_spec()->set_partitions(
        kind == v1::TOPIC_KIND_HASHED ? *rc::gen::inRange(1u, 20u) : 0);
    return lab_.Run(PlanCreateTopic, request);
  }

  absl::Status DeleteTopic() {
    v1::DeleteTopicRequest request;
    request.set_name(*rc::gen::element("nca", "vpc", "ord"));
    return lab_.Run(PlanDeleteTopic, request);
  }

  absl::Status CreateVpc(const std::string& id, const std::string& region) {
    v1::CreateVpcRequest request;
    request.set_id(id);
    request.set_region(region);
    return lab_.Run(PlanCreateVpc, request);
  }

  // Something of a sub-cluster that clients see.
  absl::Status Address() {
    v1::UpdateSubClusterRequest request;
    request.set_name("a");
    request.set_bootstrap_servers("127.0.0.1:" +
                                  std::to_string(*rc::gen::inRange(1, 9)));
    return lab_.Run(PlanUpdateSubCluster, request);
  }

  // Kafka topics that are planned become ready, doomed ones go.
  absl::Status Settle() {
    return lab_.Commit([](Draft* draft) {
      for (v1::Record& fact : KafkaTopicFacts(draft->image())) {
        draft->Add(std::move(fact));
      }
      return absl::OkStatus();
    });
  }

  void Publish() {
    served_ = lab_.image();
    changes_->Append(served_.head().index, lab_.last_changes());
  }

  void Forget(size_t max_rows) {
    for (Follower& follower : followers_) follower.Break();
    changes_ = std::make_unique<ChangeLog>(max_rows);
  }

  Lab lab_;
  Image served_ = lab_.image();
  std::unique_ptr<ChangeLog> changes_ = std::make_unique<ChangeLog>(60);
  uint64_t incarnation_ = 1;
  std::deque<Follower> followers_;
};

RC_GTEST_PROP(ViewModel, ByDeltasIsTheViewFromScratch, ()) {
  World world;
  const int steps = *rc::gen::inRange(1, 80);
  for (int i = 0; i < steps; ++i) {
    switch (*rc::gen::weightedElement<int>(
        {{20, 0}, {10, 1}, {4, 2}, {2, 3}, {2, 4}, {1, 5}, {1, 6}})) {
      case 0:
        world.Change();
        break;
      case 1:
        world.StepFollower(/*whole=*/false);
        break;
      case 2:
        world.StepFollower(/*whole=*/true);
        break;
      case 3:
        world.BreakFollower();
        break;
      case 4:
        world.RestartFollower();
        break;
      case 5:
        world.RestartNode();
        break;
      default:
        world.Restore();
    }
  }
  world.End();
}

}  // namespace
}  // namespace kafed::federation
