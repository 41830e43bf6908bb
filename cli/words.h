// Words of the protos as people read and type them: "unicast", "active".
#pragma once

#include <string>
#include <string_view>

#include "kafed/v1/types.pb.h"

namespace kafed::cli {

// The name of an enum value without the enum's name, in lower case:
// TOPIC_KIND_UNICAST -> "unicast". `prefix` ends in '_'.
inline std::string Word(std::string_view name, std::string_view prefix) {
  if (name.substr(0, prefix.size()) == prefix)
    name.remove_prefix(prefix.size());
  std::string word;
  for (const char c : name) {
    const bool upper = c >= 'A' && c <= 'Z';
    word += c == '_' ? '-' : upper ? static_cast<char>(c | 0x20) : c;
  }
  return word;
}

inline std::string Word(v1::TopicKind kind) {
  return Word(v1::TopicKind_Name(kind), "TOPIC_KIND_");
}
inline std::string Word(v1::SubClusterState state) {
  return Word(v1::SubClusterState_Name(state), "SUB_CLUSTER_STATE_");
}
inline std::string Word(v1::SegmentState state) {
  return Word(v1::SegmentState_Name(state), "SEGMENT_STATE_");
}

// "3/200": so many of so many.
template <typename A, typename B>
std::string Of(A part, B whole) {
  return std::to_string(part) + "/" + std::to_string(whole);
}

}  // namespace kafed::cli
