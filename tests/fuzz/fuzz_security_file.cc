// Files of credentials: refusals name a line, and never show a value. A file
// whose values were replaced must give the very same refusal.
#include <filesystem>
#include <fstream>

#include "common/security_file.h"
#include "tests/fuzz/support.h"

namespace kafed {
namespace {

absl::StatusOr<std::map<std::string, std::string>> Read(
    std::string_view content) {
  const std::string& folder = fuzz::ScratchFolder();
  std::ofstream(folder + "/east", std::ios::binary) << content;
  return ReadSecurityFile(folder, "east");
}

// The same file, but with other values.
std::string WithOtherValues(std::string_view content) {
  std::string other(content);
  bool in_value = false;
  for (char& c : other) {
    if (c == '\n') {
      in_value = false;
    } else if (c == '=' && !in_value) {
      in_value = true;
    } else if (in_value && static_cast<unsigned char>(c) > ' ') {
      c = c == 'x' ? 'y' : 'x';
    }
  }
  return other;
}

}  // namespace
}  // namespace kafed

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view content = kafed::fuzz::AsText(data, size);
  const auto read = kafed::Read(content);
  if (read.ok()) {
    for (const auto& [name, value] : *read) {
      FUZZ_CHECK(name == "security.protocol" || name.starts_with("sasl.") ||
                 name.starts_with("ssl."));
      FUZZ_CHECK(value.find('\n') == std::string::npos);
    }
  } else {
    FUZZ_CHECK(read.status().code() == absl::StatusCode::kFailedPrecondition);
  }
  const auto other = kafed::Read(kafed::WithOtherValues(content));
  FUZZ_CHECK(other.status() == read.status(), read.status().ToString());
  // No reference leads out of the folder.
  const std::string ref(content.substr(0, 40));
  if (ref.find('/') != std::string::npos || ref.starts_with('.')) {
    FUZZ_CHECK(
        !kafed::ReadSecurityFile(kafed::fuzz::ScratchFolder(), ref).ok());
  }
  return 0;
}
