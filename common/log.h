// Structured logging: one line an event, `key=value` pairs after a short text.
//
//   LogInfo("listening", {{"address", address}, {"node", id}});
//
// A thin wrapper, so that spdlog is included in one file only. Values are
// quoted when they hold spaces. Never pass a secret. Thread-safe.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace kafed {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
  LogField(std::string_view k, bool v) : key(k), value(v ? "true" : "false") {}
  template <typename T>
  requires((std::integral<T> || std::floating_point<T>)&&!std::same_as<T, bool>)
      LogField(std::string_view k, T v)
      : key(k), value(std::to_string(v)) {}
  LogField(std::string_view k, const absl::Status& v)
      : key(k), value(v.ToString()) {}

  std::string key;
  std::string value;
};

using LogFields = std::initializer_list<LogField>;

// Text goes to stderr. `json` writes one JSON object a line instead.
void SetUpLogging(LogLevel minimum, bool json);

void Log(LogLevel level, std::string_view text, LogFields fields = {});

inline void LogDebug(std::string_view text, LogFields fields = {}) {
  Log(LogLevel::kDebug, text, fields);
}
inline void LogInfo(std::string_view text, LogFields fields = {}) {
  Log(LogLevel::kInfo, text, fields);
}
inline void LogWarning(std::string_view text, LogFields fields = {}) {
  Log(LogLevel::kWarning, text, fields);
}
inline void LogError(std::string_view text, LogFields fields = {}) {
  Log(LogLevel::kError, text, fields);
}

// A broken invariant: logs at error, flushes and aborts the process.
[[noreturn]] void Fault(std::string_view text, LogFields fields = {});

}  // namespace kafed
