// Lists of protobuf messages as text, for targets that play them to something:
// one a line, its kind and the message in protobuf's text format.
//
//   CreateTopic spec { name: "nca" kind: TOPIC_KIND_UNICAST }
//   ImportHosts hosts { id: "h1" region: "eu" } total: 1
//
// A target says which kinds there are (ListKinds) and has lists mutated by
// their structure: KAFED_FUZZ_LIST_MUTATOR defines libFuzzer's two hooks.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kafed::fuzz {

struct Listed {
  std::string kind;
  std::unique_ptr<google::protobuf::Message> message;
};

inline constexpr size_t kMaxListed = 40;

// Kinds with an empty message of each.
using Kinds =
    std::vector<std::pair<std::string, const google::protobuf::Message*>>;

// Defined by the target.
const Kinds& ListKinds();
// The methods of kafed.v1.Admin and kafed.v1.Routing with their requests.
Kinds RpcKinds();

// Lines that are none are left out, as are messages that could not have come
// over the wire (strings that are not UTF-8).
std::vector<Listed> ParseList(std::string_view text);
std::string ToText(const std::vector<Listed>& requests);

// Makes numbers of partitions small where they would be accepted: the same
// decisions, and a hundred times as many inputs in the same time.
void KeepSmall(google::protobuf::Message* message);

size_t MutateList(uint8_t* data, size_t size, size_t max_size,
                  unsigned int seed);
size_t CrossLists(std::string_view one, std::string_view other, uint8_t* out,
                  size_t max_size, unsigned int seed);

}  // namespace kafed::fuzz

// NOLINTBEGIN(readability-identifier-naming): libFuzzer's names
#define KAFED_FUZZ_LIST_MUTATOR                                            \
  extern "C" size_t LLVMFuzzerCustomMutator(                               \
      uint8_t* data, size_t size, size_t max_size, unsigned int seed) {    \
    return kafed::fuzz::MutateList(data, size, max_size, seed);            \
  }                                                                        \
  extern "C" size_t LLVMFuzzerCustomCrossOver(                             \
      const uint8_t* one, size_t one_size, const uint8_t* other,           \
      size_t other_size, uint8_t* out, size_t max_size, unsigned seed) {   \
    return kafed::fuzz::CrossLists(                                        \
        {reinterpret_cast<const char*>(one), one_size},                    \
        {reinterpret_cast<const char*>(other), other_size}, out, max_size, \
        seed);                                                             \
  }
// NOLINTEND(readability-identifier-naming)
