#include "common/security_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace kafed {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

bool IsAllowed(std::string_view property) {
  return property == "security.protocol" || property.starts_with("sasl.") ||
         property.starts_with("ssl.");
}

std::string Trim(std::string_view text) {
  const absl::string_view stripped =
      absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size()));
  return {stripped.data(), stripped.size()};
}

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> ReadSecurityFile(
    const std::string& directory, const std::string& ref) {
  std::map<std::string, std::string> properties;
  if (ref.empty()) return properties;
  if (ref.find('/') != std::string::npos || ref.starts_with('.')) {
    return absl::FailedPreconditionError(
        "security_ref: '" + ref +
        "' must be the plain name of a file, without '/' or a leading '.'");
  }
  if (directory.empty()) {
    return absl::FailedPreconditionError(
        "security_ref: '" + ref +
        "' is set, but secrets_dir, the folder of credentials, is not");
  }
  const std::string path = directory + "/" + ref;
  std::ifstream file(path);
  std::string line;
  if (!file) {
    return absl::FailedPreconditionError("security_ref: " + path + ": " +
                                         std::strerror(errno));
  }
  size_t bytes = 0;
  for (int number = 1; std::getline(file, line); ++number) {
    const auto refuse = [&](const std::string& why) {
      return absl::FailedPreconditionError(
          absl::StrCat("security_ref: ", path, ":", number, ": ", why));
    };
    bytes += line.size() + 1;
    if (bytes > kMaxBytes) return refuse("the file is over 1 MiB");
    const std::string text = Trim(line);
    if (text.empty() || text.starts_with('#')) continue;
    const size_t equals = text.find('=');
    if (equals == std::string::npos) return refuse("expected 'name = value'");
    const std::string name = Trim(std::string_view(text).substr(0, equals));
    if (!IsAllowed(name)) {
      return refuse(
          "the property before '=' is not security.protocol, sasl.* "
          "or ssl.*");
    }
    if (!properties
             .emplace(name, Trim(std::string_view(text).substr(equals + 1)))
             .second) {
      return refuse(name + " is given twice");
    }
  }
  if (file.bad()) {
    return absl::FailedPreconditionError("security_ref: " + path +
                                         ": can't be read");
  }
  return properties;
}

}  // namespace kafed
