// kafedctl upgrade: the feature level, which is raised when every node runs the
// new version, and not before.
#include <algorithm>

#include "cli/commands.h"
#include "cli/text.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

// What `finish` would raise the level to: the highest that every node supports,
// down or not; the level in force where that is no higher.
uint32_t RaisesTo(const v1::ListNodesResponse& response) {
  if (response.nodes().empty()) return response.feature_level();
  uint32_t lowest = UINT32_MAX;
  for (const v1::NodeStatus& each : response.nodes()) {
    lowest = std::min(lowest, each.feature_level());
  }
  return std::max(lowest, response.feature_level());
}

std::string FinishOf(const v1::ListNodesResponse& response) {
  const uint32_t to = RaisesTo(response);
  if (to > response.feature_level())
    return "raises it to " + std::to_string(to);
  if (response.nodes().empty()) return "raises nothing: there is no node";
  std::vector<std::string> holding;
  holding.reserve(static_cast<size_t>(response.nodes_size()));
  for (const v1::NodeStatus& each : response.nodes()) {
    if (each.feature_level() > to) continue;
    holding.push_back(std::to_string(each.node_id()));
  }
  return "raises nothing: no higher level is supported by node " +
         Join(holding, ", ");
}

void WriteStatus(const v1::ListNodesResponse& response,
                 DocumentWriter* document) {
  document->BeginObject();
  document->Key("feature_level");
  document->Literal(std::to_string(response.feature_level()));
  document->Key("finish_raises_to");
  document->Literal(std::to_string(RaisesTo(response)));
  document->Key("nodes");
  document->BeginArray();
  for (const v1::NodeStatus& each : response.nodes()) {
    WriteMessage(each, Defaults::kWrite, document);
  }
  document->EndArray();
  document->EndObject();
  document->EndDocument();
}

absl::Status ShowStatus(Invocation* run) {
  v1::ListNodesResponse response;
  RETURN_IF_ERROR(run->Call(v1::ListNodesRequest(), &response));
  Printer* printer = &run->printer();
  if (printer->structured()) {
    WriteStatus(response, printer->NewDocument().get());
    return absl::OkStatus();
  }
  std::vector<Cells> rows;
  rows.reserve(static_cast<size_t>(response.nodes_size()));
  for (const v1::NodeStatus& each : response.nodes()) {
    rows.push_back({std::to_string(each.node_id()), each.address(),
                    each.version(), std::to_string(each.feature_level()),
                    each.reachable() ? "yes" : "no: " + each.error()});
  }
  printer->PrintMessage(
      response, {{"Feature level", std::to_string(response.feature_level())},
                 {"Finish", FinishOf(response)}});
  printer->PrintLine("");
  printer->PrintTable(
      {{"NODE"}, {"ADDRESS"}, {"VERSION"}, {"SUPPORTS"}, {"REACHABLE"}}, rows);
  return absl::OkStatus();
}

}  // namespace

void AddUpgradeCommands(Command root) {
  Command upgrade = root.Noun("upgrade", "The feature level of the cluster");
  upgrade
      .Verb("status",
            "The feature level in force, what each node supports, and what "
            "finish would raise it to")
      .Runs(ShowStatus);
  auto request = std::make_shared<v1::FinishUpgradeRequest>();
  Command finish = upgrade.Verb(
      "finish",
      "Raise the feature level to the highest that every node supports. No "
      "node can go back to a version below it");
  finish.Changes();
  finish.Runs([request](Invocation* run) { return run->Change(&*request); });
}

}  // namespace kafed::cli
