// JsonReader against protobuf's JSON reader: what one takes the other takes,
// and strings are the same. Nothing is read twice, nothing beyond the end.
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include "cli/json_reader.h"
#include "cli/text.h"
#include "tests/fuzz/support.h"

namespace kafed::cli {
namespace {

using google::protobuf::Value;

// Reads a value as far as it can be shown as protobuf's Value.
absl::Status ReadValue(JsonReader* reader, Value* value) {
  switch (reader->Peek()) {
    case JsonReader::Kind::kObject:
      value->mutable_struct_value();
      return reader->ReadObject([&](const std::string& name) {
        return ReadValue(
            reader, &(*value->mutable_struct_value()->mutable_fields())[name]);
      });
    case JsonReader::Kind::kArray:
      value->mutable_list_value();
      return reader->ReadArray([&] {
        return ReadValue(reader, value->mutable_list_value()->add_values());
      });
    case JsonReader::Kind::kString: {
      auto text = reader->ReadString("a string");
      if (text.ok()) value->set_string_value(*std::move(text));
      return text.status();
    }
    default:
      return reader->Skip();
  }
}

// Whether both hold the same strings in the same places.
void CheckSame(const Value& ours, const Value& theirs) {
  if (ours.has_string_value()) {
    FUZZ_CHECK(theirs.string_value() == ours.string_value());
  }
  if (ours.has_list_value()) {
    FUZZ_CHECK(ours.list_value().values_size() ==
               theirs.list_value().values_size());
    for (int i = 0; i < ours.list_value().values_size(); ++i) {
      CheckSame(ours.list_value().values(i), theirs.list_value().values(i));
    }
  }
  if (!ours.has_struct_value()) return;
  const auto& others = theirs.struct_value().fields();
  FUZZ_CHECK(ours.struct_value().fields_size() ==
             theirs.struct_value().fields_size());
  for (const auto& [name, value] : ours.struct_value().fields()) {
    const auto at = others.find(name);
    FUZZ_CHECK(at != others.end(), name);
    CheckSame(value, at->second);
  }
}

}  // namespace
}  // namespace kafed::cli

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kafed::cli;  // NOLINT: of this target
  const std::string text(kafed::fuzz::AsText(data, size));
  JsonReader skipper(text);
  absl::Status skipped = skipper.Skip();
  skipped.Update(skipper.ExpectEnd());
  JsonReader reader(text);
  google::protobuf::Value ours;
  absl::Status read = ReadValue(&reader, &ours);
  read.Update(reader.ExpectEnd());
  FUZZ_CHECK(read.ok() == skipped.ok(), read.ToString() + skipped.ToString());
  if (!read.ok()) {
    FUZZ_CHECK(read.code() == absl::StatusCode::kInvalidArgument);
    FUZZ_CHECK(std::string(read.message()).starts_with("line "));
    return 0;
  }
  if (FindBadUtf8(text) != std::string::npos) return 0;
  google::protobuf::Value theirs;
  const auto parsed =
      google::protobuf::util::JsonStringToMessage(text, &theirs);
  // Theirs knows limits of numbers and of depth that ours has no need of.
  if (!parsed.ok()) return 0;
  CheckSame(ours, theirs);
  return 0;
}
