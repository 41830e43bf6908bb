// The route view of a client: any rows in any order are applied or refused and
// looked up without harm; rows written from a view rebuild it; a follower's
// state publishes whole batches only and never goes back.
//
// Lists of `Row` (applied to a view) and `Follow` (messages of a stream).
#include "client/view_snapshot.h"
#include "client/view_state.h"
#include "federation/view/route_view.h"
#include "kafed/v1/routing.pb.h"
#include "tests/fuzz/message_list.h"
#include "tests/fuzz/support.h"

KAFED_FUZZ_LIST_MUTATOR

const kafed::fuzz::Kinds& kafed::fuzz::ListKinds() {
  static const Kinds* const kinds =
      new Kinds{{"Row", &v1::Row::default_instance()},
                {"Follow", &v1::FollowResponse::default_instance()},
                {"Begin", &v1::ReportReadyResponse::default_instance()}};
  return *kinds;
}

namespace kafed::client {
namespace {

using federation::PartitionNumber;
using federation::RouteView;
using federation::Target;
using federation::TopicId;

// Looks up whatever there is, and some that is not.
void LookUp(const RouteView& view) {
  for (const v1::TopicRow* topic : view.topics()) {
    const TopicId id(topic->id());
    FUZZ_CHECK(view.topic(id) == topic);
    Target target;
    for (const char* key : {"h1", "v1", "", "orders-7", "k"}) {
      const auto targets = view.Route(id, key);
      if (view.RouteOne(id, key, &target)) {
        FUZZ_CHECK(targets.ok(), targets.status().ToString());
      }
      if (targets.ok()) FUZZ_CHECK(!targets->empty());
    }
    for (uint32_t i = 0; i < 4; ++i) {
      const bool found = view.Resolve(id, PartitionNumber(i), &target);
      if (found) {
        FUZZ_CHECK(view.partition(id, PartitionNumber(i)).has_value());
      }
    }
    if (topic->range_bits() <= 8) view.PartitionsOf(id);
  }
  for (const v1::SubClusterRow* row : view.sub_clusters()) {
    FUZZ_CHECK(view.sub_cluster(federation::SubClusterId(row->id())) == row);
  }
  view.MemoryBytes();
  view.Route("nca/h1").IgnoreError();
}

void CheckRebuild(const RouteView& view) {
  std::vector<v1::Row> rows;
  view.ForEachRow([&](const v1::Row& row) { rows.push_back(row); });
  RouteView copy;
  for (const v1::Row& row : rows) {
    FUZZ_CHECK(!row.deleted());
    FUZZ_CHECK(copy.Apply(row).ok(), row.ShortDebugString());
  }
  std::vector<v1::Row> again;
  copy.ForEachRow([&](const v1::Row& row) { again.push_back(row); });
  FUZZ_CHECK(again.size() == rows.size());
}

void CheckSnapshot(const PublishedView& view) {
  const std::string path = fuzz::ScratchFolder() + "/view";
  const absl::Status saved = SaveView(view, {}, milliseconds(5), path);
  FUZZ_CHECK(saved.ok(), saved.ToString());
  const auto loaded = LoadView(path);
  FUZZ_CHECK(loaded.ok(), loaded.status().ToString());
  FUZZ_CHECK(loaded->view.position() == view.position());
  FUZZ_CHECK(loaded->view.view.keys() == view.view.keys());
}

// Hash ranges as a node's planner makes them: a mirror takes its node's word
// for how many buckets there are.
void MakeRangesSmall(v1::Row* row) {
  constexpr uint32_t kMaxBits = 8;
  if (row->has_topic()) {
    row->mutable_topic()->set_range_bits(row->topic().range_bits() % kMaxBits);
  }
  if (row->has_partition()) {
    v1::PartitionRow* partition = row->mutable_partition();
    partition->set_low(partition->low() & 0x7fffffff);
    partition->set_high(partition->high() & 0x7fffffff);
  }
}

class Follower {
 public:
  void Play(const fuzz::Listed& each) {
    if (each.kind == "Row") {
      auto& row = static_cast<v1::Row&>(*each.message);
      MakeRangesSmall(&row);
      const absl::Status applied = view_.Apply(row);
      if (!applied.ok()) {
        FUZZ_CHECK(applied.code() == absl::StatusCode::kInvalidArgument);
      }
    } else if (each.kind == "Begin") {
      const auto from = state_.Begin();
      if (from) FUZZ_CHECK(from->index() == state_.current()->at.index());
    } else {
      auto& response = static_cast<v1::FollowResponse&>(*each.message);
      for (v1::Row& row : *response.mutable_rows()) MakeRangesSmall(&row);
      Follow(response);
    }
  }

  void End() {
    LookUp(view_);
    CheckRebuild(view_);
    const auto now = state_.current();
    LookUp(now->view);
    CheckSnapshot(*now);
  }

 private:
  void Follow(const v1::FollowResponse& response) {
    const auto before = state_.current();
    const auto applied = state_.Apply(response);
    const auto now = state_.current();
    if (!applied.ok() || !*applied) {
      FUZZ_CHECK(now == before);
      // The stream is given up; the next one begins anew.
      if (!applied.ok()) state_.Begin();
      return;
    }
    FUZZ_CHECK(state_.ready());
    FUZZ_CHECK(now->position() >= before->position());
    FUZZ_CHECK(now->at.index() == response.position().index());
    LookUp(now->view);
  }

  RouteView view_;
  ViewState state_;
};

}  // namespace
}  // namespace kafed::client

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kafed::client::Follower follower;
  for (const auto& each :
       kafed::fuzz::ParseList(kafed::fuzz::AsText(data, size))) {
    follower.Play(each);
  }
  follower.End();
  return 0;
}
