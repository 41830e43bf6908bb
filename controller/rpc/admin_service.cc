#include "controller/rpc/admin_service.h"

#include <charconv>
#include <utility>

#include "common/status_macros.h"
#include "controller/rpc/status_conversion.h"

namespace kafed::controller {

using federation::Draft;

absl::Status CheckOptions(const v1::MutationOptions& options) {
  if (!options.request_id().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "options.request_id: is missing; expected a UUIDv7 of 16 bytes, the same "
      "one for each retry");
}

absl::StatusOr<BlockTable::Cursor> CursorOf(const std::string& token) {
  BlockTable::Cursor cursor = 0;
  if (token.empty()) return cursor;
  const auto [end, error] =
      std::from_chars(token.data(), token.data() + token.size(), cursor, 16);
  if (error != std::errc() || end != token.data() + token.size()) {
    return absl::InvalidArgumentError(
        "page_token: is not one of a former answer");
  }
  return cursor;
}

std::string TokenOf(BlockTable::Cursor cursor) {
  if (cursor == BlockTable::kEnd) return "";
  char text[17];
  const auto end = std::to_chars(text, text + sizeof text, cursor, 16).ptr;
  return {text, end};
}

absl::StatusOr<uint32_t> PageSize(uint32_t asked) {
  if (asked > kMaxPage) {
    return absl::InvalidArgumentError("page_size: " + std::to_string(asked) +
                                      " is over the maximum " +
                                      std::to_string(kMaxPage));
  }
  return asked == 0 ? kDefaultPage : asked;
}

AdminService::Unary* AdminService::Answer(Call* call,
                                          const absl::Status& status) {
  Unary* reactor = call->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

AdminService::Unary* AdminService::Offload(Call* call,
                                           std::function<absl::Status()> work) {
  Unary* reactor = call->DefaultReactor();
  const bool taken = context_.workers->Run(
      [reactor, work = std::move(work)] { reactor->Finish(ToGrpc(work())); });
  if (!taken) {
    reactor->Finish(ToGrpc(absl::ResourceExhaustedError(
        "the node has too many calls waiting; try again later")));
  }
  return reactor;
}

AdminService::Unary* AdminService::Change(Call* call,
                                          const v1::MutationOptions& options,
                                          v1::MutationResponse* response,
                                          Planner planner,
                                          std::function<void()> after) {
  if (const absl::Status checked = CheckOptions(options); !checked.ok()) {
    return Answer(call, checked);
  }
  Unary* reactor = call->DefaultReactor();
  Command command;
  command.request_id = options.request_id();
  command.dry_run = options.dry_run();
  command.plan = [planner = std::move(planner)](
                     Draft* draft) -> absl::StatusOr<std::string> {
    ASSIGN_OR_RETURN(const v1::MutationResponse planned, planner(draft));
    return planned.SerializeAsString();
  };
  command.done = [reactor, response, after = std::move(after),
                  dry_run =
                      options.dry_run()](absl::StatusOr<Committed> answer) {
    if (answer.ok()) {
      response->ParseFromString(answer->response);
      response->set_dry_run(dry_run);
      if (after && !dry_run) after();
    }
    reactor->Finish(ToGrpc(answer.status()));
  };
  context_.writer->Submit(std::move(command));
  return reactor;
}

}  // namespace kafed::controller
