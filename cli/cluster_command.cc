// kafedctl cluster: the sub-clusters.
#include "cli/commands.h"
#include "cli/text.h"
#include "cli/words.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

// The options of a profile; `profile` is called when one is given.
void AddProfileOptions(Command* command,
                       const std::function<v1::Limits*()>& profile) {
  command->Option(
      "--topics", "N", "Kafka topics a logical topic may have here (200)",
      Number32([profile](uint32_t n) { profile()->set_topics(n); }));
  command->Option("--partitions-per-topic", "N",
                  "Kafka partitions of each Kafka topic (50)",
                  Number32([profile](uint32_t n) {
                    profile()->set_partitions_per_topic(n);
                  }));
  command->Option("--keys-per-partition", "N",
                  "Keys bound to one partition (unicast 10, multicast 50, "
                  "resource 1)",
                  Number32([profile](uint32_t n) {
                    profile()->set_keys_per_partition(n);
                  }));
  command->Option(
      "--failover-permille", "N",
      "Limit during failover in thousandths of the normal one "
      "(1112)",
      Number32([profile](uint32_t n) { profile()->set_failover_permille(n); }));
}

void AddAdd(Command cluster) {
  auto request = std::make_shared<v1::AddSubClusterRequest>();
  v1::SubClusterSpec* spec = request->mutable_spec();
  Command add = cluster.Verb("add", "Register a sub-cluster");
  add.Positional("NAME", "Unique name, such as eu1-a",
                 Into(spec->mutable_name()));
  add.Option("--region", "REGION", "Region it is in",
             Into(spec->mutable_region()), Command::Need::kRequired);
  add.Option("--zone", "ZONE", "Zone it spans; several times for several",
             Into(spec->mutable_zones()), Command::Need::kRequired);
  add.Option("--bootstrap", "HOST:PORT",
             "Kafka bootstrap servers, separated by commas",
             Into(spec->mutable_bootstrap_servers()), Command::Need::kRequired);
  add.Option("--kafka-cluster-id", "ID",
             "Kafka cluster id it must have (default: learnt at first "
             "contact)",
             Into(spec->mutable_kafka_cluster_id()));
  AddProfileOptions(&add, [spec] { return spec->mutable_profile(); });
  add.Option("--weight", "N", "Share of new keys relative to others (100)",
             Number32From(1, [spec](uint32_t n) { spec->set_weight(n); }));
  add.Option("--connection-budget", "N",
             "Client connections it should take (not limited)",
             Number32([spec](uint32_t n) { spec->set_connection_budget(n); }));
  add.Option("--security-ref", "NAME",
             "Name of the credentials file on each node and client",
             Into(spec->mutable_security_ref()));
  add.Option("--admin", "KIND",
             "How Kafka topics are made: embedded:PATH for the control socket "
             "of an embedded Kafka (default: Kafka's admin API)",
             Into(spec->mutable_admin()));
  add.Changes();
  add.Runs([request](Invocation* run) { return run->Change(&*request); });
}

void AddUpdate(Command cluster) {
  auto request = std::make_shared<v1::UpdateSubClusterRequest>();
  v1::UpdateSubClusterRequest* r = request.get();
  Command update =
      cluster.Verb("update", "Change what is given and nothing else");
  update.Positional("NAME", "Name of the sub-cluster", Into(r->mutable_name()));
  update.Option("--zone", "ZONE", "All zones it spans from now on",
                Into(r->mutable_zones()));
  update.Option("--bootstrap", "HOST:PORT", "Kafka bootstrap servers",
                [r](const std::string& text) {
                  r->set_bootstrap_servers(text);
                  return absl::OkStatus();
                });
  AddProfileOptions(&update, [r] { return r->mutable_profile(); });
  update.Option("--weight", "N", "Share of new keys relative to others",
                Number32From(1, [r](uint32_t n) { r->set_weight(n); }));
  update.Option("--connection-budget", "N",
                "Client connections it should take; 0: not limited",
                Number32([r](uint32_t n) { r->set_connection_budget(n); }));
  update.Option("--security-ref", "NAME", "Name of the credentials file",
                [r](const std::string& text) {
                  r->set_security_ref(text);
                  return absl::OkStatus();
                });
  update.Changes();
  update.Runs([request](Invocation* run) -> absl::Status {
    v1::UpdateSubClusterRequest nothing;
    nothing.set_name(request->name());
    if (request->SerializeAsString() == nothing.SerializeAsString()) {
      return UsageError("nothing to change was given; see --help");
    }
    return run->Change(&*request);
  });
}

std::string Zones(const v1::SubClusterStatus& status) {
  return Join({status.spec().zones().begin(), status.spec().zones().end()},
              ",");
}

