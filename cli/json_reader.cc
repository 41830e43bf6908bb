#include "cli/json_reader.h"

#include <algorithm>
#include <cctype>

#include "cli/text.h"
#include "common/status_macros.h"
#include "common/utf8.h"

namespace kafed::cli {
namespace {

constexpr int kMaxDepth = 64;

void AppendUtf8(uint32_t code, std::string* out) {
  if (code < 0x80) {
    *out += static_cast<char>(code);
    return;
  }
  if (code < 0x800) {
    *out += static_cast<char>(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      *out += static_cast<char>(0xe0 | code >> 12);
    } else {
      *out += static_cast<char>(0xf0 | code >> 18);
      *out += static_cast<char>(0x80 | (code >> 12 & 0x3f));
    }
    *out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
  }
  *out += static_cast<char>(0x80 | (code & 0x3f));
}

// RFC 8259, section 6.
bool IsNumber(std::string_view word) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t from = at;
    while (at < word.size() && word[at] >= '0' && word[at] <= '9') ++at;
    return at > from;
  };
  if (at < word.size() && word[at] == '-') ++at;
  const bool zero = at < word.size() && word[at] == '0';
  const size_t whole = at;
  if (!digits() || (zero && at > whole + 1)) return false;
  if (at < word.size() && word[at] == '.' && (++at, !digits())) return false;
  if (at < word.size() && (word[at] == 'e' || word[at] == 'E')) {
    ++at;
    if (at < word.size() && (word[at] == '+' || word[at] == '-')) ++at;
    if (!digits()) return false;
  }
  return at == word.size();
}

}  // namespace

absl::Status ErrorAt(Mark mark, std::string_view message) {
  return absl::InvalidArgumentError("line " + std::to_string(mark.line) +
                                    ", column " + std::to_string(mark.column) +
                                    ": " + std::string(message));
}

void JsonReader::SkipSpace() {
  for (; at_ < text_.size(); ++at_) {
    const char c = text_[at_];
    if (c == '\n') {
      ++line_;
      line_start_ = at_ + 1;
    } else if (c != ' ' && c != '\t' && c != '\r') {
      return;
    }
  }
}

Mark JsonReader::mark() {
  SkipSpace();
  const std::string_view before = text_.substr(line_start_, at_ - line_start_);
  const auto characters = std::count_if(
      before.begin(), before.end(),
      [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
  return {line_, static_cast<size_t>(characters) + 1};
}

JsonReader::Kind JsonReader::Peek() {
  SkipSpace();
  if (at_ == text_.size()) return Kind::kEnd;
  switch (text_[at_]) {
    case '{':
      return Kind::kObject;
    case '[':
      return Kind::kArray;
    case '"':
      return Kind::kString;
    case 't':
    case 'f':
      return Kind::kBool;
    case 'n':
      return Kind::kNull;
    default:
      return text_[at_] == '-' || std::isdigit(text_[at_]) != 0 ? Kind::kNumber
                                                                : Kind::kOther;
  }
}

absl::Status JsonReader::Expected(std::string_view what) {
  const auto found = [this]() -> std::string {
    switch (Peek()) {
      case Kind::kObject:
        return "an object";
      case Kind::kArray:
        return "an array";
      case Kind::kString:
        return "a string";
      case Kind::kNumber:
        return "a number";
      case Kind::kBool:
        return "true or false";
      case Kind::kNull:
        return "null";
      case Kind::kEnd:
        return "the end";
      default:
        // A whole character, or one byte of what is none.
        return Shortened(text_.substr(
            at_, std::max<size_t>(1, Utf8Length(text_.substr(at_)))));
    }
  };
  const std::string is = found();
  return ErrorAt(mark(), "expected " + std::string(what) + ", found " + is);
}

bool JsonReader::Take(char c) {
  SkipSpace();
  if (at_ == text_.size() || text_[at_] != c) return false;
  ++at_;
  return true;
}

absl::Status JsonReader::ReadObject(
    const std::function<absl::Status(const std::string&)>& member) {
  if (Peek() != Kind::kObject) return Expected("an object");
  if (++depth_ > kMaxDepth) return ErrorAt(mark(), "is nested too deeply");
  Take('{');
  bool first = true;
  while (!Take('}')) {
    if (!first && !Take(',')) return Expected("',' or '}'");
    first = false;
    ASSIGN_OR_RETURN(const std::string key, ReadString("a name in quotes"));
    if (!Take(':')) return Expected("':'");
    RETURN_IF_ERROR(member(key));
  }
  --depth_;
  return absl::OkStatus();
}

absl::Status JsonReader::ReadArray(
    const std::function<absl::Status()>& element) {
  if (Peek() != Kind::kArray) return Expected("an array");
  if (++depth_ > kMaxDepth) return ErrorAt(mark(), "is nested too deeply");
  Take('[');
  bool first = true;
  while (!Take(']')) {
    if (!first && !Take(',')) return Expected("',' or ']'");
    first = false;
    RETURN_IF_ERROR(element());
  }
  --depth_;
  return absl::OkStatus();
}

absl::StatusOr<std::string> JsonReader::ReadString(std::string_view what) {
  if (Peek() != Kind::kString) return Expected(what);
  const Mark begin = mark();
  ++at_;
  std::string out;
  while (at_ < text_.size() && text_[at_] != '"') {
    const char c = text_[at_];
    if (static_cast<unsigned char>(c) < 0x20) break;
    ++at_;
    if (c == '\\') {
      RETURN_IF_ERROR(ReadEscape(&out));
    } else {
      out += c;
    }
  }
  if (at_ == text_.size() || text_[at_] != '"') {
    return ErrorAt(begin, "the string that begins here has no end");
  }
  ++at_;
  return out;
}

absl::StatusOr<uint32_t> JsonReader::ReadHex4() {
  uint32_t code = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    const char c = at_ < text_.size() ? text_[at_] : '"';
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) {
      return ErrorAt(mark(), "expected 4 hex digits after \\u");
    }
    code = code * 16 + static_cast<uint32_t>(
                           std::isdigit(static_cast<unsigned char>(c)) != 0
                               ? c - '0'
                               : (c | 0x20) - 'a' + 10);
  }
  return code;
}

