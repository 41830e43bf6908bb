# kafed_library(NAME SOURCES a.cc ... DEPS x ...): one static library of a
# folder. Deps are public, so that a target links what it includes.
function(kafed_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC kafed_options ${ARG_DEPS})
  kafed_use_precompiled(${name} library ${ARG_DEPS})
endfunction()

# kafed_binary(NAME SOURCES main.cc ... DEPS x ...): a program in bin/.
function(kafed_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE kafed_options ${ARG_DEPS})
endfunction()

# kafed_jemalloc(NAME): a program that holds an image allocates with jemalloc;
# sanitizers bring an allocator of their own.
function(kafed_jemalloc name)
  if(TARGET PkgConfig::JEMALLOC)
    target_link_libraries(${name} PRIVATE PkgConfig::JEMALLOC)
  endif()
endfunction()

# kafed_test(NAME SOURCES a_test.cc ... DEPS x ... [LABELS unit|tsan|...]
# [TIMEOUT seconds]): one GoogleTest program, one ctest entry. The label "tsan"
# marks suites that also run in the ThreadSanitizer build (no gRPC in them).
function(kafed_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE kafed_options ${ARG_DEPS}
    GTest::gmock GTest::gtest_main)
  kafed_use_precompiled(${name} test ${ARG_DEPS})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES
    LABELS "unit;${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()
