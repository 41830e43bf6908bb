// kafedctl host: the fleet.
#include <algorithm>

#include "cli/commands.h"
#include "cli/host_file.h"
#include "cli/host_import.h"
#include "cli/input.h"
#include "cli/text.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

constexpr uint32_t kPage = 10'000;

struct ImportArguments {
  std::string path;
  HostFileOptions file;
  bool skip_bad = false;
};

std::string SkippedText(const SkippedHosts& skipped) {
  return std::to_string(skipped.count) +
         (skipped.count == 1 ? " host was skipped:\n"
                             : " hosts were skipped:\n") +
         skipped.mistakes + (skipped.count > 10 ? "\n... and more\n" : "\n");
}

void AddImport(Command host) {
  auto arguments = std::make_shared<ImportArguments>();
  // Not called `import`: clang-format takes that for a module.
  Command verb = host.Verb(
      "import", "Add the hosts of a file: all of them, or none if one is bad");
  verb.Positional("FILE", "The file; - reads stdin", Into(&arguments->path));
  verb.Option("--region", "REGION", "Region of hosts that name none",
              Into(&arguments->file.region));
  verb.Option("--zone", "ZONE", "Zone of hosts that name none",
              Into(&arguments->file.zone));
  verb.Option("--format", "FORMAT",
              "auto, alcor (both JSON formats), csv (header "
              "id,region,zone[,label...]) or jsonl (auto)",
              Choice({"auto", "alcor", "csv", "jsonl"},
                     [a = arguments.get()](size_t i) {
                       a->file.format = static_cast<HostFormat>(i);
                     }));
  verb.Flag("--skip-bad",
            "Leave out the hosts that the file gives wrongly, and say which; "
            "what the node refuses is refused all the same",
            [a = arguments.get()] { a->skip_bad = true; });
  verb.Changes();
  verb.Runs([arguments](Invocation* run) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string text,
                     ReadInput(arguments->path, run->streams().in));
    SkippedHosts skipped;
    const auto hosts = ParseHostFile(text, arguments->file,
                                     arguments->skip_bad ? &skipped : nullptr);
    if (!hosts.ok()) {
      const std::string name =
          arguments->path == "-" ? "stdin" : arguments->path;
      return absl::InvalidArgumentError(name + " (nothing was sent):\n" +
                                        std::string(hosts.status().message()));
    }
    if (skipped.count > 0) *run->streams().error << SkippedText(skipped);
    return ImportHosts(*hosts, run);
  });
}

void AddAdd(Command host) {
  auto spec = std::make_shared<v1::HostSpec>();
  Command add = host.Verb("add", "Add one host");
  add.Positional("ID", "Unique id", Into(spec->mutable_id()));
  add.Option("--region", "REGION", "Region it is in",
             Into(spec->mutable_region()), Command::Need::kRequired);
  add.Option("--zone", "ZONE", "Zone it is in (default: any)",
             Into(spec->mutable_zone()));
  add.Option("--label", "NAME=VALUE", "Label; several times for several",
             [s = spec.get()](const std::string& text) -> absl::Status {
               ASSIGN_OR_RETURN(auto pair, ParsePair(text));
               (*s->mutable_labels())[pair.first] = std::move(pair.second);
               return absl::OkStatus();
             });
  add.Changes();
  add.Runs([spec](Invocation* run) { return ImportHosts({*spec}, run); });
}

std::string Labels(const v1::HostSpec& host) {
  std::vector<std::string> pairs;
  for (const auto& [name, value] : host.labels()) {
    pairs.emplace_back(name).append("=").append(value);
  }
  std::sort(pairs.begin(), pairs.end());
  return Join(pairs, ",");
}

std::string Bindings(const v1::HostStatus& host) {
  std::vector<std::string> keys;
  for (const v1::HostBinding& binding : host.bindings()) {
    keys.push_back(binding.topic() + ":" + std::to_string(binding.partition()));
  }
  return Join(keys, ",");
}

void AddList(Command host) {
  auto request = std::make_shared<v1::ListHostsRequest>();
  Command list = host.Verb("list", "List the hosts");
  list.Option("--region", "REGION", "Only hosts of this region",
              Into(request->mutable_region()));
  list.Option("--home", "CLUSTER", "Only hosts at home in this sub-cluster",
              Into(request->mutable_home()));
  list.Runs([request](Invocation* run) -> absl::Status {
    run->printer().BeginList({{"ID"},
                              {"REGION"},
                              {"ZONE"},
                              {"HOME"},
                              {"PARTITIONS"},
                              {"VPCS"},
                              {"LABELS", Column::kWide}});
    request->set_page_size(kPage);
    do {
      v1::ListHostsResponse response;
      RETURN_IF_ERROR(run->Call(*request, &response));
      for (const v1::HostStatus& each : response.hosts()) {
        run->printer().Add(
            each, {each.host().id(), each.host().region(), each.host().zone(),
                   each.home(), Bindings(each),
                   std::to_string(each.vpcs_size()), Labels(each.host())});
      }
      request->set_page_token(response.next_page_token());
    } while (!request->page_token().empty());
    run->printer().SortRows();
    run->printer().EndList();
    return absl::OkStatus();
  });
}

void AddDescribe(Command host) {
  auto request = std::make_shared<v1::DescribeHostRequest>();
  Command describe = host.Verb("describe", "Show one host");
  describe.Positional("ID", "Id of the host", Into(request->mutable_id()));
  describe.Runs([request](Invocation* run) -> absl::Status {
    v1::DescribeHostResponse response;
    RETURN_IF_ERROR(run->Call(*request, &response));
    const v1::HostStatus& it = response.host();
    run->printer().PrintMessage(
        it,
        {{"Id", it.host().id()},
         {"Region", it.host().region()},
         {"Zone", it.host().zone().empty() ? "any" : it.host().zone()},
         {"Home", it.home().empty() ? "none yet" : it.home()},
         {"Partitions", Bindings(it).empty() ? "none" : Bindings(it)},
         {"VPCs", it.vpcs().empty()
                      ? "none"
                      : Join({it.vpcs().begin(), it.vpcs().end()}, ", ")},
         {"Labels", it.host().labels().empty() ? "none" : Labels(it.host())}});
    return absl::OkStatus();
  });
}

void AddRemove(Command host) {
  auto request = std::make_shared<v1::RemoveHostsRequest>();
  Command remove = host.Verb("remove", "Remove hosts, all or none");
  remove.Positional("ID", "Ids of the hosts, at most 2,000",
                    Into(request->mutable_ids()), Command::Count::kMany);
  remove.Flag("--cascade", "Also leave their VPCs; else they are refused",
              [r = request.get()] { r->set_cascade(true); });
  remove.Destroys();
  remove.Runs([request](Invocation* run) -> absl::Status {
    RETURN_IF_ERROR(run->Confirm(
        "remove " + (request->ids_size() == 1
                         ? "host " + request->ids(0)
                         : std::to_string(request->ids_size()) + " hosts")));
    return run->Change(&*request);
  });
}

}  // namespace

void AddHostCommands(Command root) {
  Command host = root.Noun("host", "Hosts: the fleet");
  AddImport(host);
  AddAdd(host);
  AddList(host);
  AddDescribe(host);
  AddRemove(host);
}

}  // namespace kafed::cli
