// kafedctl instance: southbound infra instances, which own VPCs.
#include <array>
#include <cstdio>

#include "cli/commands.h"
#include "cli/text.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

std::string NumberText(double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", number);
  return text.data();
}

void AddAdd(Command instance) {
  auto request = std::make_shared<v1::AddInstanceRequest>();
  v1::InstanceSpec* spec = request->mutable_spec();
  Command add = instance.Verb("add", "Register an instance");
  add.Positional("ID", "Unique id", Into(spec->mutable_id()));
  add.Option("--region", "REGION", "Region it is in",
             Into(spec->mutable_region()), Command::Need::kRequired);
  add.Option("--zone", "ZONE", "Zone it is in (default: none)",
             Into(spec->mutable_zone()));
  add.Option(
      "--quota", "SERVICE=NUMBER[:COST[:FREQUENCY]]",
      "Requests of a service it can serve; cost of one request and "
      "relative frequency of calls are 1 unless given",
      [spec](const std::string& text) -> absl::Status {
        ASSIGN_OR_RETURN(*spec->add_quotas(), ParseQuota(text));
        return absl::OkStatus();
      },
      Command::Need::kRequired);
  add.Changes();
  add.Runs([request](Invocation* run) { return run->Change(&*request); });
}

std::string Quotas(const v1::InstanceSpec& spec) {
  std::vector<std::string> quotas;
  for (const v1::Quota& quota : spec.quotas()) {
    quotas.push_back(quota.service() + "=" + NumberText(quota.used()) + "/" +
                     NumberText(quota.quota()));
  }
  return Join(quotas, ",");
}

void AddList(Command instance) {
  Command list = instance.Verb("list", "List the instances and their load");
  list.Runs([](Invocation* run) -> absl::Status {
    v1::ListInstancesResponse response;
    RETURN_IF_ERROR(run->Call(v1::ListInstancesRequest(), &response));
    run->printer().BeginList({{"ID"},
                              {"REGION"},
                              {"ZONE"},
                              {"VPCS"},
                              {"RESIDUAL"},
                              {"OVERLOADED"},
                              {"USED/QUOTA", Column::kWide}});
    for (const v1::InstanceStatus& each : response.instances()) {
      run->printer().Add(
          each, {each.spec().id(), each.spec().region(), each.spec().zone(),
                 std::to_string(each.vpcs()), NumberText(each.residual()),
                 each.overloaded() ? "yes" : "no", Quotas(each.spec())});
    }
    run->printer().EndList();
    return absl::OkStatus();
  });
}

void AddReport(Command instance) {
  auto request = std::make_shared<v1::ReportInstanceRequest>();
  v1::ReportInstanceRequest* r = request.get();
  Command report = instance.Verb(
      "report", "Report an instance's load; an overloaded one loses VPCs");
  report.Positional("ID", "Id of the instance", Into(r->mutable_id()));
  report.Option(
      "--used", "SERVICE=NUMBER", "Requests used of a service",
      [r](const std::string& text) -> absl::Status {
        ASSIGN_OR_RETURN(const auto pair, ParsePair(text));
        ASSIGN_OR_RETURN(const double used, ParseDecimal(pair.second));
        if (used < 0) {
          return absl::InvalidArgumentError("'" + text +
                                            "' is below 0; expected 0 or more");
        }
        v1::Quota* load = r->add_load();
        load->set_service(pair.first);
        load->set_used(used);
        return absl::OkStatus();
      },
      Command::Need::kRequired);
  report.Option("--vpc", "VPC",
                "VPCs that make up most of the load, heaviest first",
                Into(r->mutable_vpcs()));
  report.Runs([request](Invocation* run) -> absl::Status {
    v1::ReportInstanceResponse response;
    RETURN_IF_ERROR(run->Call(*request, &response));
    run->printer().PrintMessage(
        response,
        {{"Overloaded", response.overloaded() ? "yes" : "no"},
         {"Moved", response.moved().empty() ? "none"
                                            : Join({response.moved().begin(),
                                                    response.moved().end()},
                                                   ", ")}});
    return absl::OkStatus();
  });
}

void AddRemove(Command instance) {
  auto request = std::make_shared<v1::RemoveInstanceRequest>();
  Command remove = instance.Verb("remove", "Remove an instance");
  remove.Positional("ID", "Id of the instance", Into(request->mutable_id()));
  remove.Flag("--cascade",
              "Give its VPCs to others; else one with VPCs is refused",
              [r = request.get()] { r->set_cascade(true); });
  remove.Destroys();
  remove.Runs([request](Invocation* run) -> absl::Status {
    RETURN_IF_ERROR(run->Confirm("remove instance " + request->id()));
    return run->Change(&*request);
  });
}

}  // namespace

void AddInstanceCommands(Command root) {
  Command instance = root.Noun("instance", "Southbound infra instances");
  AddAdd(instance);
  AddList(instance);
  AddReport(instance);
  AddRemove(instance);
}

}  // namespace kafed::cli
