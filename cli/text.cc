#include "cli/text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "common/position.h"
#include "common/status_macros.h"
#include "common/utf8.h"

namespace kafed::cli {
namespace {

struct Unit {
  std::string_view name;
  int64_t ms;
};

// Longest first.
constexpr std::array<Unit, 5> kUnits = {{{"d", 86'400'000},
                                         {"h", 3'600'000},
                                         {"m", 60'000},
                                         {"s", 1'000},
                                         {"ms", 1}}};

absl::Status Bad(std::string_view text, std::string_view expected) {
  return absl::InvalidArgumentError("'" + std::string(text) + "' is not " +
                                    std::string(expected));
}

// The value of a hex digit, or -1.
int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

absl::StatusOr<uint64_t> ParseNumber(std::string_view text, uint64_t max,
                                     uint64_t min) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || number > max || number < min) {
    return Bad(text, "a whole number from " + std::to_string(min) + " to " +
                         std::to_string(max));
  }
  return number;
}

absl::StatusOr<double> ParseDecimal(std::string_view text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || !std::isfinite(number)) {
    return Bad(text, "a number, such as 100 or 0.5");
  }
  return number;
}

absl::StatusOr<milliseconds> ParseDuration(std::string_view text) {
  constexpr std::string_view kExpected =
      "a duration; expected a number with a unit, such as 500ms, 10s, 5m, 2h "
      "or 7d";
  const size_t digits = text.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string_view::npos) {
    return Bad(text, kExpected);
  }
  for (const Unit& unit : kUnits) {
    if (text.substr(digits) != unit.name) continue;
    const auto number = ParseNumber(text.substr(0, digits),
                                    static_cast<uint64_t>(INT64_MAX / unit.ms));
    if (!number.ok()) return Bad(text, kExpected);
    return milliseconds(static_cast<int64_t>(*number) * unit.ms);
  }
  return Bad(text, kExpected);
}

std::string FormatDuration(milliseconds duration) {
  for (const Unit& unit : kUnits) {
    if (duration.count() % unit.ms == 0 && duration.count() >= unit.ms) {
      return std::to_string(duration.count() / unit.ms) +
             std::string(unit.name);
    }
  }
  return "0s";
}

absl::StatusOr<std::pair<std::string, std::string>> ParsePair(
    std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos) {
    return Bad(text, "a pair; expected NAME=VALUE");
  }
  return std::pair(std::string(text.substr(0, equals)),
                   std::string(text.substr(equals + 1)));
}

absl::StatusOr<RequestId> ParseRequestIdText(std::string_view text) {
  std::string bytes;
  int high = -1;
  for (const char c : text) {
    if (c == '-') continue;
    const int digit = HexDigit(c);
    if (digit < 0) return Bad(text, "a request id; expected 32 hex digits");
    if (high < 0) {
      high = digit;
      continue;
    }
    bytes += static_cast<char>(high * 16 + digit);
    high = -1;
  }
  const auto id = ParseRequestId(bytes);
  if (high >= 0 || !id.ok()) {
    return Bad(text, "a request id; expected the 32 hex digits of a UUIDv7");
  }
  return *id;
}

absl::Status CheckAddress(std::string_view text) {
  const size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon);
  const bool bracketed =
      host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (colon == std::string_view::npos || host.empty() ||
      host.find_first_of(" \t/") != std::string_view::npos ||
      (host.find_first_of("[:]") != std::string_view::npos && !bracketed) ||
      !ParseNumber(text.substr(colon + 1), UINT16_MAX, 1).ok()) {
    return Bad(text, "an address; expected HOST:PORT, such as kafed-0:7420");
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Quota> ParseQuota(std::string_view text) {
  ASSIGN_OR_RETURN(const auto pair, ParsePair(text));
  const std::vector<std::string> parts = SplitList(pair.second, ':');
  if (parts.empty() || parts.size() > 3) {
    return Bad(text, "a quota; expected SERVICE=NUMBER[:COST[:FREQUENCY]]");
  }
  std::array<double, 3> numbers{};
  for (size_t i = 0; i < parts.size(); ++i) {
    ASSIGN_OR_RETURN(numbers[i], ParseDecimal(parts[i]));
  }
  v1::Quota quota;
  quota.set_service(pair.first);
  quota.set_quota(numbers[0]);
  quota.set_cost(numbers[1]);
  quota.set_frequency(numbers[2]);
  return quota;
}

std::string FormatTime(uint64_t time_ms) {
  const auto seconds = static_cast<time_t>(time_ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 64> text{};
  const size_t size =
      std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03uZ",
                static_cast<unsigned>(time_ms % 1000));
  return std::string(text.data(), size) + fraction.data();
}

std::string FormatPosition(const v1::Position& position) {
  if (position.incarnation() == 0) return "-";
  return ToString({position.incarnation(), LogIndex(position.index())});
}

std::string ForTerminal(std::string_view text) {
  std::string shown(text);
  for (char& c : shown) {
    const auto byte = static_cast<uint8_t>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) c = '?';
  }
  for (size_t bad = 0; (bad = FindBadUtf8(shown)) != std::string::npos;) {
    shown[bad] = '?';
  }
  return shown;
}

std::string Shortened(std::string_view text) {
  constexpr size_t kShownBytes = 40;
  std::string shown = "'";
  for (const char c : text.substr(0, kShownBytes)) {
    const auto byte = static_cast<uint8_t>(c);
    shown += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  // Not in the middle of a character, and nothing that is none.
  if (text.size() > kShownBytes) {
    while ((static_cast<uint8_t>(shown.back()) & 0xc0) == 0x80) {
      shown.pop_back();
    }
    if (static_cast<uint8_t>(shown.back()) >= 0xc0) shown.pop_back();
  }
  for (size_t bad = 0; (bad = FindBadUtf8(shown)) != std::string::npos;) {
    shown[bad] = '?';
  }
  return shown + (text.size() > kShownBytes ? "...'" : "'");
}

std::vector<std::string> SplitList(std::string_view text, char delimiter) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(delimiter), text.size());
    parts.emplace_back(text.substr(0, end));
    if (end == text.size()) return parts;
    text.remove_prefix(end + 1);
    if (text.empty()) parts.emplace_back();
  }
  return parts;
}

std::string Join(const std::vector<std::string>& parts,
                 std::string_view delimiter) {
  std::string text;
  for (const std::string& part : parts) {
    if (&part != &parts.front()) text += delimiter;
    text += part;
  }
  return text;
}

size_t FindBadUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8Length(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

}  // namespace kafed::cli
