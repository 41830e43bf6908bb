// kafedctl node: the nodes of the metadata cluster.
#include <algorithm>

#include "cli/commands.h"
#include "cli/text.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

std::string HealthOf(const v1::NodeStatus& node) {
  return node.reachable() ? node.health() : "unreachable: " + node.error();
}

// What only the node itself knows: nothing where it did not answer.
std::string Told(const v1::NodeStatus& node, uint64_t number) {
  return node.reachable() ? std::to_string(number) : "";
}

std::string UptimeOf(const v1::NodeStatus& node) {
  if (!node.reachable()) return "";
  const auto seconds = static_cast<int64_t>(node.uptime_ms() / 1000);
  return FormatDuration(milliseconds(seconds * 1000));
}

std::string YesNo(bool yes) { return yes ? "yes" : "no"; }

void AddList(Command node) {
  Command list = node.Verb("list", "List the nodes, each as it answers now");
  list.Runs([](Invocation* run) -> absl::Status {
    v1::ListNodesResponse response;
    RETURN_IF_ERROR(run->Call(v1::ListNodesRequest(), &response));
    run->printer().BeginList({{"ID"},
                              {"ADDRESS"},
                              {"REGION"},
                              {"VERSION"},
                              {"FEATURE-LEVEL"},
                              {"COORDINATOR"},
                              {"POSITION"},
                              {"LAG"},
                              {"LAG-MS"},
                              {"FOLLOWERS", Column::kWide},
                              {"UP", Column::kWide},
                              {"HEALTH"}});
    for (const v1::NodeStatus& each : response.nodes()) {
      run->printer().Add(
          each, {std::to_string(each.node_id()), each.address(), each.region(),
                 each.version(), std::to_string(each.feature_level()),
                 YesNo(each.coordinator()), FormatPosition(each.position()),
                 Told(each, each.lag_entries()), Told(each, each.lag_ms()),
                 Told(each, each.followers()), UptimeOf(each), HealthOf(each)});
    }
    run->printer().EndList();
    return absl::OkStatus();
  });
}

absl::Status Describe(uint64_t id, Invocation* run) {
  v1::ListNodesResponse response;
  RETURN_IF_ERROR(run->Call(v1::ListNodesRequest(), &response));
  const auto at = std::find_if(
      response.nodes().begin(), response.nodes().end(),
      [id](const v1::NodeStatus& node) { return node.node_id() == id; });
  if (at == response.nodes().end()) {
    std::vector<std::string> known;
    known.reserve(static_cast<size_t>(response.nodes_size()));
    for (const v1::NodeStatus& each : response.nodes()) {
      known.push_back(std::to_string(each.node_id()));
    }
    return absl::NotFoundError("ID: there is no node " + std::to_string(id) +
                               "; expected one of " + Join(known, ", "));
  }
  const auto told = [](const std::string& text) {
    return text.empty() ? "not told" : text;
  };
  Fields fields = {{"ID", std::to_string(id)},
                   {"Address", told(at->address())},
                   {"Region", told(at->region())},
                   {"Version", at->version()},
                   {"Feature level", std::to_string(at->feature_level())},
                   {"Coordinator", YesNo(at->coordinator())},
                   {"Health", HealthOf(*at)}};
  if (at->reachable()) {
    fields.insert(fields.end(),
                  {{"Position", FormatPosition(at->position())},
                   {"Lag", std::to_string(at->lag_entries()) + " entries, " +
                               std::to_string(at->lag_ms()) + "ms"},
                   {"Up", UptimeOf(*at)},
                   {"Followers", std::to_string(at->followers())}});
  }
  run->printer().PrintMessage(*at, fields);
  return absl::OkStatus();
}

void AddDescribe(Command node) {
  auto id = std::make_shared<uint64_t>(0);
  Command describe = node.Verb("describe", "Show one node");
  describe.Positional("ID", "Id of the node, as `node list` shows it",
                      Number64([id](uint64_t number) { *id = number; }));
  describe.Runs([id](Invocation* run) { return Describe(*id, run); });
}

void AddRemove(Command node) {
  auto request = std::make_shared<v1::RemoveNodeRequest>();
  Command remove = node.Verb("remove", "Forget a node that is gone for good");
  remove.Positional(
      "ID", "Id of the node, as `node list` shows it",
      Number64([r = request.get()](uint64_t id) { r->set_node_id(id); }));
  remove.Destroys();
  remove.Runs([request](Invocation* run) -> absl::Status {
    RETURN_IF_ERROR(run->Confirm("forget node " +
                                 std::to_string(request->node_id()) +
                                 ", which must be gone for good"));
    return run->Change(&*request);
  });
}

}  // namespace

void AddNodeCommands(Command root) {
  Command node = root.Noun("node", "Nodes of the metadata cluster");
  AddList(node);
  AddDescribe(node);
  AddRemove(node);
}

}  // namespace kafed::cli
