#include "tests/fuzz/support.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "common/log.h"

namespace kafed::fuzz {
namespace {

constexpr uint8_t kLong = 0x80;

struct Folder {
  Folder() {
    std::error_code error;
    const bool memory = std::filesystem::is_directory("/dev/shm", error);
    std::string name = (memory ? std::filesystem::path("/dev/shm")
                               : std::filesystem::temp_directory_path()) /
                       "kafed-fuzz-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string path;
};

}  // namespace

void Broken(const char* condition, const char* file, int line,
            std::string_view detail) {
  std::fprintf(stderr, "%s:%d: broken: %s\n%.*s\n", file, line, condition,
               static_cast<int>(detail.size()), detail.data());
  std::abort();
}

MemoryFile::MemoryFile(std::string_view bytes)
    : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
  if (fd_ < 0) std::abort();
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written <= 0) std::abort();
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

MemoryFile::~MemoryFile() { close(fd_); }

std::string MemoryFile::path() const {
  return "/proc/self/fd/" + std::to_string(fd_);
}

const std::string& ScratchFolder() {
  static const Folder folder;
  return folder.path;
}

uint8_t Pieces::Byte() {
  if (rest_.empty()) return 0;
  const auto byte = static_cast<uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  return byte;
}

uint64_t Pieces::Number64() {
  uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | Byte();
  return number;
}

std::string_view Pieces::Block() {
  size_t size = Byte();
  if ((size & kLong) != 0) size = (size & ~size_t{kLong}) << 8 | Byte();
  const std::string_view block = rest_.substr(0, size);
  rest_.remove_prefix(block.size());
  return block;
}

std::string_view Pieces::Rest() {
  return std::exchange(rest_, std::string_view());
}

void PutBlock(std::string_view bytes, std::string* out) {
  const size_t size = std::min<size_t>(bytes.size(), 0x7fff);
  if (size >= kLong) {
    out->push_back(static_cast<char>(kLong | size >> 8));
  }
  out->push_back(static_cast<char>(size));
  out->append(bytes.substr(0, size));
}

}  // namespace kafed::fuzz

// Rejections are what most inputs get: they are not worth a line each.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  kafed::SetUpLogging(kafed::LogLevel::kError, /*json=*/false);
  return 0;
}
