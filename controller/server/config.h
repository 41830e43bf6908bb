// The configuration of a node: one table of properties.
//
// The table (config.cc) names each property with its type, default, range and
// meaning; the reference page docs/reference/configuration.md is generated from
// it (`kafed config reference`). A value comes from, the later the stronger:
// default, YAML file, environment (KAFED_LISTEN), flag (--listen).
//
// Unknown keys and values out of range are refused with the key's name. No
// property holds a secret: credentials of sub-clusters are files in
// secrets_dir.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"

namespace kafed::controller {

struct Config {
  std::string data_dir;
  std::string listen;
  std::string http_listen;
  std::string log_level;
  std::string log_format;
  std::string secrets_dir;
  uint64_t session_ttl_ms = 0;
  uint64_t multicast_lease_ms = 0;
  uint64_t fence_window_ms = 0;
  uint64_t reconcile_interval_ms = 0;
  uint64_t snapshot_every_entries = 0;
  uint64_t history_entries = 0;
  uint64_t log_budget_bytes = 0;
  std::string log_backend;
  std::string log_servers;
  std::string log_path;
  std::string log_credentials;
  std::string log_ca_file;
  std::string log_certificate_file;
  std::string log_key_file;
  uint64_t log_session_timeout_ms = 0;
  std::string advertise;
  std::string region;
  std::string peers;
  uint64_t free_space_floor_bytes = 0;
  uint64_t worker_threads = 0;
};

// One row of the table.
struct Property {
  std::string name;     // snake_case; the flag has '-' for '_'
  std::string type;     // "text", "address", "milliseconds", "bytes", "count"
  std::string initial;  // default, as text
  uint64_t low = 0;     // of numbers
  uint64_t high = UINT64_MAX;
  std::string meaning;
  std::function<void(Config*, const std::string&)> set_text;
  std::function<void(Config*, uint64_t)> set_number;
};

const std::vector<Property>& Properties();

// `flags` and `environment` by property name. `file` may be empty: none.
absl::StatusOr<Config> LoadConfig(
    const std::string& file,
    const std::map<std::string, std::string>& environment,
    const std::map<std::string, std::string>& flags);

// InvalidArgument, naming the property, unless log_backend, log_servers and
// log_path go together.
absl::Status CheckQuorum(const std::string& backend, const std::string& servers,
                         const std::string& path);
// "user:password" in the first line of a file; empty for an empty name.
absl::StatusOr<std::string> ReadQuorumCredentials(const std::string& file);

// Of a property that is a list: HOST:PORT[,HOST:PORT...].
std::vector<std::string> SplitAddresses(const std::string& list);

// Properties set in the environment, as KAFED_<NAME>.
std::map<std::string, std::string> EnvironmentProperties();

// The reference page, in Markdown.
std::string ConfigReference();

}  // namespace kafed::controller
