// kafedctl route, explain, members and subscriptions: where messages go, why,
// and who reads them.
#include <functional>
#include <map>

#include "cli/commands.h"
#include "cli/text.h"
#include "cli/words.h"
#include "common/status_macros.h"
#include "kafed/v1/routing.pb.h"

namespace kafed::cli {
namespace {

constexpr size_t kKeysPerCall = 10'000;

std::string StateOf(const v1::RouteTarget& target) {
  if (target.held()) return "held";
  return target.ready() ? "ready" : "creating";
}

void AddResult(const v1::RouteResult& result, Printer* printer) {
  if (printer->structured()) return printer->Add(result, {});
  const std::string lease =
      result.lease().remaining_ms() == 0
          ? "unleased"
          : std::to_string(result.lease().remaining_ms()) + "ms";
  for (const v1::RouteTarget& target : result.targets()) {
    printer->Add(
        result, {result.key(), std::to_string(target.partition()),
                 target.sub_cluster(), target.bootstrap_servers(),
                 target.kafka_topic(), std::to_string(target.kafka_partition()),
                 std::to_string(target.epoch()), StateOf(target), lease,
                 target.security_ref()});
  }
}

// The keys of the command line; "-" stands for the lines of stdin.
absl::StatusOr<std::vector<std::string>> ReadKeys(
    const std::vector<std::string>& arguments, std::istream* in) {
  std::vector<std::string> keys;
  for (const std::string& argument : arguments) {
    if (argument != "-") {
      keys.push_back(argument);
      continue;
    }
    size_t number = 0;
    for (std::string line; std::getline(*in, line);) {
      ++number;
      if (FindBadUtf8(line) != std::string::npos) {
        return absl::InvalidArgumentError("line " + std::to_string(number) +
                                          " of stdin: " + Shortened(line) +
                                          " is not UTF-8");
      }
      if (!line.empty()) keys.push_back(line);
    }
  }
  return keys;
}

// For reads: the answer has all that was acknowledged before.
void AddLinearizable(Command verb, std::function<void()> set) {
  verb.Flag("--linearizable",
            "Ask the log first, so that the answer has every change that was "
            "acknowledged before, at whichever node",
            std::move(set));
}

absl::Status Route(const std::vector<std::string>& arguments, bool linearizable,
                   Invocation* run) {
  ASSIGN_OR_RETURN(const std::vector<std::string> keys,
                   ReadKeys(arguments, run->streams().in));
  size_t failed = 0;
  run->printer().BeginList({{"KEY"},
                            {"PARTITION"},
                            {"CLUSTER"},
                            {"BOOTSTRAP"},
                            {"KAFKA-TOPIC"},
                            {"KAFKA-PARTITION"},
                            {"EPOCH"},
                            {"STATE"},
                            {"LEASE"},
                            {"SECURITY", Column::kWide}});
  std::vector<std::string> errors;
  for (size_t at = 0; at < keys.size(); at += kKeysPerCall) {
    v1::RouteRequest request;
    request.set_linearizable(linearizable);
    const size_t end = std::min(at + kKeysPerCall, keys.size());
    for (size_t i = at; i < end; ++i) request.add_keys(keys[i]);
    v1::RouteResponse response;
    RETURN_IF_ERROR(run->Call(request, &response));
    for (const v1::RouteResult& result : response.results()) {
      AddResult(result, &run->printer());
      if (result.error_code() == 0) continue;
      ++failed;
      errors.push_back(result.key() + ": " + result.error());
    }
  }
  if (failed < keys.size() || run->printer().structured()) {
    run->printer().EndList();
  }
  if (failed == 0) return absl::OkStatus();
  return absl::NotFoundError(Join(errors, "\nkafedctl: "));
}

void AddRoute(Command root) {
  auto keys = std::make_shared<std::vector<std::string>>();
  Command route = root.Verb("route", "Where messages of these keys go");
  route.Positional("KEY", "Keys as TOPIC/ID; - reads them from stdin",
                   Into(keys.get()), Command::Count::kMany);
  auto linearizable = std::make_shared<bool>(false);
  AddLinearizable(route, [linearizable] { *linearizable = true; });
  route.Runs([keys, linearizable](Invocation* run) {
    return Route(*keys, *linearizable, run);
  });
}

void AddExplain(Command root) {
  auto request = std::make_shared<v1::ExplainRequest>();
  Command explain = root.Verb("explain", "Why a key is where it is");
  explain.Positional("KEY", "The key as TOPIC/ID",
                     Into(request->mutable_key()));
  explain.Runs([request](Invocation* run) -> absl::Status {
    v1::ExplainResponse response;
    RETURN_IF_ERROR(run->Call(*request, &response));
    run->printer().PrintMessage(response, {});
    for (const std::string& line : response.lines()) {
      run->printer().PrintLine(line);
    }
    if (response.decided_at().index() > 0) {
      run->printer().PrintLine("decided at position " +
                               FormatPosition(response.decided_at()));
    }
    return absl::OkStatus();
  });
}

void AddMembers(Command root) {
  auto request = std::make_shared<v1::RouteMembersRequest>();
  Command members =
      root.Verb("members", "The unicast partitions that cover a VPC's hosts");
  members.Positional("VPC", "Id of the VPC", Into(request->mutable_vpc()));
  members.Option("--topic", "TOPIC",
                 "Unicast topic (default: the only one there is)",
                 Into(request->mutable_topic()));
  AddLinearizable(members, [request] { request->set_linearizable(true); });
  members.Runs([request](Invocation* run) -> absl::Status {
    v1::RouteMembersResponse response;
    RETURN_IF_ERROR(run->Call(*request, &response));
    run->printer().PrintMessage(response, {});
    std::vector<Cells> rows;
    for (const v1::MemberGroup& group : response.groups()) {
      std::vector<std::string> hosts;
      for (const v1::MemberHost& host : group.hosts()) {
        const std::string vms =
            Join({host.vms().begin(), host.vms().end()}, ",");
        hosts.push_back(vms.empty() ? host.id() : host.id() + "{" + vms + "}");
      }
      rows.push_back({std::to_string(group.target().partition()),
                      group.target().sub_cluster(),
                      group.target().kafka_topic(),
                      std::to_string(group.target().kafka_partition()),
                      StateOf(group.target()), Join(hosts, " ")});
    }
    run->printer().PrintTable({{"PARTITION"},
                               {"CLUSTER"},
                               {"KAFKA-TOPIC"},
                               {"KAFKA-PARTITION"},
                               {"STATE"},
                               {"HOSTS"}},
                              rows);
    return absl::OkStatus();
  });
}

void PrintSubscriptions(const v1::SubscriptionsResponse& response,
                        Printer* printer) {
  std::map<uint32_t, std::string> clusters;
  for (const v1::SubClusterRow& row : response.sub_clusters()) {
    clusters[row.id()] = row.name();
  }
  std::map<uint32_t, std::string> kafka_topics;
  for (const v1::KafkaTopicRow& row : response.kafka_topics()) {
    kafka_topics[row.id()] = row.name();
  }
  std::vector<Cells> rows;
  for (const v1::Subscription& each : response.subscriptions()) {
    std::vector<std::string> keys;
    for (const v1::SubscribedKey& key : each.keys()) {
      keys.push_back(key.key() + "@" + std::to_string(key.from_offset()));
    }
    for (const v1::Segment& segment : each.chain()) {
      rows.push_back({each.topic(), std::to_string(each.partition()),
                      clusters[segment.sub_cluster_id()],
                      kafka_topics[segment.kafka_topic_id()],
                      std::to_string(segment.kafka_partition()),
                      Word(segment.state()), Join(keys, " "),
                      std::to_string(segment.epoch())});
    }
  }
  printer->PrintTable({{"TOPIC"},
                       {"PARTITION"},
                       {"CLUSTER"},
                       {"KAFKA-TOPIC"},
                       {"KAFKA-PARTITION"},
                       {"STATE"},
                       {"KEYS@FROM"},
                       {"EPOCH", Column::kWide}},
                      rows);
}

void AddSubscriptions(Command root) {
  auto request = std::make_shared<v1::SubscriptionsRequest>();
  Command subscriptions =
      root.Verb("subscriptions", "Every chain a host's agent must read");
  subscriptions.Positional("HOST", "Id of the host",
                           Into(request->mutable_host()));
  AddLinearizable(subscriptions,
                  [request] { request->set_linearizable(true); });
  subscriptions.Runs([request](Invocation* run) -> absl::Status {
    v1::SubscriptionsResponse response;
    RETURN_IF_ERROR(run->Call(*request, &response));
    run->printer().PrintMessage(response, {});
    PrintSubscriptions(response, &run->printer());
    return absl::OkStatus();
  });
}

}  // namespace

void AddRouteCommands(Command root) {
  AddRoute(root);
  AddExplain(root);
  AddMembers(root);
  AddSubscriptions(root);
}

}  // namespace kafed::cli
