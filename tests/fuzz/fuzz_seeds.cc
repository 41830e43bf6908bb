// Writes the binary seeds: `fuzz_seeds tests/fuzz/corpus`. Not a fuzz target.
//
// The seeds are kept in the repository; this is how they were made, and how
// they are made again when a format changes. Text seeds are written by hand.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>

#include "client/agent.h"
#include "common/kafka_header.h"
#include "common/snapshot_container.h"
#include "federation/image/entry_codec.h"
#include "federation/image/image_io.h"
#include "federation/image/incarnation.h"
#include "federation/plan/planners.h"
#include "federation/view/view_feed.h"
#include "kafed/v1/rows.pb.h"
#include "metastore/store/log_value.h"
#include "tests/fuzz/support.h"

namespace kafed::fuzz {
namespace {

class Corpus {
 public:
  explicit Corpus(std::filesystem::path folder) : folder_(std::move(folder)) {}
  void Write(const std::string& target, const std::string& name,
             const std::string& bytes) const {
    std::filesystem::create_directories(folder_ / target);
    std::ofstream file(folder_ / target / name, std::ios::binary);
    file << bytes;
    if (!file.flush()) std::abort();
  }

 private:
  std::filesystem::path folder_;
};

void KafkaHeaders(const Corpus& corpus) {
  KafkaHeader header{MessageKind::kData, (1ull << 32) + 1, {}, 42};
  header.source[3] = 7;
  corpus.Write("kafka_header", "data", EncodeKafkaHeader(header));
  header.kind = MessageKind::kUnsubscribe;
  corpus.Write("kafka_header", "unsubscribe", EncodeKafkaHeader(header));
}

void Must(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::abort();
}

std::string Container(const SnapshotHeader& header,
                      const std::function<void(SnapshotWriter*)>& fill) {
  std::string bytes;
  SnapshotWriter writer([&](std::string_view more) {
    bytes.append(more);
    return absl::OkStatus();
  });
  Must(writer.Begin(header));
  fill(&writer);
  Must(writer.Finish().status());
  return bytes;
}

void Containers(const Corpus& corpus) {
  for (const size_t rows : {0, 3, 200}) {
    corpus.Write(
        "snapshot_container", std::to_string(rows) + "-rows",
        Container({SnapshotKind::kImage, "blob"}, [&](SnapshotWriter* writer) {
          for (size_t i = 0; i < rows; ++i) {
            Must(writer->Add(static_cast<uint8_t>(i % 7),
                             std::to_string(i * 7919), "value"));
          }
        }));
  }
}

// A small federation, entry by entry.
class Federation {
 public:
  void Commit(const std::function<void(federation::Draft*)>& plan) {
    v1::EntryHeader header;
    header.set_entry_id("0123456789abcdef");
    header.mutable_position()->set_incarnation(1);
    header.mutable_position()->set_nonce(7);
    header.mutable_position()->set_index(image.head().index.value() + 1);
    header.set_feature_level(federation::kFeatureLevel);
    header.set_predecessor_hash(image.head().header_hash);
    header.set_time_ms(1'700'000'000'000 + entries.size());
    federation::Draft draft(image, header);
    plan(&draft);
    image = draft.image();
    entries.push_back(draft.entry());
  }

