// The bytes of every record, row and marker, as they are on disk and wire.
//
// Each message is filled by a fixed rule (every field set, from its number), so
// that a new type or field can't be forgotten. A line that changes is a broken
// contract; a new type or field adds to its line or adds a line.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <memory>
#include <string>

#include "common/uuid.h"
#include "kafed/v1/markers.pb.h"
#include "kafed/v1/records.pb.h"
#include "kafed/v1/rows.pb.h"
#include "kafed/v1/snapshot.pb.h"

namespace kafed {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void Fill(Message* message, int depth);

void FillField(const FieldDescriptor* field, Message* message, int depth) {
  const auto* reflection = message->GetReflection();
  const int number = field->number();
  const bool many = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (depth > 3) return;
      Fill(many ? reflection->AddMessage(message, field)
                : reflection->MutableMessage(message, field),
           depth + 1);
      return;
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text = "f" + std::to_string(number);
      many ? reflection->AddString(message, field, text)
           : reflection->SetString(message, field, text);
      return;
    }
    case FieldDescriptor::CPPTYPE_UINT32:
      many ? reflection->AddUInt32(message, field, 300u + number)
           : reflection->SetUInt32(message, field, 300u + number);
      return;
    case FieldDescriptor::CPPTYPE_UINT64:
      many ? reflection->AddUInt64(message, field, 70'000u + number)
           : reflection->SetUInt64(message, field, 70'000u + number);
      return;
    case FieldDescriptor::CPPTYPE_BOOL:
      reflection->SetBool(message, field, true);
      return;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      reflection->SetDouble(message, field, number / 2.0);
      return;
    case FieldDescriptor::CPPTYPE_ENUM:
      reflection->SetEnumValue(message, field, 1);
      return;
    default:
      FAIL() << field->full_name() << ": no rule for its type";
  }
}

void Fill(Message* message, int depth) {
  const auto* descriptor = message->GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    FillField(descriptor->field(i), message, depth);
  }
}

// One line for each member of the oneof.
void AddMembers(const Message& prototype, const std::string& oneof,
                std::map<std::string, std::string>* lines) {
  const auto* descriptor = prototype.GetDescriptor();
  const auto* members = descriptor->FindOneofByName(oneof);
  ASSERT_NE(members, nullptr);
  for (int i = 0; i < members->field_count(); ++i) {
    const std::unique_ptr<Message> message(prototype.New());
    FillField(members->field(i), message.get(), 0);
    (*lines)[members->field(i)->full_name()] =
        ToHex(message->SerializeAsString());
  }
}

void AddWhole(const Message& prototype,
              std::map<std::string, std::string>* lines) {
  const std::unique_ptr<Message> message(prototype.New());
  Fill(message.get(), 0);
  (*lines)[message->GetDescriptor()->full_name()] =
      ToHex(message->SerializeAsString());
}

TEST(GoldenTest, BytesOfRecordsRowsAndMarkersNeverChange) {
  std::map<std::string, std::string> actual;
  AddMembers(v1::Record(), "fact", &actual);
  AddMembers(v1::Row(), "row", &actual);
  AddWhole(v1::EntryHeader(), &actual);
  AddWhole(v1::ViewHeader(), &actual);
  AddWhole(v1::ImageHeader(), &actual);
  AddWhole(v1::MembershipMarker(), &actual);
  AddWhole(v1::MovedMarker(), &actual);
  std::map<std::string, std::string> golden;
  std::ifstream file(KAFED_GOLDEN);
  std::string name;
  std::string hex;
  while (file >> name >> hex) golden[name] = hex;
  EXPECT_FALSE(golden.empty()) << "no " << KAFED_GOLDEN;
  for (const auto& [each, bytes] : actual) {
    EXPECT_EQ(golden[each], bytes) << each << " " << bytes;
  }
  EXPECT_EQ(golden.size(), actual.size()) << "a type is gone";
}

}  // namespace
}  // namespace kafed
