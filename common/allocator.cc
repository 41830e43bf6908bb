#include "common/allocator.h"

#include <malloc.h>

#include <cstddef>

// Null in a program without jemalloc.
extern "C" int mallctl(const char* name, void* old_value, size_t* old_size,
                       void* new_value, size_t new_size) __attribute__((weak));

namespace kafed {

void ReturnFreeMemory() {
  if (mallctl != nullptr) {
    // 4096 is MALLCTL_ARENAS_ALL.
    mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0);
  } else {
    malloc_trim(0);
  }
}

}  // namespace kafed