void AddList(Command cluster) {
  Command list = cluster.Verb("list", "List the sub-clusters");
  list.Runs([](Invocation* run) -> absl::Status {
    v1::ListSubClustersResponse response;
    RETURN_IF_ERROR(run->Call(v1::ListSubClustersRequest(), &response));
    run->printer().BeginList({{"NAME"},
                              {"REGION"},
                              {"ZONES"},
                              {"STATE"},
                              {"BROKERS"},
                              {"KEYS"},
                              {"WEIGHT", Column::kWide},
                              {"BOOTSTRAP", Column::kWide},
                              {"KAFKA-CLUSTER-ID", Column::kWide},
                              {"DRIFT", Column::kWide}});
    for (const v1::SubClusterStatus& each : response.sub_clusters()) {
      uint64_t keys = 0;
      for (const v1::TopicShare& share : each.shares()) keys += share.keys();
      run->printer().Add(
          each, {each.spec().name(), each.spec().region(), Zones(each),
                 Word(each.state()), std::to_string(each.brokers()),
                 std::to_string(keys), std::to_string(each.spec().weight()),
                 each.spec().bootstrap_servers(), each.kafka_cluster_id(),
                 std::to_string(each.drift_size())});
    }
    run->printer().EndList();
    return absl::OkStatus();
  });
}

void AddDescribe(Command cluster) {
  auto request = std::make_shared<v1::ListSubClustersRequest>();
  Command describe = cluster.Verb("describe", "Show one sub-cluster");
  describe.Positional("NAME", "Name of the sub-cluster",
                      Into(request->mutable_name()));
  describe.Runs([request](Invocation* run) -> absl::Status {
    if (request->name().empty()) return UsageError("NAME: is empty");
    v1::ListSubClustersResponse response;
    RETURN_IF_ERROR(run->Call(*request, &response));
    if (response.sub_clusters().empty()) {
      return absl::NotFoundError("NAME: no sub-cluster is called '" +
                                 request->name() + "'");
    }
    const v1::SubClusterStatus& it = response.sub_clusters(0);
    Fields fields = {
        {"Name", it.spec().name()},
        {"Region", it.spec().region()},
        {"Zones", Zones(it)},
        {"State", Word(it.state()) +
                      (it.reason().empty() ? "" : " (" + it.reason() + ")")},
        {"Bootstrap", it.spec().bootstrap_servers()},
        {"Kafka cluster id", it.kafka_cluster_id().empty()
                                 ? "not seen yet"
                                 : it.kafka_cluster_id()},
        {"Brokers", std::to_string(it.brokers())},
        {"Weight", std::to_string(it.spec().weight())}};
    if (!it.spec().security_ref().empty()) {
      fields.emplace_back("Security", it.spec().security_ref());
    }
    if (!it.spec().admin().empty()) {
      fields.emplace_back("Admin", it.spec().admin());
    }
    for (const std::string& drift : it.drift()) {
      fields.emplace_back("Drift", drift);
    }
    run->printer().PrintMessage(it, fields);
    if (it.shares().empty()) return absl::OkStatus();
    std::vector<Cells> rows;
    for (const v1::TopicShare& share : it.shares()) {
      rows.push_back(
          {share.topic(), Of(share.kafka_topics_ready(), share.kafka_topics()),
           share.key_limit() == 0 ? std::to_string(share.keys())
                                  : Of(share.keys(), share.key_limit()),
           std::to_string(share.dead_partitions())});
    }
    run->printer().PrintLine("");
    run->printer().PrintTable(
        {{"TOPIC"}, {"KAFKA-TOPICS-READY"}, {"KEYS"}, {"DEAD"}}, rows);
    return absl::OkStatus();
  });
}

void AddRemove(Command cluster) {
  auto request = std::make_shared<v1::RemoveSubClusterRequest>();
  Command remove =
      cluster.Verb("remove", "Remove a sub-cluster that holds nothing");
  remove.Positional("NAME", "Name of the sub-cluster",
                    Into(request->mutable_name()));
  remove.Destroys();
  remove.Runs([request](Invocation* run) -> absl::Status {
    RETURN_IF_ERROR(run->Confirm("remove sub-cluster " + request->name()));
    return run->Change(&*request);
  });
}

}  // namespace

void AddClusterCommands(Command root) {
  Command cluster = root.Noun("cluster", "Sub-clusters: the Kafka clusters");
  AddAdd(cluster);
  AddList(cluster);
  AddDescribe(cluster);
  AddUpdate(cluster);
  AddRemove(cluster);
}

}  // namespace kafed::cli
