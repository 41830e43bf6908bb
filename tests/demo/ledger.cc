#include "tests/demo/ledger.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <sstream>

namespace kafed::demo {

std::string EncodePayload(const Payload& payload, size_t padding) {
  return payload.producer + " " + std::to_string(payload.sequence) + " " +
         payload.key + " " + std::to_string(payload.time_ns) + " " +
         std::string(padding, '.');
}

std::optional<Payload> DecodePayload(std::string_view bytes) {
  std::istringstream words{std::string(bytes)};
  Payload payload;
  words >> payload.producer >> payload.sequence >> payload.key >>
      payload.time_ns;
  if (words.fail()) return std::nullopt;
  return payload;
}

uint64_t NowNs() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(
          std::chrono::system_clock::now().time_since_epoch())
          .count());
}

LedgerWriter::LedgerWriter(const std::string& folder, const std::string& name)
    : file_(folder + "/" + name) {}

void LedgerWriter::Add(std::initializer_list<std::string_view> fields) {
  absl::MutexLock lock(&mutex_);
  bool first = true;
  for (const std::string_view field : fields) {
    if (!first) file_ << '\t';
    file_ << field;
    first = false;
  }
  file_ << '\n';
}

void LedgerWriter::Flush() {
  absl::MutexLock lock(&mutex_);
  file_.flush();
}

std::vector<std::vector<std::string>> ReadLedger(const std::string& path) {
  std::vector<std::vector<std::string>> lines;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::vector<std::string>& fields = lines.emplace_back();
    std::istringstream split(line);
    std::string field;
    while (std::getline(split, field, '\t')) fields.push_back(field);
  }
  return lines;
}

std::vector<std::string> FindLedgers(const std::string& folder,
                                     const std::string& prefix) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().rfind(prefix, 0) == 0) {
      paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace kafed::demo
