#include "metastore/store/sync_mark.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace kafed::metastore {
namespace {

static_assert(std::endian::native == std::endian::little);
constexpr size_t kBytes = 16;

uint64_t Parse(const char* bytes) {
  uint64_t number = 0;
  uint64_t checksum = 0;
  std::memcpy(&number, bytes, sizeof(number));
  std::memcpy(&checksum, bytes + sizeof(number), sizeof(checksum));
  return XXH3_64bits(bytes, sizeof(number)) == checksum ? number : 0;
}

absl::Status FileError(const std::string& path) {
  return absl::UnavailableError("cannot map " + path + ": " +
                                std::strerror(errno));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SyncMark>> SyncMark::Open(
    const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return FileError(path);
  void* bytes = MAP_FAILED;
  // Its blocks are there before it is mapped: a full disk must not be met in
  // the middle of a store.
  if (posix_fallocate(fd, 0, kBytes) == 0) {
    bytes = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  const absl::Status failed =
      bytes == MAP_FAILED ? FileError(path) : absl::OkStatus();
  close(fd);
  if (!failed.ok()) return failed;
  return std::unique_ptr<SyncMark>(new SyncMark(static_cast<char*>(bytes)));
}

SyncMark::~SyncMark() { munmap(bytes_, kBytes); }

uint64_t SyncMark::Read(const std::string& path) {
  std::array<char, kBytes> bytes{};
  std::ifstream file(path, std::ios::binary);
  if (!file.read(bytes.data(), bytes.size())) return 0;
  return Parse(bytes.data());
}

uint64_t SyncMark::value() const {
  std::lock_guard lock(mutex_);
  return Parse(bytes_);
}

void SyncMark::Advance(uint64_t number) {
  std::lock_guard lock(mutex_);
  if (number <= Parse(bytes_)) return;
  const uint64_t checksum = XXH3_64bits(&number, sizeof(number));
  std::memcpy(bytes_, &number, sizeof(number));
  std::memcpy(bytes_ + sizeof(number), &checksum, sizeof(checksum));
}

}  // namespace kafed::metastore
