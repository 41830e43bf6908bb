// An agent among hostile answers, markers and records: it never delivers a
// message twice in a row of messages, never hangs, and what it remembers brings
// it back.
//
// Lists of `Merge` (a node's answer), `Subscribe`, `Unsubscribe` and `Moved`
// (markers, read from one of the places it reads), `Data` (a message: key, and
// numbers that choose place and offset) and `Reload` (a restart).
#include <set>

#include "client/agent.h"
#include "common/row_codec.h"
#include "tests/fuzz/message_list.h"
#include "tests/fuzz/support.h"

KAFED_FUZZ_LIST_MUTATOR

const kafed::fuzz::Kinds& kafed::fuzz::ListKinds() {
  static const Kinds* const kinds =
      new Kinds{{"Merge", &v1::SubscriptionsResponse::default_instance()},
                {"Subscribe", &v1::MembershipMarker::default_instance()},
                {"Unsubscribe", &v1::MembershipMarker::default_instance()},
                {"Moved", &v1::MovedMarker::default_instance()},
                {"Data", &v1::KeyRow::default_instance()},
                {"Reload", &v1::ReportReadyResponse::default_instance()}};
  return *kinds;
}

namespace kafed::client {
namespace {

constexpr size_t kFilter = 16;

class Player {
 public:
  Player() : agent_(std::make_unique<Agent>("h1", kFilter)) {}

  void Play(const fuzz::Listed& each) {
    // What a node or a marker takes away and gives back may begin anew.
    if (each.kind != "Data") delivered_.clear();
    if (each.kind == "Merge") {
      agent_->Merge(
          static_cast<const v1::SubscriptionsResponse&>(*each.message));
    } else if (each.kind == "Subscribe") {
      Marker(MessageKind::kSubscribe, *each.message);
    } else if (each.kind == "Unsubscribe") {
      Marker(MessageKind::kUnsubscribe, *each.message);
    } else if (each.kind == "Moved") {
      Marker(MessageKind::kMoved, *each.message);
    } else if (each.kind == "Data") {
      Data(static_cast<const v1::KeyRow&>(*each.message));
    } else {
      Reload();
    }
    Look();
  }

  void Reload() {
    const std::string path = fuzz::ScratchFolder() + "/agent";
    const AgentState state = agent_->State();
    FUZZ_CHECK(SaveAgentState(state, path).ok());
    const auto loaded = LoadAgentState(path);
    FUZZ_CHECK(loaded.ok(), loaded.status().ToString());
    FUZZ_CHECK(EncodeRow(*loaded) == EncodeRow(state));
    agent_ = std::make_unique<Agent>("h1", kFilter);
    agent_->Restore(*loaded);
    delivered_.clear();  // what was not committed comes again
    Look();
  }

 private:
  // The nth place the agent reads; none: a record of nowhere.
  Record At(size_t n, uint64_t skip) const {
    const std::vector<ReadPlace> places = agent_->Reading();
    Record record;
    if (places.empty()) return record;
    const ReadPlace& place = places[n % places.size()];
    record.sub_cluster = place.sub_cluster;
    record.kafka_topic = place.kafka_topic;
    record.kafka_partition = place.kafka_partition;
    record.offset = place.offset + skip;
    record.round = place.round;
    return record;
  }

  void Marker(MessageKind kind, const google::protobuf::Message& marker) {
    Record record = At(0, 0);
    record.header = KafkaHeader{kind, 1, {}, ++sequence_};
    record.payload = marker.SerializeAsString();
    const auto received = agent_->Receive(std::move(record));
    FUZZ_CHECK(!received.message);
  }

  void Data(const v1::KeyRow& row) {
    const auto number = [&](int i) -> uint32_t {
      return i < row.partitions_size() ? row.partitions(i) : 0;
    };
    Record record = At(number(0), number(1) % 3);
    record.key = row.key();
    record.payload = "payload";
    const uint64_t offset = record.offset;
    if (row.topic_id() % 2 == 1) {
      record.header = KafkaHeader{MessageKind::kData, 1, {}, ++sequence_};
    }
    const auto received = agent_->Receive(std::move(record));
    if (received.message) {
      const Message& message = *received.message;
      FUZZ_CHECK(message.offset == offset);
      FUZZ_CHECK(delivered_
                     .insert({message.key, message.partition, message.epoch,
                              message.offset})
                     .second,
                 "a message was delivered twice");
      if (number(2) % 2 == 1) FUZZ_CHECK(agent_->Commit(message.ticket));
    }
    if (number(2) % 4 == 2) agent_->CommitAll();
  }

  void Look() {
    for (const ReadPlace& place : agent_->Reading()) {
      FUZZ_CHECK(agent_->cluster(place.sub_cluster) != nullptr);
    }
    agent_->Known();
    agent_->Committed();
    agent_->NeedsNode();
  }

  std::unique_ptr<Agent> agent_;
  uint64_t sequence_ = 0;
  std::set<std::tuple<std::string, uint32_t, uint64_t, uint64_t>> delivered_;
};

}  // namespace
}  // namespace kafed::client

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kafed::client::Player player;
  for (const auto& each :
       kafed::fuzz::ParseList(kafed::fuzz::AsText(data, size))) {
    player.Play(each);
  }
  player.Reload();
  return 0;
}
