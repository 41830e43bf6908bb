// What the fuzz targets share: a check that ends the run, bytes as text, and
// files in memory for what reads a path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// A property that does not hold: libFuzzer keeps the input and stops.
#define FUZZ_CHECK(condition, ...)                                \
  do {                                                            \
    if (!(condition)) {                                           \
      ::kafed::fuzz::Broken(#condition, __FILE__,                 \
                            __LINE__ __VA_OPT__(, ) __VA_ARGS__); \
    }                                                             \
  } while (false)

namespace kafed::fuzz {

[[noreturn]] void Broken(const char* condition, const char* file, int line,
                         std::string_view detail = {});

inline std::string_view AsText(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A file without a name, in memory, that can be opened by a path.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const;

 private:
  int fd_;
};

// A folder of this process, in memory where there is /dev/shm; removed at exit.
const std::string& ScratchFolder();

// Cuts an input into pieces, as a structured target needs them. Never fails:
// what is missing is zero or empty.
class Pieces {
 public:
  explicit Pieces(std::string_view input) : rest_(input) {}

  bool empty() const { return rest_.empty(); }
  uint8_t Byte();
  bool Flag() { return (Byte() & 1) != 0; }
  // 0 to below `bound`, of one byte.
  size_t Below(size_t bound) { return Byte() % bound; }
  uint64_t Number64();
  // A byte's length, or two with the top bit set, then so many bytes.
  std::string_view Block();
  std::string_view Rest();

 private:
  std::string_view rest_;
};

// The writing side of Pieces::Block, for seeds.
void PutBlock(std::string_view bytes, std::string* out);

}  // namespace kafed::fuzz
