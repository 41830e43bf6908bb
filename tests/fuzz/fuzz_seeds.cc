// Writes the binary seeds: `fuzz_seeds tests/fuzz/corpus`. Not a fuzz target.
//
// The seeds are kept in the repository; this is how they were made, and how
// they are made again when a format changes. Text seeds are written by hand.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "common/kafka_header.h"
#include "common/snapshot_container.h"
#include "federation/image/rows.h"

namespace kafed::fuzz {
namespace {

class Corpus {
 public:
  explicit Corpus(std::filesystem::path folder) : folder_(std::move(folder)) {}
  void Write(const std::string& target, const std::string& name,
             const std::string& bytes) const {
    std::filesystem::create_directories(folder_ / target);
    std::ofstream file(folder_ / target / name, std::ios::binary);
    file << bytes;
    if (!file.flush()) std::abort();
  }

 private:
  std::filesystem::path folder_;
};

void KafkaHeaders(const Corpus& corpus) {
  KafkaHeader header{MessageKind::kData, (1ull << 32) + 1, {}, 42};
  header.source[3] = 7;
  corpus.Write("kafka_header", "data", EncodeKafkaHeader(header));
  header.kind = MessageKind::kUnsubscribe;
  corpus.Write("kafka_header", "unsubscribe", EncodeKafkaHeader(header));
}

void Containers(const Corpus& corpus) {
  for (const size_t rows : {0, 3, 200}) {
    std::string bytes;
    SnapshotWriter writer([&](std::string_view more) {
      bytes.append(more);
      return absl::OkStatus();
    });
    bool ok = writer.Begin({SnapshotKind::kImage, "blob"}).ok();
    for (size_t i = 0; i < rows; ++i) {
      ok = ok && writer
                     .Add(static_cast<uint8_t>(i % 7), std::to_string(i * 7919),
                          "value")
                     .ok();
    }
    if (!ok || !writer.Finish().ok()) std::abort();
    corpus.Write("snapshot_container", std::to_string(rows) + "-rows", bytes);
  }
}

}  // namespace
}  // namespace kafed::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: fuzz_seeds CORPUS-FOLDER\n", stderr);
    return 2;
  }
  const kafed::fuzz::Corpus corpus(argv[1]);
  kafed::fuzz::KafkaHeaders(corpus);
  kafed::fuzz::Containers(corpus);
  return 0;
}
