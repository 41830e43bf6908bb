#include "cli/document.h"

#include <yaml-cpp/yaml.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <sstream>
#include <vector>

namespace kafed::cli {
namespace {

class JsonWriter final : public DocumentWriter {
 public:
  JsonWriter(std::ostream* out, JsonStyle style)
      : out_(*out), indented_(style == JsonStyle::kIndented) {}

  void BeginObject() override { Open('{'); }
  void EndObject() override { Close('}'); }
  void BeginArray() override { Open('['); }
  void EndArray() override { Close(']'); }
  void Key(std::string_view name) override {
    Separate();
    out_ << JsonQuote(name) << (indented_ ? ": " : ":");
    after_key_ = true;
  }
  void Text(std::string_view text) override { Literal(JsonQuote(text)); }
  void Literal(std::string_view text) override {
    Separate();
    out_ << text;
  }
  void EndDocument() override { out_ << '\n'; }

 private:
  void Open(char bracket) {
    Separate();
    out_ << bracket;
    counts_.push_back(0);
  }
  void Close(char bracket) {
    const bool empty = counts_.back() == 0;
    counts_.pop_back();
    if (!empty) Break();
    out_ << bracket;
  }
  // What stands between the values of an object or array.
  void Separate() {
    if (after_key_) {
      after_key_ = false;
      return;
    }
    if (counts_.empty()) return;
    if (counts_.back()++ > 0) out_ << ',';
    Break();
  }
  void Break() {
    if (indented_) out_ << '\n' << std::string(2 * counts_.size(), ' ');
  }

  std::ostream& out_;
  const bool indented_;
  bool after_key_ = false;
  std::vector<size_t> counts_;
};

class YamlWriter final : public DocumentWriter {
 public:
  explicit YamlWriter(std::ostream* out) : out_(*out) {}

  void BeginObject() override { Emitter() << YAML::BeginMap; }
  void EndObject() override { Emitter() << YAML::EndMap; }
  void BeginArray() override { Emitter() << YAML::BeginSeq; }
  void EndArray() override { Emitter() << YAML::EndSeq; }
  void Key(std::string_view name) override {
    Emitter() << YAML::Key;
    Scalar(name);
    Emitter() << YAML::Value;
  }
  void Text(std::string_view text) override { Scalar(text); }
  void Literal(std::string_view text) override {
    Emitter() << std::string(text);
  }
  void EndDocument() override {
    out_ << '\n';
    out_.flush();
    emitter_.reset();
  }

 private:
  // Quoted where another reader would take it for a number, a time or a
  // boolean, or would lose a part of it.
  void Scalar(std::string_view text) {
    if (LooksLikeLiteral(text) || HasControls(text)) {
      Emitter() << YAML::DoubleQuoted;
    }
    Emitter() << std::string(text);
  }
  // Control characters, and what YAML takes for the end of a line.
  static bool HasControls(std::string_view text) {
    for (size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<uint8_t>(text[i]);
      if (byte < 0x20 || byte == 0x7f) return true;
      const std::string_view rest = text.substr(i);
      for (const std::string_view mark :
           {"\xc2", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbb\xbf"}) {
        if (rest.starts_with(mark)) return true;
      }
    }
    return false;
  }
  static bool LooksLikeLiteral(std::string_view text) {
    if (text.find_first_not_of("0123456789+-.:eExXabcdefABCDEF_TZtz ") ==
        std::string_view::npos) {
      return true;
    }
    for (const std::string_view word :
         {"true", "false", "yes", "no", "on", "off", "null", "y", "n", "~"}) {
      if (text.size() != word.size()) continue;
      bool same = true;
      for (size_t i = 0; i < text.size(); ++i) {
        same = same && (text[i] | 0x20) == (word[i] | 0x20);
      }
      if (same) return true;
    }
    return false;
  }

  // Of the present document; begun by its first value.
  YAML::Emitter& Emitter() {
    if (!emitter_) {
      emitter_ = std::make_unique<YAML::Emitter>(out_);
      if (!first_) *emitter_ << YAML::BeginDoc;
      first_ = false;
    }
    return *emitter_;
  }

  std::ostream& out_;
  bool first_ = true;
  std::unique_ptr<YAML::Emitter> emitter_;
};

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string Hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    std::array<char, 3> two{};
    std::snprintf(two.data(), two.size(), "%02x", static_cast<uint8_t>(c));
    text += two.data();
  }
  return text;
}

std::string NumberText(double number) {
  if (!std::isfinite(number)) return "null";  // JSON has no word for it
  std::ostringstream text;
  text.precision(15);
  text << number;
  return text.str();
}

// Reads one value of a field, single or at `index` of a repeated one.
class FieldValue {
 public:
  FieldValue(const Message& message, const FieldDescriptor* field, int index)
      : message_(message),
        reflection_(*message.GetReflection()),
        field_(field),
        index_(index) {}

  void Write(Defaults defaults, DocumentWriter* writer) const {
    switch (field_->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return WriteMessage(Sub(), defaults, writer);
      case FieldDescriptor::CPPTYPE_STRING:
        return writer->Text(field_->type() == FieldDescriptor::TYPE_BYTES
                                ? Hex(String())
                                : String());
      case FieldDescriptor::CPPTYPE_ENUM:
        return writer->Text(Enum());
      case FieldDescriptor::CPPTYPE_BOOL:
        return writer->Literal(Scalar());
      case FieldDescriptor::CPPTYPE_INT64:
      case FieldDescriptor::CPPTYPE_UINT64:
        return writer->Text(Scalar());
      default:
        return writer->Literal(Scalar());
    }
  }

  // Of a map's key.
  std::string AsKey() const {
    return field_->cpp_type() == FieldDescriptor::CPPTYPE_STRING ? String()
                                                                 : Scalar();
  }

