// kafedctl resource: public resources, one partition each.
#include "cli/commands.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

constexpr uint32_t kPage = 10'000;

void AddAdd(Command resource) {
  auto request = std::make_shared<v1::AddResourceRequest>();
  Command add = resource.Verb("add", "Add a resource with its own partition");
  add.Positional("TOPIC", "Resource topic, such as elb",
                 Into(request->mutable_topic()));
  add.Positional("ID", "Unique id in the topic", Into(request->mutable_id()));
  add.Option("--region", "REGION",
             "Region (default: the only one of the topic)",
             Into(request->mutable_region()));
  add.Option("--zone", "ZONE", "Preferred zone (default: any)",
             Into(request->mutable_zone()));
  add.Changes();
  add.Runs([request](Invocation* run) { return run->Change(&*request); });
}

void AddList(Command resource) {
  auto request = std::make_shared<v1::ListResourcesRequest>();
  Command list = resource.Verb("list", "List the resources");
  list.Positional("TOPIC", "Only this topic", Into(request->mutable_topic()),
                  Command::Count::kOptional);
  list.Runs([request](Invocation* run) -> absl::Status {
    run->printer().BeginList({{"TOPIC"}, {"ID"}, {"PARTITION"}, {"CLUSTER"}});
    request->set_page_size(kPage);
    do {
      v1::ListResourcesResponse response;
      RETURN_IF_ERROR(run->Call(*request, &response));
      for (const v1::ResourceStatus& each : response.resources()) {
        run->printer().Add(
            each, {each.topic(), each.id(), std::to_string(each.partition()),
                   each.sub_cluster()});
      }
      request->set_page_token(response.next_page_token());
    } while (!request->page_token().empty());
    run->printer().SortRows();
    run->printer().EndList();
    return absl::OkStatus();
  });
}

void AddRemove(Command resource) {
  auto request = std::make_shared<v1::RemoveResourceRequest>();
  Command remove = resource.Verb(
      "remove", "Remove a resource; its partition is never used again");
  remove.Positional("TOPIC", "Resource topic", Into(request->mutable_topic()));
  remove.Positional("ID", "Id of the resource", Into(request->mutable_id()));
  remove.Destroys();
  remove.Runs([request](Invocation* run) -> absl::Status {
    RETURN_IF_ERROR(run->Confirm("remove resource " + request->topic() + "/" +
                                 request->id() + " and seal its partition"));
    return run->Change(&*request);
  });
}

}  // namespace

void AddResourceCommands(Command root) {
  Command resource = root.Noun("resource", "Public resources");
  AddAdd(resource);
  AddList(resource);
  AddRemove(resource);
}

}  // namespace kafed::cli
