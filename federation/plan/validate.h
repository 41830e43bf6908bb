// The one validator of what people and programs send: used when planning, by
// the import of files and by the CLI before it asks a node.
//
// Every refusal names the field, what it was and what would be right.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kafed/v1/types.pb.h"

namespace kafed::federation {

inline constexpr size_t kMaxNameBytes = 64;
inline constexpr size_t kMaxIdBytes = 128;
inline constexpr size_t kMaxLabels = 32;
inline constexpr int kMaxZones = 64;
inline constexpr int kMaxQuotas = 64;
inline constexpr size_t kMaxAdminBytes = 256;
inline constexpr size_t kMaxLabelBytes = 256;
// What joins a VPC in one call (proto HostVms): one entry must hold it.
inline constexpr int kMaxVmsOfHost = 1'000;
inline constexpr size_t kMaxJoinBytes = 256 * 1024;
// The counts of a session that ends, as the log stores them: likewise.
inline constexpr size_t kMaxCountBytes = 256 * 1024;

// 'text' as refusals show it: at most 40 bytes, nothing that upsets a terminal.
std::string Quote(std::string_view text);

// "1 host", "2 hosts".
std::string Counted(uint64_t number, std::string_view noun);

// Names of sub-clusters, topics, regions and zones: letters, digits, '-', '_';
// the first is no '-', which a command line takes for an option.
absl::Status ValidateName(std::string_view field, std::string_view name);

// Ids of hosts, VPCs, resources and instances: printable UTF-8, no blanks and
// no '/' (it separates topic and id).
absl::Status ValidateId(std::string_view field, std::string_view id);

// Ids of hashed keys, which are any text: 1 to kMaxIdBytes bytes of UTF-8
// without control characters.
absl::Status ValidateHashedId(std::string_view field, std::string_view id);

// The caller says which host it is about.
absl::Status ValidateHost(const v1::HostSpec& host);
absl::Status ValidateSubCluster(const v1::SubClusterSpec& spec);
absl::Status ValidateTopic(const v1::TopicSpec& spec);
absl::Status ValidateInstance(const v1::InstanceSpec& spec);
absl::Status ValidateLimits(std::string_view field, const v1::Limits& limits);
// "host:port[,host:port...]".
absl::Status ValidateBootstrapServers(std::string_view field,
                                      std::string_view servers);

// Splits "topic/id"; the id may be empty (hashed topics only).
struct Key {
  std::string_view topic;
  std::string_view id;
};
absl::StatusOr<Key> ParseKey(std::string_view key);

}  // namespace kafed::federation
