#include "common/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdlib>

namespace kafed {
namespace {

std::atomic<bool> json_lines{false};

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

spdlog::logger& Logger() {
  static const auto logger = [] {
    auto made = spdlog::stderr_color_mt("kafed");
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%-7l%$ %v",
                      spdlog::pattern_time_type::utc);
    return made;
  }();
  return *logger;
}

// Control characters are escaped, so that a hostile value stays on its line.
void AppendQuoted(std::string_view value, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out->push_back('"');
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (byte < 0x20) {
      out->append("\\u00");
      out->push_back(kHex[byte >> 4]);
      out->push_back(kHex[byte & 15]);
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

bool NeedsQuotes(std::string_view value) {
  if (value.empty()) return true;
  for (const char c : value) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=') {
      return true;
    }
  }
  return false;
}

}  // namespace

void SetUpLogging(LogLevel minimum, bool json) {
  json_lines = json;
  Logger().set_level(ToSpdlog(minimum));
  if (json) {
    Logger().set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})",
                         spdlog::pattern_time_type::utc);
  }
}

void Log(LogLevel level, std::string_view text, LogFields fields) {
  if (!Logger().should_log(ToSpdlog(level))) return;
  std::string line;
  if (json_lines) {
    line = "\"text\":";
    AppendQuoted(text, &line);
    for (const LogField& field : fields) {
      line.push_back(',');
      AppendQuoted(field.key, &line);
      line.push_back(':');
      AppendQuoted(field.value, &line);
    }
  } else {
    line = text;
    for (const LogField& field : fields) {
      line += " " + field.key + "=";
      if (NeedsQuotes(field.value)) {
        AppendQuoted(field.value, &line);
      } else {
        line += field.value;
      }
    }
  }
  Logger().log(ToSpdlog(level), "{}", line);
}

void Fault(std::string_view text, LogFields fields) {
  Log(LogLevel::kError, text, fields);
  Logger().flush();
  std::abort();
}

}  // namespace kafed
