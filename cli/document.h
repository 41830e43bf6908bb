// Documents on the screen: JSON and YAML, written piece by piece, so that a
// list of a million hosts is never in memory as a whole.
//
// WriteMessage gives a protobuf message the form of the protobuf JSON mapping
// with the original snake_case names and every primitive field present, but
// two: bytes are hex, and a Position is "counter:index". 64-bit numbers are
// strings, as in that mapping.
//
// One thread at a time.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <ostream>
#include <string>
#include <string_view>

namespace kafed::cli {

class DocumentWriter {
 public:
  virtual ~DocumentWriter() = default;
  virtual void BeginObject() = 0;
  virtual void Key(std::string_view name) = 0;
  virtual void EndObject() = 0;
  virtual void BeginArray() = 0;
  virtual void EndArray() = 0;
  virtual void Text(std::string_view text) = 0;
  // A number, true, false or null, as it stands.
  virtual void Literal(std::string_view text) = 0;
  // After the outermost value.
  virtual void EndDocument() = 0;
};

// Two spaces of indent, or everything in one line.
enum class JsonStyle { kIndented, kOneLine };
std::unique_ptr<DocumentWriter> MakeJsonWriter(std::ostream* out,
                                               JsonStyle style);
// Several documents are separated by "---".
std::unique_ptr<DocumentWriter> MakeYamlWriter(std::ostream* out);

// Which fields are written where their value is the default.
enum class Defaults { kWrite, kLeaveOut };
void WriteMessage(const google::protobuf::Message& message, Defaults defaults,
                  DocumentWriter* writer);

// One line of JSON without default values, for people's eyes and logs.
std::string ToJsonLine(const google::protobuf::Message& message);

// `text` in double quotes, escaped.
std::string JsonQuote(std::string_view text);

}  // namespace kafed::cli
