// kafedctl topic: the logical topics.
#include "cli/commands.h"
#include "cli/text.h"
#include "cli/words.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

void AddLimitOptions(Command* create, v1::TopicSpec* spec) {
  create->Option(
      "--topics", "N", "Kafka topics in each sub-cluster",
      Number32([spec](uint32_t n) { spec->mutable_limits()->set_topics(n); }));
  create->Option("--partitions-per-topic", "N",
                 "Kafka partitions of each Kafka topic",
                 Number32([spec](uint32_t n) {
                   spec->mutable_limits()->set_partitions_per_topic(n);
                 }));
  create->Option("--keys-per-partition", "N", "Keys bound to one partition",
                 Number32([spec](uint32_t n) {
                   spec->mutable_limits()->set_keys_per_partition(n);
                 }));
}

void AddCreate(Command topic) {
  auto request = std::make_shared<v1::CreateTopicRequest>();
  v1::TopicSpec* spec = request->mutable_spec();
  Command create = topic.Verb("create", "Create a logical topic");
  create.Positional("NAME", "Unique name, such as nca",
                    Into(spec->mutable_name()));
  create.Option("--kind", "KIND", "unicast, multicast, resource or hashed",
                Choice({"unicast", "multicast", "resource", "hashed"},
                       [spec](size_t i) {
                         spec->set_kind(static_cast<v1::TopicKind>(i + 1));
                       }),
                Command::Need::kRequired);
  create.Option("--region", "REGION",
                "Region it may use (default: the only one there is)",
                Into(spec->mutable_regions()));
  create.Flag(
      "--multi-region", "Its partitions may be in several regions",
      [spec] { spec->set_region_policy(v1::REGION_POLICY_MULTI_REGION); });
  create.Option("--partitions", "N", "Partitions of a hashed topic (12)",
                Number32([spec](uint32_t n) { spec->set_partitions(n); }));
  create.Option("--retention", "DURATION", "Kafka retention (7d)",
                Duration([spec](milliseconds time) {
                  spec->set_retention_ms(static_cast<uint64_t>(time.count()));
                }));
  create.Option("--replication", "N",
                "Kafka replication factor (3, or the brokers if fewer)",
                Number32([spec](uint32_t n) { spec->set_replication(n); }));
  create.Option("--lease-ttl", "DURATION",
                "How long an answer of `route` may be used (10s)",
                Duration([spec](milliseconds time) {
                  spec->set_lease_ttl_ms(static_cast<uint32_t>(
                      std::min<int64_t>(time.count(), UINT32_MAX)));
                }));
  create.Option("--on-lease-end", "WHAT",
                "What a producer does whose lease is over: stop or continue "
                "(stop)",
                Choice({"stop", "continue"}, [spec](size_t i) {
                  spec->set_on_lease_end(static_cast<v1::OnLeaseEnd>(i + 1));
                }));
  AddLimitOptions(&create, spec);
  create.Option(
      "--large-vpc-members", "N",
      "Members in one home from which on a VPC has a partition of "
      "its own (1000)",
      Number32([spec](uint32_t n) { spec->set_large_vpc_members(n); }));
  create.Changes();
  create.Runs([request](Invocation* run) { return run->Change(&*request); });
}

std::string Regions(const v1::TopicSpec& spec) {
  if (!spec.regions().empty()) {
    return Join({spec.regions().begin(), spec.regions().end()}, ",");
  }
  return spec.region_policy() == v1::REGION_POLICY_MULTI_REGION ? "all" : "";
}

std::string Milliseconds(uint64_t ms) {
  return FormatDuration(milliseconds(static_cast<int64_t>(ms)));
}

void AddList(Command topic) {
  Command list = topic.Verb("list", "List the logical topics");
  list.Runs([](Invocation* run) -> absl::Status {
    v1::ListTopicsResponse response;
    RETURN_IF_ERROR(run->Call(v1::ListTopicsRequest(), &response));
    run->printer().BeginList({{"NAME"},
                              {"KIND"},
                              {"REGIONS"},
                              {"PARTITIONS"},
                              {"KEYS"},
                              {"KAFKA-TOPICS-READY"},
                              {"RETENTION", Column::kWide},
                              {"LEASE", Column::kWide},
                              {"GENERATION", Column::kWide}});
    for (const v1::TopicStatus& each : response.topics()) {
      const v1::TopicSpec& spec = each.spec();
      run->printer().Add(
          each,
          {spec.name(), Word(spec.kind()), Regions(spec),
           std::to_string(each.partitions()), std::to_string(each.keys()),
           Of(each.kafka_topics_ready(), each.kafka_topics()),
           Milliseconds(spec.retention_ms()), Milliseconds(spec.lease_ttl_ms()),
           std::to_string(each.generation())});
    }
    run->printer().EndList();
    return absl::OkStatus();
  });
}

