# Warnings, sanitizers, linker and build parallelism of kafed's own targets.
add_library(kafed_options INTERFACE)
target_include_directories(kafed_options INTERFACE
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}>)
target_compile_options(kafed_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  -Werror=return-type -Werror=unused-result -Wno-missing-field-initializers)

option(KAFED_WERROR "Treat warnings as errors" OFF)
if(KAFED_WERROR)
  target_compile_options(kafed_options INTERFACE -Werror)
endif()

if(KAFED_FAILPOINTS)
  target_compile_definitions(kafed_options INTERFACE KAFED_FAILPOINTS)
endif()

# asan: address + undefined; tsan: thread. Empty: none.
set(KAFED_SANITIZE "" CACHE STRING "asan or tsan")
if(KAFED_SANITIZE STREQUAL "asan")
  add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer
    -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
elseif(KAFED_SANITIZE STREQUAL "tsan")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread -rdynamic)
elseif(KAFED_SANITIZE)
  message(FATAL_ERROR
    "KAFED_SANITIZE must be empty, asan or tsan, not '${KAFED_SANITIZE}'")
endif()

# Coverage for libFuzzer everywhere; its main() only in tests/fuzz.
if(KAFED_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "KAFED_FUZZ needs clang: use the preset fuzz")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined
    -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
endif()

find_program(KAFED_MOLD mold)
if(KAFED_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
find_program(KAFED_CCACHE ccache)
if(KAFED_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${KAFED_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${KAFED_CCACHE})
endif()
