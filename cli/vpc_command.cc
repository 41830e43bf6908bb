// kafedctl vpc: virtual networks and the hosts they live on.
#include <map>

#include "cli/commands.h"
#include "cli/text.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

constexpr uint32_t kPage = 10'000;

void AddCreate(Command vpc) {
  auto request = std::make_shared<v1::CreateVpcRequest>();
  Command create = vpc.Verb("create", "Create a VPC without members");
  create.Positional("ID", "Unique id", Into(request->mutable_id()));
  create.Option("--region", "REGION",
                "Region it is in (default: the only one there is)",
                Into(request->mutable_region()));
  create.Changes();
  create.Runs([request](Invocation* run) { return run->Change(&*request); });
}

struct JoinArguments {
  v1::AddVpcHostsRequest request;
  std::map<std::string, std::vector<std::string>> vms;
};

// Puts the VMs beside their hosts.
absl::Status FillVms(JoinArguments* join) {
  if (join->vms.empty()) return absl::OkStatus();
  for (const std::string& host : join->request.hosts()) {
    v1::HostVms* vms = join->request.add_vms();
    const auto found = join->vms.find(host);
    if (found == join->vms.end()) continue;
    for (const std::string& vm : found->second) vms->add_ids(vm);
    join->vms.erase(found);
  }
  if (join->vms.empty()) return absl::OkStatus();
  return UsageError("--vms: host '" + join->vms.begin()->first +
                    "' is none of the hosts given");
}

void AddAddHosts(Command vpc) {
  auto join = std::make_shared<JoinArguments>();
  Command add = vpc.Verb("add-hosts", "Let hosts join a VPC");
  add.Positional("VPC", "Id of the VPC", Into(join->request.mutable_vpc()));
  add.Positional("HOST", "Ids of the hosts",
                 Into(join->request.mutable_hosts()), Command::Count::kMany);
  add.Option("--vms", "HOST=VM,VM",
             "VMs of the VPC on one of the hosts; several times for several",
             [j = join.get()](const std::string& text) -> absl::Status {
               ASSIGN_OR_RETURN(const auto pair, ParsePair(text));
               for (std::string& vm : SplitList(pair.second, ',')) {
                 j->vms[pair.first].push_back(std::move(vm));
               }
               return absl::OkStatus();
             });
  add.Changes();
  add.Runs([join](Invocation* run) -> absl::Status {
    RETURN_IF_ERROR(FillVms(join.get()));
    *join->request.mutable_options() = run->MutationOptions();
    v1::AddVpcHostsResponse response;
    RETURN_IF_ERROR(run->CallChange(join->request, &response));
    if (run->printer().structured()) {
      run->printer().PrintMessage(response, {});
      return absl::OkStatus();
    }
    run->PrintChange(response.result());
    Fields fields = {
        {"Membership version", std::to_string(response.membership_version())}};
    if (!response.new_homes().empty()) {
      fields.emplace_back("New homes", Join({response.new_homes().begin(),
                                             response.new_homes().end()},
                                            ", "));
    }
    if (!response.waited_for().empty()) {
      fields.emplace_back(
          "Waited for sessions",
          Join({response.waited_for().begin(), response.waited_for().end()},
               ", "));
    }
    run->printer().PrintMessage(response, fields);
    return absl::OkStatus();
  });
}

void AddRemoveHosts(Command vpc) {
  auto request = std::make_shared<v1::RemoveVpcHostsRequest>();
  Command remove = vpc.Verb("remove-hosts", "Let hosts leave a VPC");
  remove.Positional("VPC", "Id of the VPC", Into(request->mutable_vpc()));
  remove.Positional("HOST", "Ids of the hosts", Into(request->mutable_hosts()),
                    Command::Count::kMany);
  remove.Destroys();
  remove.Runs([request](Invocation* run) -> absl::Status {
    RETURN_IF_ERROR(run->Confirm("let " +
                                 std::to_string(request->hosts_size()) +
                                 " hosts leave VPC " + request->vpc()));
    return run->Change(&*request);
  });
}

