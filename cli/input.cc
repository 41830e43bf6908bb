#include "cli/input.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace kafed::cli {

absl::StatusOr<std::string> ReadInput(const std::string& path,
                                      std::istream* in) {
  std::ostringstream text;
  if (path == "-") {
    text << in->rdbuf();
    return std::move(text).str();
  }
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return absl::InvalidArgumentError("'" + path + "' is a folder");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::NotFoundError("cannot read '" + path +
                               "': " + std::strerror(errno));
  }
  text << file.rdbuf();
  if (file.bad()) {
    return absl::UnavailableError("cannot read '" + path +
                                  "': " + std::strerror(errno));
  }
  return std::move(text).str();
}

}  // namespace kafed::cli
