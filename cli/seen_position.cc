#include "cli/seen_position.h"

#include <string>
#include <utility>

namespace kafed::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// The field of that name where it is one message of that type, or of any where
// `type` is null; null: there is none.
const FieldDescriptor* FieldOf(const Message& message, const std::string& name,
                               const google::protobuf::Descriptor* type) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  const bool fits = field != nullptr && !field->is_repeated() &&
                    field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
                    (type == nullptr || field->message_type() == type);
  return fits ? field : nullptr;
}

std::pair<uint64_t, uint64_t> OrderOf(const v1::Position& position) {
  return {position.incarnation(), position.index()};
}

}  // namespace

void SeenPosition::Learn(const Message& response) {
  const auto* reflection = response.GetReflection();
  if (const auto* field = FieldOf(response, "result", nullptr)) {
    Learn(reflection->GetMessage(response, field));
  }
  const auto* field = FieldOf(response, "position", v1::Position::descriptor());
  if (field == nullptr) return;
  const auto& position =
      static_cast<const v1::Position&>(reflection->GetMessage(response, field));
  if (OrderOf(seen_) < OrderOf(position)) seen_ = position;
}

std::unique_ptr<Message> SeenPosition::Asking(const Message& request) const {
  std::unique_ptr<Message> question(request.New());
  question->CopyFrom(request);
  const auto* field =
      FieldOf(request, "min_position", v1::Position::descriptor());
  const auto* reflection = question->GetReflection();
  if (field != nullptr && seen_.index() != 0 &&
      !reflection->HasField(*question, field)) {
    reflection->MutableMessage(question.get(), field)->CopyFrom(seen_);
  }
  return question;
}

}  // namespace kafed::cli
