// kafedctl session: the producers registered with the metadata cluster.
#include "cli/commands.h"
#include "cli/text.h"
#include "common/status_macros.h"
#include "common/uuid.h"

namespace kafed::cli {
namespace {

void AddList(Command session) {
  Command list = session.Verb("list", "List the sessions");
  list.Runs([](Invocation* run) -> absl::Status {
    v1::ListSessionsResponse response;
    RETURN_IF_ERROR(run->Call(v1::ListSessionsRequest(), &response));
    run->printer().BeginList({{"ID"},
                              {"NAME"},
                              {"REGION"},
                              {"CONNECTED"},
                              {"LEASE"},
                              {"ACKNOWLEDGED"},
                              {"SOURCE", Column::kWide}});
    for (const v1::SessionStatus& each : response.sessions()) {
      run->printer().Add(
          each, {std::to_string(each.session_id()), each.name(), each.region(),
                 each.connected() ? "yes" : "no",
                 std::to_string(each.lease_remaining_ms()) + "ms",
                 FormatPosition(each.acknowledged()), ToHex(each.source())});
    }
    run->printer().EndList();
    return absl::OkStatus();
  });
}

void AddEnd(Command session) {
  auto request = std::make_shared<v1::EndSessionRequest>();
  Command end = session.Verb("end", "End a session; its counts are unproven");
  end.Positional(
      "ID", "Id of the session",
      Number64([r = request.get()](uint64_t id) { r->set_session_id(id); }));
  end.Destroys();
  end.Runs([request](Invocation* run) -> absl::Status {
    RETURN_IF_ERROR(run->Confirm("end session " +
                                 std::to_string(request->session_id()) +
                                 ", whose producer must open another"));
    return run->Change(&*request);
  });
}

}  // namespace

void AddSessionCommands(Command root) {
  Command session = root.Noun("session", "Sessions of producers");
  AddList(session);
  AddEnd(session);
}

}  // namespace kafed::cli