  federation::Image image;
  std::vector<v1::Entry> entries;
};

void AddCluster(const std::string& name, federation::Draft* draft) {
  v1::AddSubClusterRequest request;
  request.mutable_spec()->set_name(name);
  request.mutable_spec()->set_region("eu");
  request.mutable_spec()->add_zones("z1");
  request.mutable_spec()->set_bootstrap_servers("127.0.0.1:9092");
  request.mutable_spec()->mutable_profile()->set_partitions_per_topic(3);
  Must(PlanAddSubCluster(request, draft).status());
}

void CreateTopic(const std::string& name, v1::TopicKind kind,
                 federation::Draft* draft) {
  v1::CreateTopicRequest request;
  request.mutable_spec()->set_name(name);
  request.mutable_spec()->set_kind(kind);
  Must(PlanCreateTopic(request, draft).status());
}

Federation MakeFederation() {
  Federation made;
  made.Commit([](federation::Draft* draft) {
    v1::Record record;
    record.mutable_incarnation_began()->set_reason(
        std::string(federation::kReasonNew));
    draft->Add(record);
  });
  made.Commit([](federation::Draft* draft) {
    AddCluster("a", draft);
    AddCluster("b", draft);
    CreateTopic("nca", v1::TOPIC_KIND_UNICAST, draft);
    CreateTopic("vpc", v1::TOPIC_KIND_MULTICAST, draft);
    CreateTopic("elb", v1::TOPIC_KIND_RESOURCE, draft);
    CreateTopic("ord", v1::TOPIC_KIND_HASHED, draft);
  });
  made.Commit([](federation::Draft* draft) {
    std::vector<v1::HostSpec> hosts(6);
    for (size_t i = 0; i < hosts.size(); ++i) {
      hosts[i].set_id("h" + std::to_string(i));
      hosts[i].set_region("eu");
      (*hosts[i].mutable_labels())["rack"] = "r1";
    }
    Must(PlanAddHosts(hosts, false, draft));
    v1::CreateVpcRequest create;
    create.set_id("v1");
    Must(PlanCreateVpc(create, draft).status());
    v1::AddVpcHostsRequest join;
    join.set_vpc("v1");
    join.add_hosts("h0");
    join.add_hosts("h1");
    Must(PlanAddVpcHosts(join, {}, draft).status());
    v1::AddResourceRequest resource;
    resource.set_topic("elb");
    resource.set_id("lb1");
    Must(PlanAddResource(resource, draft).status());
    v1::AddInstanceRequest instance;
    instance.mutable_spec()->set_id("i1");
    instance.mutable_spec()->set_region("eu");
    instance.mutable_spec()->add_quotas()->set_service("cpu");
    instance.mutable_spec()->mutable_quotas(0)->set_quota(10);
    Must(PlanAddInstance(instance, draft).status());
    v1::OpenSessionRequest session;
    session.set_source("0123456789abcdef");
    Must(PlanOpenSession(session, 900'000, 30'000, draft).status());
  });
  made.Commit([](federation::Draft* draft) {
    Must(federation::PlanRemoveHosts(std::vector<std::string>{"h1"}, true,
                                     draft));
  });
  return made;
}

void Entries(const Federation& made, const Corpus& corpus) {
  for (size_t i = 0; i < made.entries.size(); ++i) {
    const std::string name = "entry-" + std::to_string(i + 1);
    const std::string bytes = federation::EncodeEntry(made.entries[i]);
    corpus.Write("entry_codec", name, bytes);
    corpus.Write("log_value", name,
                 std::string(1, '\0') +
                     metastore::EncodeLogValue(LogIndex(1), {}, bytes, 1'000));
  }
}

// One row of each table, behind the number that fuzz_rows gives its kind.
void Rows(const Federation& made, const Corpus& corpus) {
  constexpr std::pair<federation::Table, char> kKinds[] = {
      {federation::Table::kSubClusters, 0},
      {federation::Table::kTopics, 1},
      {federation::Table::kTopicCounters, 2},
      {federation::Table::kKafkaTopics, 3},
      {federation::Table::kSlots, 4},
      {federation::Table::kPartitions, 5},
      {federation::Table::kPartitionKeys, 6},
      {federation::Table::kBindings, 7},
      {federation::Table::kShares, 8},
      {federation::Table::kHashBuckets, 9},
      {federation::Table::kHosts, 10},
      {federation::Table::kVpcs, 11},
      {federation::Table::kVpcMembers, 12},
      {federation::Table::kVpcChunks, 13},
      {federation::Table::kPendingMarkers, 14},
      {federation::Table::kResources, 15},
      {federation::Table::kInstances, 16},
      {federation::Table::kSessions, 17},
      {federation::Table::kFormerBindings, 22},
      {federation::Table::kCounters, 23}};
  for (const auto& [table, kind] : kKinds) {
    std::optional<std::string> row;
    made.image.table(table).ForEach([&](auto, auto value) {
      if (!row || value.size() > row->size()) row = std::string(value);
    });
    if (!row) std::abort();
    corpus.Write("rows", std::string(TableName(table)),
                 std::string(1, kind) + *row);
  }
}

void Snapshots(const Federation& made, const Corpus& corpus) {
  corpus.Write("image_snapshot", "federation",
               Container(HeaderOf(made.image), [&](SnapshotWriter* writer) {
                 Must(AddRows(made.image, writer));
               }));
  std::string rows(1, '\1');
  for (const char* key : {"h1", "h2"}) {
    rows += static_cast<char>(federation::Table::kHosts);
    PutBlock(key, &rows);
    PutBlock("value", &rows);
  }
  corpus.Write("image_snapshot", "rows", rows);
  v1::ViewHeader header;
  header.mutable_position()->set_incarnation(1);
  header.mutable_position()->set_index(4);
  header.mutable_filter()->add_regions("eu");
  const federation::ChangeLog none;
  federation::ViewFeed feed({}, &none);
  feed.Begin(std::make_shared<federation::Image>(made.image), {}, 0);
  google::protobuf::RepeatedPtrField<v1::Row> view;
  while (feed.Next(1'000, &view)) {
  }
  corpus.Write(
      "view_snapshot", "federation",
      Container({SnapshotKind::kRouteView, header.SerializeAsString()},
                [&](SnapshotWriter* writer) {
                  for (const v1::Row& row : view) {
                    Must(writer->Add(static_cast<uint8_t>(row.row_case()), {},
                                     row.SerializeAsString()));
                  }
                }));
}

void Agents(const Corpus& corpus) {
  client::AgentState state;
  state.host = "h1";
  state.clusters = {{1, "a", "127.0.0.1:9092", ""}};
  state.chains = {
      {"nca",
       v1::TOPIC_KIND_UNICAST,
       3,
       {{1, "a", "nca.g1.0", 3, 0, 9, 1}, {2, "a", "nca.g1.1", 0, 0, 0, 0}},
       {{"h1", {1, 0}, {1, 5}, 0}}}};
  state.vpcs = {{"v1", 4}};
  state.filter = {{"0123456789abcdef/nca/h1", 17}};
  corpus.Write("agent_state", "moved-chain", "kafedag1" + EncodeRow(state));
  corpus.Write("agent_state", "without-magic", EncodeRow(state));
}

void Tables(const Corpus& corpus) {
  std::string edits;
  for (const char action : {100, 100, 20, 39, -1, 120, -112, -52}) {
    edits += action;  // puts, many puts, a copy, erasures
    PutBlock("k20003", &edits);
    PutBlock("value", &edits);
  }
  corpus.Write("block_table", "edits", edits);
}

}  // namespace
}  // namespace kafed::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: fuzz_seeds CORPUS-FOLDER\n", stderr);
    return 2;
  }
  const kafed::fuzz::Corpus corpus(argv[1]);
  kafed::fuzz::KafkaHeaders(corpus);
  kafed::fuzz::Containers(corpus);
  const kafed::fuzz::Federation made = kafed::fuzz::MakeFederation();
  kafed::fuzz::Entries(made, corpus);
  kafed::fuzz::Rows(made, corpus);
  kafed::fuzz::Snapshots(made, corpus);
  kafed::fuzz::Agents(corpus);
  kafed::fuzz::Tables(corpus);
  return 0;
}
