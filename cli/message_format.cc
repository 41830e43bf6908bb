#include "cli/message_format.h"

#include <cctype>

#include "cli/text.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

constexpr std::string_view kLetters = "ksotpTeqhSK";

// Takes an escape after its backslash from the front of `text`.
absl::StatusOr<char> TakeEscape(std::string_view* text) {
  constexpr std::string_view kFrom = "nrt\\";
  constexpr std::string_view kTo = "\n\r\t\\";
  const char c = text->empty() ? '\0' : text->front();
  const size_t simple = text->empty() ? kFrom.npos : kFrom.find(c);
  if (simple != kFrom.npos) {
    text->remove_prefix(1);
    return kTo[simple];
  }
  if (c == 'x' && text->size() >= 3 && std::isxdigit((*text)[1]) != 0 &&
      std::isxdigit((*text)[2]) != 0) {
    const std::string digits(text->substr(1, 2));
    text->remove_prefix(3);
    return static_cast<char>(std::stoi(digits, nullptr, 16));
  }
  return absl::InvalidArgumentError(
      "'\\" + std::string(text->substr(0, 1)) +
      "' is not known; expected \\n, \\r, \\t, \\\\ or \\xHH");
}

std::string Headers(const KafkaMessage& message) {
  std::vector<std::string> pairs;
  for (const auto& [name, value] : message.headers) {
    pairs.emplace_back(name).append("=").append(value);
  }
  return Join(pairs, ",");
}

std::string Expand(char letter, const KafkaMessage& message) {
  switch (letter) {
    case 'k':
      return message.key;
    case 's':
      return message.payload;
    case 'o':
      return std::to_string(message.offset);
    case 't':
      return message.kafka_topic;
    case 'p':
      return std::to_string(message.kafka_partition);
    case 'T':
      return std::to_string(message.time_ms);
    case 'e':
      return message.kafed ? std::to_string(message.kafed->epoch) : "-";
    case 'q':
      return message.kafed ? std::to_string(message.kafed->sequence) : "-";
    case 'h':
      return Headers(message);
    case 'S':
      return std::to_string(message.payload.size());
    default:
      return std::to_string(message.key.size());
  }
}

}  // namespace

absl::StatusOr<MessageFormat> MessageFormat::Parse(std::string_view text) {
  MessageFormat format;
  const auto add = [&format](char c) {
    if (format.pieces_.empty() || format.pieces_.back().letter != 0) {
      format.pieces_.emplace_back();
    }
    format.pieces_.back().text += c;
  };
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == '\\') {
      ASSIGN_OR_RETURN(const char escaped, TakeEscape(&text));
      add(escaped);
    } else if (c != '%') {
      add(c);
    } else if (!text.empty() && text.front() == '%') {
      text.remove_prefix(1);
      add('%');
    } else if (!text.empty() && kLetters.find(text.front()) != kLetters.npos) {
      format.pieces_.push_back({text.front(), ""});
      text.remove_prefix(1);
    } else {
      return absl::InvalidArgumentError(
          "'%" + std::string(text.substr(0, 1)) +
          "' is not known; expected %k %s %o %t %p %T %e %q %h %S %K or %%");
    }
  }
  return format;
}

std::string MessageFormat::Format(const KafkaMessage& message) const {
  std::string text;
  for (const Piece& piece : pieces_) {
    text += piece.letter == 0 ? piece.text : Expand(piece.letter, message);
  }
  return text;
}

}  // namespace kafed::cli