std::string Homes(const v1::VpcStatus& vpc) {
  std::vector<std::string> homes;
  for (const v1::VpcHome& home : vpc.homes()) {
    homes.push_back(home.sub_cluster() + ":" + std::to_string(home.members()));
  }
  return Join(homes, ",");
}

void AddList(Command vpc) {
  auto request = std::make_shared<v1::ListVpcsRequest>();
  Command list = vpc.Verb("list", "List the VPCs");
  list.Runs([request](Invocation* run) -> absl::Status {
    run->printer().BeginList({{"ID"},
                              {"REGION"},
                              {"MEMBERS"},
                              {"HOMES"},
                              {"OWNER"},
                              {"VERSION", Column::kWide},
                              {"PENDING-MARKERS", Column::kWide}});
    request->set_page_size(kPage);
    do {
      v1::ListVpcsResponse response;
      RETURN_IF_ERROR(run->Call(*request, &response));
      for (const v1::VpcStatus& each : response.vpcs()) {
        run->printer().Add(
            each, {each.id(), each.region(), std::to_string(each.members()),
                   Homes(each), each.owner(),
                   std::to_string(each.membership_version()),
                   std::to_string(each.pending_markers())});
      }
      request->set_page_token(response.next_page_token());
    } while (!request->page_token().empty());
    run->printer().SortRows();
    run->printer().EndList();
    return absl::OkStatus();
  });
}

void AddDescribe(Command vpc) {
  auto request = std::make_shared<v1::DescribeVpcRequest>();
  Command describe = vpc.Verb("describe", "Show one VPC and its hosts");
  describe.Positional("ID", "Id of the VPC", Into(request->mutable_id()));
  describe.Option(
      "--max-hosts", "N", "Members to list at most (1000)",
      Number32([r = request.get()](uint32_t n) { r->set_max_hosts(n); }));
  describe.Runs([request](Invocation* run) -> absl::Status {
    v1::DescribeVpcResponse response;
    RETURN_IF_ERROR(run->Call(*request, &response));
    const v1::VpcStatus& it = response.vpc();
    run->printer().PrintMessage(
        response,
        {{"Id", it.id()},
         {"Region", it.region()},
         {"Members", std::to_string(it.members())},
         {"Membership version", std::to_string(it.membership_version())},
         {"Owner", it.owner().empty()
                       ? "none"
                       : it.owner() + " (epoch " +
                             std::to_string(it.owner_epoch()) + ")"},
         {"Pending markers", std::to_string(it.pending_markers())},
         {"Hosts", response.hosts().empty() ? "none"
                                            : Join({response.hosts().begin(),
                                                    response.hosts().end()},
                                                   ", ")}});
    if (it.homes().empty()) return absl::OkStatus();
    std::vector<Cells> rows;
    for (const v1::VpcHome& home : it.homes()) {
      rows.push_back({home.topic(), home.sub_cluster(),
                      std::to_string(home.partition()),
                      std::to_string(home.members())});
    }
    run->printer().PrintLine("");
    run->printer().PrintTable(
        {{"TOPIC"}, {"CLUSTER"}, {"PARTITION"}, {"MEMBERS"}}, rows);
    return absl::OkStatus();
  });
}

void AddDelete(Command vpc) {
  auto request = std::make_shared<v1::DeleteVpcRequest>();
  Command remove = vpc.Verb("delete", "Delete a VPC");
  remove.Positional("ID", "Id of the VPC", Into(request->mutable_id()));
  remove.Flag("--cascade",
              "Also remove its members; else a VPC with members is refused",
              [r = request.get()] { r->set_cascade(true); });
  remove.Destroys();
  remove.Runs([request](Invocation* run) -> absl::Status {
    RETURN_IF_ERROR(run->Confirm("delete VPC " + request->id()));
    return run->Change(&*request);
  });
}

}  // namespace

void AddVpcCommands(Command root) {
  Command vpc = root.Noun("vpc", "VPCs and the hosts they live on");
  AddCreate(vpc);
  AddAddHosts(vpc);
  AddRemoveHosts(vpc);
  AddList(vpc);
  AddDescribe(vpc);
  AddDelete(vpc);
}

}  // namespace kafed::cli