 private:
  bool repeated() const { return index_ >= 0; }
  const Message& Sub() const {
    return repeated() ? reflection_.GetRepeatedMessage(message_, field_, index_)
                      : reflection_.GetMessage(message_, field_);
  }
  std::string String() const {
    return repeated() ? reflection_.GetRepeatedString(message_, field_, index_)
                      : reflection_.GetString(message_, field_);
  }
  std::string Enum() const {
    return repeated()
               ? reflection_.GetRepeatedEnum(message_, field_, index_)->name()
               : reflection_.GetEnum(message_, field_)->name();
  }
  std::string Scalar() const {
    switch (field_->cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL: {
        const bool value =
            repeated() ? reflection_.GetRepeatedBool(message_, field_, index_)
                       : reflection_.GetBool(message_, field_);
        return value ? "true" : "false";
      }
      case FieldDescriptor::CPPTYPE_INT32:
        return std::to_string(
            repeated() ? reflection_.GetRepeatedInt32(message_, field_, index_)
                       : reflection_.GetInt32(message_, field_));
      case FieldDescriptor::CPPTYPE_UINT32:
        return std::to_string(
            repeated() ? reflection_.GetRepeatedUInt32(message_, field_, index_)
                       : reflection_.GetUInt32(message_, field_));
      case FieldDescriptor::CPPTYPE_INT64:
        return std::to_string(
            repeated() ? reflection_.GetRepeatedInt64(message_, field_, index_)
                       : reflection_.GetInt64(message_, field_));
      case FieldDescriptor::CPPTYPE_UINT64:
        return std::to_string(
            repeated() ? reflection_.GetRepeatedUInt64(message_, field_, index_)
                       : reflection_.GetUInt64(message_, field_));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return NumberText(
            repeated() ? reflection_.GetRepeatedFloat(message_, field_, index_)
                       : reflection_.GetFloat(message_, field_));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return NumberText(
            repeated() ? reflection_.GetRepeatedDouble(message_, field_, index_)
                       : reflection_.GetDouble(message_, field_));
      default:
        return "null";
    }
  }

  const Message& message_;
  const Reflection& reflection_;
  const FieldDescriptor* field_;
  const int index_;
};

void WriteMap(const Message& message, const FieldDescriptor* field,
              Defaults defaults, DocumentWriter* writer) {
  const Reflection& reflection = *message.GetReflection();
  const auto* type = field->message_type();
  // A map has no order of its own: the same message is shown the same way.
  std::map<std::string, FieldValue> values;
  for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, field, i);
    values.try_emplace(FieldValue(entry, type->map_key(), -1).AsKey(), entry,
                       type->map_value(), -1);
  }
  writer->BeginObject();
  for (const auto& [key, value] : values) {
    writer->Key(key);
    value.Write(defaults, writer);
  }
  writer->EndObject();
}

bool IsWritten(const Message& message, const FieldDescriptor* field,
               Defaults defaults) {
  const Reflection& reflection = *message.GetReflection();
  if (field->is_repeated()) {
    return defaults == Defaults::kWrite ||
           reflection.FieldSize(message, field) > 0;
  }
  if (reflection.HasField(message, field)) return true;
  return defaults == Defaults::kWrite && !field->has_presence();
}

bool WritePosition(const Message& message, DocumentWriter* writer) {
  const auto* type = message.GetDescriptor();
  if (type->full_name() != "kafed.v1.Position") return false;
  const Reflection& reflection = *message.GetReflection();
  const auto number = [&](const char* name) {
    return std::to_string(
        reflection.GetUInt64(message, type->FindFieldByName(name)));
  };
  writer->Text(number("incarnation") + ":" + number("index"));
  return true;
}

}  // namespace

std::unique_ptr<DocumentWriter> MakeJsonWriter(std::ostream* out,
                                               JsonStyle style) {
  return std::make_unique<JsonWriter>(out, style);
}

std::unique_ptr<DocumentWriter> MakeYamlWriter(std::ostream* out) {
  return std::make_unique<YamlWriter>(out);
}

void WriteMessage(const Message& message, Defaults defaults,
                  DocumentWriter* writer) {
  if (WritePosition(message, writer)) return;
  const Reflection& reflection = *message.GetReflection();
  const auto* type = message.GetDescriptor();
  writer->BeginObject();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (!IsWritten(message, field, defaults)) continue;
    writer->Key(field->name());
    if (field->is_map()) {
      WriteMap(message, field, defaults, writer);
    } else if (field->is_repeated()) {
      writer->BeginArray();
      for (int j = 0; j < reflection.FieldSize(message, field); ++j) {
        FieldValue(message, field, j).Write(defaults, writer);
      }
      writer->EndArray();
    } else {
      FieldValue(message, field, -1).Write(defaults, writer);
    }
  }
  writer->EndObject();
}

std::string ToJsonLine(const Message& message) {
  std::ostringstream text;
  WriteMessage(message, Defaults::kLeaveOut,
               MakeJsonWriter(&text, JsonStyle::kOneLine).get());
  return text.str();
}

std::string JsonQuote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        quoted += "\\\"";
        break;
      case '\\':
        quoted += "\\\\";
        break;
      case '\n':
        quoted += "\\n";
        break;
      case '\t':
        quoted += "\\t";
        break;
      case '\r':
        quoted += "\\r";
        break;
      default:
        if (static_cast<uint8_t>(c) < 0x20) {
          std::array<char, 8> code{};
          std::snprintf(code.data(), code.size(), "\\u%04x",
                        static_cast<unsigned>(c));
          quoted += code.data();
        } else {
          quoted += c;
        }
    }
  }
  return quoted + '"';
}

}  // namespace kafed::cli