void PrintPartitions(const v1::DescribeTopicResponse& response,
                     Printer* printer) {
  const bool hashed = response.topic().spec().kind() == v1::TOPIC_KIND_HASHED;
  std::vector<Cells> rows;
  for (const v1::PartitionStatus& each : response.partitions()) {
    std::string state = "-";
    std::string kafka_partition = "-";
    std::string epoch = "-";
    if (!each.chain().empty()) {
      const v1::Segment& last = each.chain(each.chain_size() - 1);
      state = Word(last.state());
      kafka_partition = std::to_string(last.kafka_partition());
      epoch = std::to_string(last.epoch());
    }
    rows.push_back(
        {std::to_string(each.partition()), each.sub_cluster(),
         each.kafka_topic(), kafka_partition,
         hashed ? std::to_string(each.low()) + "-" + std::to_string(each.high())
                : std::to_string(each.keys()),
         state, std::to_string(each.chain_size()), epoch});
  }
  printer->PrintLine("");
  printer->PrintTable({{"PARTITION"},
                       {"CLUSTER"},
                       {"KAFKA-TOPIC"},
                       {"KAFKA-PARTITION"},
                       {hashed ? "HASHES" : "KEYS"},
                       {"STATE"},
                       {"SEGMENTS", Column::kWide},
                       {"EPOCH", Column::kWide}},
                      rows);
}

void AddDescribe(Command topic) {
  auto request = std::make_shared<v1::DescribeTopicRequest>();
  Command describe =
      topic.Verb("describe", "Show one logical topic and its partitions");
  describe.Positional("NAME", "Name of the topic",
                      Into(request->mutable_name()));
  describe.Option(
      "--max-partitions", "N", "Partitions to list at most (1000)",
      Number32([r = request.get()](uint32_t n) { r->set_max_partitions(n); }));
  describe.Runs([request](Invocation* run) -> absl::Status {
    v1::DescribeTopicResponse response;
    RETURN_IF_ERROR(run->Call(*request, &response));
    const v1::TopicStatus& it = response.topic();
    const v1::TopicSpec& spec = it.spec();
    run->printer().PrintMessage(
        response,
        {{"Name", spec.name()},
         {"Kind", Word(spec.kind())},
         {"Regions", Regions(spec)},
         {"Generation", std::to_string(it.generation())},
         {"Partitions", std::to_string(it.partitions())},
         {"Keys", std::to_string(it.keys())},
         {"Kafka topics ready", Of(it.kafka_topics_ready(), it.kafka_topics())},
         {"Retention", Milliseconds(spec.retention_ms())},
         {"Lease", Milliseconds(spec.lease_ttl_ms())},
         {"At lease end", spec.on_lease_end() == v1::ON_LEASE_END_CONTINUE
                              ? "continue"
                              : "stop"}});
    if (!response.partitions().empty()) {
      PrintPartitions(response, &run->printer());
    }
    return absl::OkStatus();
  });
}

void AddDelete(Command topic) {
  auto request = std::make_shared<v1::DeleteTopicRequest>();
  Command remove = topic.Verb(
      "delete", "Delete a logical topic, its bindings and its Kafka topics");
  remove.Positional("NAME", "Name of the topic", Into(request->mutable_name()));
  remove.Destroys();
  remove.Runs([request](Invocation* run) -> absl::Status {
    RETURN_IF_ERROR(run->Confirm("delete topic " + request->name() +
                                 " and its Kafka topics with all messages"));
    return run->Change(&*request);
  });
}

}  // namespace

void AddTopicCommands(Command root) {
  Command topic = root.Noun("topic", "Logical topics");
  AddCreate(topic);
  AddList(topic);
  AddDescribe(topic);
  AddDelete(topic);
}

}  // namespace kafed::cli
