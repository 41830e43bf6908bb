// JsonReader: reads JSON from front to back and knows line and column.
//
// A pull parser: the caller says what it expects next, so a file of a million
// hosts never becomes a tree. Every error is InvalidArgument and begins with
// "line L, column C: ". Columns count characters from 1.
//
// Not thread-safe; the text must outlive it.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kafed::cli {

struct Mark {
  size_t line = 1;
  size_t column = 1;
};

// InvalidArgument "line L, column C: message".
absl::Status ErrorAt(Mark mark, std::string_view message);

class JsonReader {
 public:
  explicit JsonReader(std::string_view text, size_t first_line = 1)
      : text_(text), line_(first_line) {}

  enum class Kind {
    kObject,
    kArray,
    kString,
    kNumber,
    kBool,
    kNull,
    kEnd,
    kOther
  };
  // Of the next value; skips white space.
  Kind Peek();
  // Where the next value stands.
  Mark mark();

  // `member` is called with each key and must read or skip its value.
  absl::Status ReadObject(
      const std::function<absl::Status(const std::string&)>& member);
  // `element` must read or skip the next element.
  absl::Status ReadArray(const std::function<absl::Status()>& element);
  // `what` names the value in errors.
  absl::StatusOr<std::string> ReadString(std::string_view what);
  // A string's text, or a number, true or false as it stands.
  absl::StatusOr<std::string> ReadScalar(std::string_view what);
  absl::Status Skip();
  // Nothing but white space is left.
  absl::Status ExpectEnd();

 private:
  absl::Status Expected(std::string_view what);
  absl::Status ReadEscape(std::string* out);
  absl::StatusOr<uint32_t> ReadHex4();
  absl::StatusOr<std::string> ReadWord();
  void SkipSpace();
  bool Take(char c);

  std::string_view text_;
  size_t at_ = 0;
  size_t line_;
  size_t line_start_ = 0;
  int depth_ = 0;
};

}  // namespace kafed::cli
