// Host files (Alcor's JSON, CSV, JSON lines): refusals name line and column;
// hosts that were read are whole, and read the same from CSV and JSON lines.
#include <set>

#include "cli/document.h"
#include "cli/host_file.h"
#include "cli/text.h"
#include "tests/fuzz/support.h"

namespace kafed::cli {
namespace {

using Hosts = std::vector<v1::HostSpec>;

void CheckRefusal(const absl::Status& status) {
  FUZZ_CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  const std::string text(status.message());
  FUZZ_CHECK(FindBadUtf8(text) == std::string::npos, text);
  const std::vector<std::string> lines = SplitList(text, '\n');
  FUZZ_CHECK(lines.size() <= 11, text);
  for (const std::string& line : lines) {
    FUZZ_CHECK(line.starts_with("line ") || line == "the file is empty" ||
                   line == "the file has no hosts" || line == "... and more",
               text);
  }
}

std::string CsvField(const std::string& text) {
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
  return field + "\"";
}

std::string AsCsv(const Hosts& hosts) {
  std::set<std::string> labels;
  for (const v1::HostSpec& host : hosts) {
    for (const auto& [name, value] : host.labels()) labels.insert(name);
  }
  std::string text = "id,region,zone";
  for (const std::string& label : labels) text += "," + CsvField(label);
  for (const v1::HostSpec& host : hosts) {
    text += "\n" + CsvField(host.id()) + "," + CsvField(host.region()) + "," +
            CsvField(host.zone());
    for (const std::string& label : labels) {
      const auto at = host.labels().find(label);
      text += "," + (at == host.labels().end() ? "" : CsvField(at->second));
    }
  }
  return text + "\n";
}

std::string AsJsonLines(const Hosts& hosts) {
  std::string text;
  for (const v1::HostSpec& host : hosts) text += ToJsonLine(host) + "\n";
  return text;
}

// Labels that a CSV header can't hold: its own columns, or none.
bool FitsCsv(const Hosts& hosts) {
  for (const v1::HostSpec& host : hosts) {
    for (const auto& [name, value] : host.labels()) {
      if (name.empty() || name == "id" || name == "region" || name == "zone") {
        return false;
      }
    }
  }
  return true;
}

void CheckSame(const Hosts& hosts, std::string_view text, HostFormat format) {
  const auto again = ParseHostFile(text, {format, "", ""});
  FUZZ_CHECK(again.ok(), std::string(text) + again.status().ToString());
  FUZZ_CHECK(again->size() == hosts.size(), text);
  for (size_t i = 0; i < hosts.size(); ++i) {
    FUZZ_CHECK(ToJsonLine((*again)[i]) == ToJsonLine(hosts[i]), text);
  }
}

void Try(std::string_view text, const HostFileOptions& options) {
  const auto hosts = ParseHostFile(text, options);
  if (!hosts.ok()) return CheckRefusal(hosts.status());
  FUZZ_CHECK(!hosts->empty());
  std::set<std::string> ids;
  for (const v1::HostSpec& host : *hosts) {
    FUZZ_CHECK(!host.id().empty() && !host.region().empty());
    FUZZ_CHECK(ids.insert(host.id()).second, host.id());
    std::string bytes;
    FUZZ_CHECK(FindBadUtf8(host.id()) == std::string::npos);
    for (const auto& [name, value] : host.labels()) {
      FUZZ_CHECK(FindBadUtf8(name + value) == std::string::npos);
      FUZZ_CHECK(!value.empty());
    }
  }
  CheckSame(*hosts, AsJsonLines(*hosts), HostFormat::kJsonLines);
  if (FitsCsv(*hosts)) CheckSame(*hosts, AsCsv(*hosts), HostFormat::kCsv);
}

}  // namespace
}  // namespace kafed::cli

// The first byte chooses the format and whether there is a default region.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kafed::cli;  // NOLINT: of this target
  if (size == 0) return 0;
  HostFileOptions options;
  options.format = static_cast<HostFormat>(data[0] % 4);
  if ((data[0] & 4) != 0) options.region = "eu";
  Try(kafed::fuzz::AsText(data + 1, size - 1), options);
  return 0;
}
