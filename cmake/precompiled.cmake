# Headers of other projects and of the protocols, compiled once for each way
# of compiling instead of once for each file: half of a cold build's time.
# None of kafed's own headers is in them, so editing one rebuilds its users
# only. A file still includes what it uses; clang-tidy reads it without these.
#
# Three levels, by what a target links: std, proto (with kafed's messages),
# grpc (with its services); each for libraries and for tests, which add
# GoogleTest and are compiled for an executable.
set(KAFED_HEADERS_std
  <algorithm> <array> <atomic> <chrono> <condition_variable> <cstdint>
  <deque> <filesystem> <fstream> <functional> <map> <memory> <mutex>
  <optional> <random> <set> <span> <sstream> <string> <string_view> <thread>
  <utility> <vector>
  <absl/container/flat_hash_map.h> <absl/status/status.h>
  <absl/status/statusor.h> <absl/strings/str_cat.h>
  <absl/synchronization/mutex.h>)
set(KAFED_HEADERS_proto ${KAFED_HEADERS_std}
  <kafed/v1/admin.pb.h> <kafed/v1/peer.pb.h> <kafed/v1/records.pb.h>
  <kafed/v1/routing.pb.h> <kafed/v1/rows.pb.h> <kafed/v1/snapshot.pb.h>)
set(KAFED_HEADERS_grpc ${KAFED_HEADERS_proto}
  <grpcpp/grpcpp.h> <kafed/v1/admin.grpc.pb.h> <kafed/v1/routing.grpc.pb.h>)
set(KAFED_HEADERS_DEPS_std absl::status absl::statusor absl::flat_hash_map
  absl::synchronization absl::strings)
set(KAFED_HEADERS_DEPS_proto ${KAFED_HEADERS_DEPS_std} kafed_proto)
set(KAFED_HEADERS_DEPS_grpc ${KAFED_HEADERS_DEPS_proto} kafed_grpc)

function(kafed_precompiled_headers level)
  set(kinds library)
  if(KAFED_TESTS)
    list(APPEND kinds test)
  endif()
  set(nothing ${CMAKE_BINARY_DIR}/nothing.cc)  # a library has a source
  if(NOT EXISTS ${nothing})
    file(WRITE ${nothing} "")
  endif()
  foreach(kind ${kinds})
    set(name kafed_headers_${level}_${kind})
    add_library(${name} OBJECT ${nothing})
    target_link_libraries(${name}
      PRIVATE kafed_options ${KAFED_HEADERS_DEPS_${level}})
    target_precompile_headers(${name} PRIVATE ${KAFED_HEADERS_${level}})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
      # The time of its making is not a part of it: ccache compares it.
      target_compile_options(${name} PRIVATE -Xclang -fno-pch-timestamp)
    endif()
    if(kind STREQUAL "test")
      target_precompile_headers(${name} PRIVATE
        <gmock/gmock.h> <gtest/gtest.h>)
      target_link_libraries(${name} PRIVATE GTest::gmock)
      # As CMake compiles a program.
      set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
      target_compile_options(${name} PRIVATE -fPIE)
    endif()
  endforeach()
endfunction()

# Whether a target links another, also through others that it links.
function(kafed_links target wanted out)
  set(seen)
  set(todo ${target})
  while(todo)
    list(POP_FRONT todo next)
    if(next STREQUAL wanted)
      set(${out} TRUE PARENT_SCOPE)
      return()
    endif()
    if(next IN_LIST seen OR NOT TARGET ${next})
      continue()
    endif()
    list(APPEND seen ${next})
    get_target_property(more ${next} INTERFACE_LINK_LIBRARIES)
    if(more)
      list(APPEND todo ${more})
    endif()
  endwhile()
  set(${out} FALSE PARENT_SCOPE)
endfunction()

# The precompiled headers of a target, by what its DEPS link.
function(kafed_use_precompiled target kind)
  set(level std)
  foreach(dep ${ARGN})
    kafed_links(${dep} kafed_grpc services)
    kafed_links(${dep} kafed_proto messages)
    if(services)
      set(level grpc)
    elseif(messages AND NOT level STREQUAL "grpc")
      set(level proto)
    endif()
  endforeach()
  target_precompile_headers(${target} REUSE_FROM kafed_headers_${level}_${kind})
endfunction()
