// The node's configuration: a YAML file, the environment and flags. Every
// refusal names where and what; every number that is taken is in its range.
#include "controller/server/config.h"
#include "tests/fuzz/support.h"

namespace kafed::controller {
namespace {

// Lines of the part that are "name=value".
std::map<std::string, std::string> Pairs(std::string_view text) {
  std::map<std::string, std::string> pairs;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    pairs.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  return pairs;
}

void CheckRanges(const Config& config) {
  const auto within = [](uint64_t value, uint64_t low, uint64_t high) {
    FUZZ_CHECK(value >= low && value <= high, std::to_string(value));
  };
  within(config.session_ttl_ms, 1'000, 86'400'000);
  within(config.multicast_lease_ms, 100, 900'000);
  within(config.fence_window_ms, 1'000, 3'600'000);
  within(config.reconcile_interval_ms, 50, 600'000);
  within(config.snapshot_every_entries, 10, 10'000'000);
  within(config.history_entries, 0, 1'000'000'000);
  within(config.worker_threads, 4, 1'024);
  FUZZ_CHECK(!config.data_dir.empty());
  FUZZ_CHECK(config.listen.find(':') != std::string::npos);
  FUZZ_CHECK(config.log_format == "text" || config.log_format == "json");
}

}  // namespace
}  // namespace kafed::controller

// The file, then after a line "---env" the environment, after "---flags" flags.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kafed::controller;  // NOLINT: of this target
  std::string_view text = kafed::fuzz::AsText(data, size);
  const auto cut = [&text](std::string_view mark) {
    const size_t at = text.find(mark);
    if (at == std::string_view::npos) return std::string_view();
    const std::string_view part = text.substr(at + mark.size());
    text = text.substr(0, at);
    return part;
  };
  auto flags = Pairs(cut("---flags\n"));
  const auto environment = Pairs(cut("---env\n"));
  flags.emplace("data_dir", "somewhere");
  const kafed::fuzz::MemoryFile file(text);
  const auto config = LoadConfig(file.path(), environment, flags);
  if (!config.ok()) {
    FUZZ_CHECK(config.status().code() == absl::StatusCode::kInvalidArgument,
               config.status().ToString());
    FUZZ_CHECK(!config.status().message().empty());
    return 0;
  }
  CheckRanges(*config);
  // The later ones are the stronger ones.
  for (const auto& [name, value] : flags) {
    if (name == "listen") FUZZ_CHECK(config->listen == value);
    if (name == "secrets_dir") FUZZ_CHECK(config->secrets_dir == value);
  }
  return 0;
}