absl::Status JsonReader::ReadEscape(std::string* out) {
  constexpr std::string_view kFrom = "\"\\/bfnrt";
  constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
  if (at_ == text_.size()) return Expected("an escape such as \\n");
  const char c = text_[at_++];
  const size_t simple = kFrom.find(c);
  if (simple != std::string_view::npos) {
    *out += kTo[simple];
    return absl::OkStatus();
  }
  --at_;
  if (c != 'u') return ErrorAt(mark(), "is not an escape of JSON");
  ++at_;
  ASSIGN_OR_RETURN(uint32_t code, ReadHex4());
  if (code >= 0xd800 && code < 0xdc00 && text_.substr(at_, 2) == "\\u") {
    at_ += 2;
    ASSIGN_OR_RETURN(const uint32_t low, ReadHex4());
    if (low >= 0xdc00 && low < 0xe000) {
      AppendUtf8(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00), out);
      return absl::OkStatus();
    }
    code = 0xd800;
  }
  if (code >= 0xd800 && code < 0xe000) {
    return ErrorAt(mark(), "half of a surrogate pair");
  }
  AppendUtf8(code, out);
  return absl::OkStatus();
}

absl::StatusOr<std::string> JsonReader::ReadWord() {
  SkipSpace();
  const Mark begin = mark();
  const size_t from = at_;
  while (at_ < text_.size() &&
         (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
          std::string_view("+-.").find(text_[at_]) != std::string_view::npos)) {
    ++at_;
  }
  const std::string_view word = text_.substr(from, at_ - from);
  if (word == "true" || word == "false" || word == "null" || IsNumber(word)) {
    return std::string(word);
  }
  return ErrorAt(begin, Shortened(word) + " is no value of JSON");
}

absl::StatusOr<std::string> JsonReader::ReadScalar(std::string_view what) {
  switch (Peek()) {
    case Kind::kString:
      return ReadString(what);
    case Kind::kNumber:
    case Kind::kBool:
      return ReadWord();
    default:
      return Expected(what);
  }
}

absl::Status JsonReader::Skip() {
  switch (Peek()) {
    case Kind::kObject:
      return ReadObject([this](const std::string&) { return Skip(); });
    case Kind::kArray:
      return ReadArray([this] { return Skip(); });
    case Kind::kString:
      return ReadString("a string").status();
    case Kind::kNumber:
    case Kind::kBool:
    case Kind::kNull:
      return ReadWord().status();
    default:
      return Expected("a value");
  }
}

absl::Status JsonReader::ExpectEnd() {
  return Peek() == Kind::kEnd ? absl::OkStatus() : Expected("the end");
}

}  // namespace kafed::cli
