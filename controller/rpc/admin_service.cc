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

void MarkDryRun(const Committed& planned, v1::MutationResponse* response) {
  response->set_dry_run(true);
  response->mutable_position()->set_incarnation(planned.position.incarnation);
  response->mutable_position()->set_index(planned.position.index.value());
}

absl::StatusOr<uint32_t> SizeOf(std::string_view field, uint32_t size,
                                uint32_t max) {
  if (size == 0) return kDefaultPage;
  if (size <= max) return size;
  return absl::InvalidArgumentError(
      std::string(field) + ": " + std::to_string(size) +
      " is over the maximum " + std::to_string(max));
}

absl::StatusOr<Page> PageOf(const std::string& token, uint32_t size) {
  Page page;
  ASSIGN_OR_RETURN(page.size, SizeOf("page_size", size, kMaxPage));
  if (token.empty()) return page;
  const char* const stop = token.data() + token.size();
  const auto [end, error] =
      std::from_chars(token.data(), stop, page.cursor, 16);
  if (error != std::errc() || end != stop) {
    return absl::InvalidArgumentError(
        "page_token: is not one of a former answer");
  }
  return page;
}

std::string TokenOf(BlockTable::Cursor cursor) {
  if (cursor == BlockTable::kEnd) return "";
  char text[17];
  const auto end = std::to_chars(text, text + sizeof text, cursor, 16).ptr;
  return {text, end};
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
  OffloadTo(reactor, [reactor, work = std::move(work)] {
    reactor->Finish(ToGrpc(work()));
  });
  return reactor;
}

void AdminService::OffloadTo(Unary* reactor, std::function<void()> work) {
  if (context_.workers->Run(std::move(work))) return;
  reactor->Finish(ToGrpc(absl::ResourceExhaustedError(
      "the node has too many calls waiting; try again later")));
}

AdminService::Unary* AdminService::Commit(Call* call,
                                          const v1::MutationOptions& options,
                                          uint64_t fingerprint,
                                          v1::MutationResponse* response,
                                          Planner planner,
                                          std::function<void()> after) {
  if (const absl::Status checked = CheckOptions(options); !checked.ok()) {
    return Answer(call, checked);
  }
  Unary* reactor = call->DefaultReactor();
  Command command;
  command.request_id = options.request_id();
  command.fingerprint = fingerprint;
  command.dry_run = options.dry_run();
  command.abandoned = [call] { return call->IsCancelled(); };
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
      if (dry_run) {
        MarkDryRun(*answer, response);
      } else if (after) {
        after();
      }
    }
    reactor->Finish(ToGrpc(answer.status()));
  };
  context_.writer->Submit(std::move(command));
  return reactor;
}

}  // namespace kafed::controller
