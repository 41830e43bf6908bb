#include "common/status_macros.h"
#include "federation/plan/planners.h"
#include "federation/plan/validate.h"

namespace kafed::federation {

absl::StatusOr<v1::OpenSessionResponse> PlanOpenSession(
    const v1::OpenSessionRequest& request, uint32_t ttl_ms,
    uint32_t message_timeout_ms, Draft* draft) {
  if (request.source().size() != sizeof(Source)) {
    return absl::InvalidArgumentError("source: has " +
                                      std::to_string(request.source().size()) +
                                      " bytes, expected 16");
  }
  if (request.source() == std::string(sizeof(Source), '\0')) {
    return absl::InvalidArgumentError(
        "source: is all zero; expected 16 random bytes");
  }
  if (!request.name().empty()) {
    RETURN_IF_ERROR(ValidateId("name", request.name()));
  }
  if (!request.region().empty()) {
    RETURN_IF_ERROR(ValidateName("region", request.region()));
  }
  v1::OpenSessionResponse response;
  response.set_ttl_ms(ttl_ms);
  response.set_message_timeout_ms(message_timeout_ms);
  const auto existing =
      draft->image().table(Table::kSessionSources).Find(request.source());
  if (existing) {
    // A retry after a lost answer.
    response.set_session_id(ByteReader(*existing).Varint());
    *response.mutable_position() = draft->position_proto();
    return response;
  }
  v1::Record record;
  v1::SessionOpened& opened = *record.mutable_session_opened();
  opened.set_session_id(draft->image().counters().next_session);
  opened.set_source(request.source());
  opened.set_name(request.name());
  opened.set_region(request.region());
  opened.set_ttl_ms(ttl_ms);
  response.set_session_id(opened.session_id());
  draft->Add(std::move(record));
  *response.mutable_position() = draft->position_proto();
  return response;
}

absl::StatusOr<Position> PlanCloseSession(
    uint64_t session_id, std::string_view source,
    std::span<const v1::SegmentCount> counts, std::string_view reason,
    bool unproven, Draft* draft) {
  const auto session = draft->image().Get<Session>(
      Table::kSessions, KeyOf(SessionId(session_id)));
  if (!session) {
    return absl::NotFoundError("session_id: there is no session " +
                               std::to_string(session_id) +
                               "; see `kafedctl session list`");
  }
  if (!source.empty() && source != session->source) {
    return absl::PermissionDeniedError("source: session " +
                                       std::to_string(session_id) +
                                       " belongs to another producer");
  }
  v1::Record record;
  v1::SessionClosed& closed = *record.mutable_session_closed();
  closed.set_session_id(session_id);
  closed.set_reason(std::string(reason));
  closed.set_unproven(unproven);
  for (const v1::SegmentCount& count : counts) *closed.add_counts() = count;
  draft->Add(std::move(record));
  return draft->position();
}

}  // namespace kafed::federation
