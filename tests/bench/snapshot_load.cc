// snapshot_load FILE: loads and verifies the snapshot of an image, as a node
// does at its start. Prints one JSON line: "seconds", "bytes" of the file and
// "image_bytes".
#include <chrono>
#include <cstdio>

#include "common/snapshot_file.h"
#include "federation/image/image_io.h"

namespace kafed::bench {
namespace {

int Main(const char* path) {
  const auto begun = std::chrono::steady_clock::now();
  auto source = OpenSnapshotFile(path);
  if (!source.ok()) return 1;
  SnapshotReader reader(*std::move(source));
  const auto image = federation::LoadImage(&reader);
  if (!image.ok()) {
    std::fprintf(stderr, "snapshot_load: %s\n",
                 std::string(image.status().message()).c_str());
    return 1;
  }
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - begun;
  std::printf("{\"seconds\": %.4f, \"bytes\": %llu, \"image_bytes\": %zu}\n",
              took.count(),
              static_cast<unsigned long long>(reader.summary().bytes),
              image->MemoryBytes());
  return 0;
}

}  // namespace
}  // namespace kafed::bench

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: snapshot_load FILE\n");
    return 2;
  }
  return kafed::bench::Main(argv[1]);
}
