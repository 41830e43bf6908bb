#include "controller/server/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "common/status_macros.h"
#include "federation/plan/validate.h"

namespace kafed::controller {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;

Property Text(std::string name, std::string type, std::string initial,
              std::string meaning, std::string Config::*member) {
  Property property;
  property.name = std::move(name);
  property.type = std::move(type);
  property.initial = std::move(initial);
  property.meaning = std::move(meaning);
  property.set_text = [member](Config* config, const std::string& value) {
    config->*member = value;
  };
  return property;
}

Property Number(std::string name, std::string type, uint64_t initial,
                uint64_t low, uint64_t high, std::string meaning,
                uint64_t Config::*member) {
  Property property;
  property.name = std::move(name);
  property.type = std::move(type);
  property.initial = std::to_string(initial);
  property.low = low;
  property.high = high;
  property.meaning = std::move(meaning);
  property.set_number = [member](Config* config, uint64_t value) {
    config->*member = value;
  };
  return property;
}

// Of a log that several nodes share.
std::vector<Property> ClusterProperties() {
  using C = Config;
  return {
      Text("log_backend", "text", "local",
           "Who keeps the log: local (this node alone, in data_dir), "
           "zookeeper or etcd (several nodes share it).",
           &C::log_backend),
      Text("log_servers", "text", "",
           "HOST:PORT[,HOST:PORT...] of the servers that keep a shared log.",
           &C::log_servers),
      Text("log_path", "text", "/kafed",
           "Where the cluster's log is on those servers; each cluster has a "
           "path of its own.",
           &C::log_path),
      Text("log_credentials", "text", "",
           "File in secrets_dir with user:password for those servers, in one "
           "line; empty: none are needed.",
           &C::log_credentials),
      Text("log_ca_file", "text", "",
           "PEM file of who vouches for etcd's servers; empty: no TLS. The "
           "ZooKeeper client has none.",
           &C::log_ca_file),
      Text("log_certificate_file", "text", "",
           "PEM file of the certificate that this node shows etcd; together "
           "with log_key_file.",
           &C::log_certificate_file),
      Text("log_key_file", "text", "",
           "PEM file of the key of log_certificate_file.", &C::log_key_file),
      Number("log_session_timeout_ms", "milliseconds", 6'000, 1'000, 60'000,
             "How long those servers wait for a node before they take it for "
             "dead; another node is then the coordinator.",
             &C::log_session_timeout_ms),
      Text("advertise", "text", "",
           "HOST:PORT at which clients and other nodes reach this node; empty: "
           "the address it listens on.",
           &C::advertise),
      Text("region", "text", "",
           "Region this node runs in; clients prefer nodes of their own.",
           &C::region),
      Text("peers", "text", "",
           "HOST:PORT[,HOST:PORT...] of other nodes, asked for a snapshot when "
           "the log's history does not go back far enough. A name may stand "
           "for several nodes, or for this one too.",
           &C::peers),
  };
}

std::vector<Property> NodeProperties() {
  using C = Config;
  return {
      Text("data_dir", "text", "",
           "Directory of the event log and snapshots; one process at a time. "
           "Must be set.",
           &C::data_dir),
      Text("listen", "address", "127.0.0.1:7420",
           "HOST:PORT of gRPC; port 0 picks a free one and prints it.",
           &C::listen),
      Text("http_listen", "address", "127.0.0.1:7421",
           "HOST:PORT of /metrics, /healthz and /readyz; port 0 picks a free "
           "one; `off` serves none.",
           &C::http_listen),
      Text("log_level", "text", "info",
           "Least severe lines to log: debug, info, warning or error.",
           &C::log_level),
      Text("log_format", "text", "text",
           "text, or json for one JSON object a line.", &C::log_format),
      Text("secrets_dir", "text", "/etc/kafed/secrets",
           "Folder with a file of librdkafka security properties for each "
           "security reference of a sub-cluster.",
           &C::secrets_dir),
      Number("session_ttl_ms", "milliseconds", 15 * 60 * 1000, 1'000,
             24 * 60 * 60 * 1000ull,
             "Lease of a producer's session: how long it goes on when no node "
             "answers.",
             &C::session_ttl_ms),
      Number("multicast_lease_ms", "milliseconds", 10'000, 100, 900'000,
             "Lease of multicast routes: the longest time that adding a host "
             "to a VPC waits for a silent producer.",
             &C::multicast_lease_ms),
      Number("fence_window_ms", "milliseconds", 60'000, 1'000, 3'600'000,
             "W: brokers refuse messages older than this. Producers' message "
             "timeout is half of it, and clocks may be off by a quarter.",
             &C::fence_window_ms),
      Number("reconcile_interval_ms", "milliseconds", 5'000, 50, 600'000,
             "How often a sub-cluster without work is compared with what it "
             "should hold.",
             &C::reconcile_interval_ms),
      Number("snapshot_every_entries", "count", 10'000, 10, 10'000'000,
             "Entries between two snapshots of the image.",
             &C::snapshot_every_entries),
      Number("history_entries", "count", 1'000'000, 0, 1'000'000'000,
             "Entries kept before the oldest snapshot, for events and explain.",
             &C::history_entries),
      Number("log_budget_bytes", "bytes", 0, 0, UINT64_MAX,
             "Payload bytes the log may hold; when used up, changes are "
             "refused rather than history lost. 0: not limited.",
             &C::log_budget_bytes),
      Number("free_space_floor_bytes", "bytes", 256ull << 20, 0, UINT64_MAX,
             "Changes are refused when less disk space than this would be "
             "left. 0: not looked at, as where a file system does not tell; "
             "storage then meets the full disk itself, and recovers from it.",
             &C::free_space_floor_bytes),
      Number("worker_threads", "count", 32, 4, 1'024,
             "Threads for calls that wait (joins, imports, snapshots).",
             &C::worker_threads),
  };
}

absl::Status Bad(const Property& property, const std::string& why) {
  return absl::InvalidArgumentError("configuration " + property.name + ": " +
                                    why);
}

absl::Status CheckAddress(const Property& property, const std::string& value) {
  if (property.name == "http_listen" && value == "off") return absl::OkStatus();
  const size_t colon = value.rfind(':');
  uint32_t port = 0;
  const auto bad = [&] {
    return Bad(property, "'" + value + "' is not HOST:PORT");
  };
  if (colon == std::string::npos || colon == 0) return bad();
  const char* begin = value.data() + colon + 1;
  const char* end = value.data() + value.size();
  if (begin == end || std::from_chars(begin, end, port).ptr != end ||
      port > 65535) {
    return bad();
  }
  return absl::OkStatus();
}

absl::Status Set(const Property& property, const std::string& value,
                 Config* config) {
  if (property.set_text) {
    if (property.type == "address") {
      RETURN_IF_ERROR(CheckAddress(property, value));
    }
    property.set_text(config, value);
    return absl::OkStatus();
  }
  uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size()) {
    return Bad(property, "'" + value + "' is not a number");
  }
  if (number < property.low || number > property.high) {
    return Bad(property, value + " is outside " + std::to_string(property.low) +
                             " to " + std::to_string(property.high));
  }
  property.set_number(config, number);
  return absl::OkStatus();
}

absl::Status SetAll(const std::map<std::string, std::string>& values,
                    const std::string& where, Config* config) {
  for (const auto& item : values) {
    const auto& all = Properties();
    const auto at = std::find_if(
        all.begin(), all.end(),
        [&](const Property& property) { return property.name == item.first; });
    if (at == all.end()) {
      return Annotate(
          absl::InvalidArgumentError("there is no property '" + item.first +
                                     "'; see docs/reference/configuration.md"),
          where);
    }
    RETURN_IF_ERROR(Annotate(Set(*at, item.second, config), where));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadText(const std::string& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) {
    return absl::InvalidArgumentError(
        file + ": is a folder; expected a YAML file of properties");
  }
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    return absl::NotFoundError(file +
                               ": can't be read: " + std::strerror(errno));
  }
  std::string text(kMaxFileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return absl::UnavailableError(file + ": can't be read");
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > kMaxFileBytes) {
    return absl::InvalidArgumentError(file + ": is larger than " +
                                      std::to_string(kMaxFileBytes) +
                                      " bytes; is it a configuration?");
  }
  return text;
}

absl::StatusOr<std::map<std::string, std::string>> ReadFile(
    const std::string& file) {
  std::map<std::string, std::string> values;
  ASSIGN_OR_RETURN(const std::string text, ReadText(file));
  // yaml-cpp reports by exceptions; they end here.
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root || root.IsNull()) return values;
    if (!root.IsMap()) {
      return absl::InvalidArgumentError(file + ": is not a map of properties");
    }
    for (const auto& item : root) {
      const auto name = item.first.as<std::string>();
      if (values.contains(name)) {
        return Annotate(absl::InvalidArgumentError(
                            name + ": is given twice (again in line " +
                            std::to_string(item.first.Mark().line + 1) + ")"),
                        file);
      }
      if (!item.second.IsScalar()) {
        return Annotate(absl::InvalidArgumentError(
                            name + ": expected one value (line " +
                            std::to_string(item.second.Mark().line + 1) + ")"),
                        file);
      }
      values[name] = item.second.as<std::string>();
    }
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(file + ": line " +
                                      std::to_string(error.mark.line + 1) +
                                      ": " + error.msg);
  }
  return values;
}

absl::Status CheckOneOf(const std::string& name, const std::string& value,
                        const std::vector<std::string>& allowed) {
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) {
    return absl::OkStatus();
  }
  std::string list;
  for (const std::string& each : allowed) {
    list += list.empty() ? "" : ", ";
    list += each;
  }
  return absl::InvalidArgumentError("configuration " + name + ": '" + value +
                                    "' is not one of " + list);
}

absl::Status NotAnAddress(const std::string& name, const std::string& value) {
  return absl::InvalidArgumentError("configuration " + name + ": '" + value +
                                    "' is not HOST:PORT");
}

absl::Status CheckAddressList(const std::string& name,
                              const std::string& list) {
  for (const std::string& address : SplitAddresses(list)) {
    const size_t colon = address.rfind(':');
    uint64_t port = 0;
    const char* const end = address.data() + address.size();
    const bool number =
        colon != std::string::npos && colon > 0 &&
        std::from_chars(address.data() + colon + 1, end, port).ptr == end;
    if (!number || port == 0 || port > 65'535) {
      return NotAnAddress(name, address);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckWhole(const Config& config) {
  if (config.data_dir.empty()) {
    return absl::InvalidArgumentError(
        "configuration data_dir: is not set; give --data-dir DIR");
  }
  RETURN_IF_ERROR(CheckOneOf("log_level", config.log_level,
                             {"debug", "info", "warning", "error"}));
  RETURN_IF_ERROR(
      CheckOneOf("log_format", config.log_format, {"text", "json"}));
  RETURN_IF_ERROR(CheckAddressList("peers", config.peers));
  RETURN_IF_ERROR(CheckAddressList("advertise", config.advertise));
  return CheckQuorum(config.log_backend, config.log_servers, config.log_path);
}

}  // namespace

absl::Status CheckQuorum(const std::string& backend, const std::string& servers,
                         const std::string& path) {
  RETURN_IF_ERROR(
      CheckOneOf("log_backend", backend, {"local", "zookeeper", "etcd"}));
  RETURN_IF_ERROR(CheckAddressList("log_servers", servers));
  const bool local = backend == "local";
  if (local != servers.empty()) {
    return absl::InvalidArgumentError(
        local ? "configuration log_servers: is of no use where log_backend is "
                "local; did you mean log_backend zookeeper?"
              : "configuration log_servers: is not set; log_backend " +
                    backend + " needs HOST:PORT[,HOST:PORT...]");
  }
  if (path.size() < 2 || path.front() != '/' || path.back() == '/' ||
      path.find("//") != std::string::npos) {
    return absl::InvalidArgumentError(
        "configuration log_path: '" + path +
        "' is not a path such as /kafed, without a slash at the end");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadQuorumCredentials(const std::string& file) {
  if (file.empty()) return std::string();
  std::ifstream in(file);
  std::string line;
  if (!std::getline(in, line) || line.find(':') == std::string::npos) {
    return absl::FailedPreconditionError(
        "log_credentials: expected user:password in the first line of " + file);
  }
  return line;
}

std::vector<std::string> SplitAddresses(const std::string& list) {
  std::vector<std::string> addresses;
  for (size_t from = 0; from < list.size();) {
    const size_t comma = std::min(list.find(',', from), list.size());
    addresses.push_back(list.substr(from, comma - from));
    from = comma + 1;
  }
  return addresses;
}

const std::vector<Property>& Properties() {
  static const std::vector<Property> properties = [] {
    std::vector<Property> all = NodeProperties();
    std::vector<Property> more = ClusterProperties();
    all.insert(all.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
    return all;
  }();
  return properties;
}

absl::StatusOr<Config> LoadConfig(
    const std::string& file,
    const std::map<std::string, std::string>& environment,
    const std::map<std::string, std::string>& flags) {
  Config config;
  for (const Property& property : Properties()) {
    RETURN_IF_ERROR(Set(property, property.initial, &config));
  }
  if (!file.empty()) {
    ASSIGN_OR_RETURN(const auto values, ReadFile(file));
    RETURN_IF_ERROR(SetAll(values, file, &config));
  }
  RETURN_IF_ERROR(SetAll(environment, "environment", &config));
  RETURN_IF_ERROR(SetAll(flags, "command line", &config));
  RETURN_IF_ERROR(CheckWhole(config));
  return config;
}

std::map<std::string, std::string> EnvironmentProperties() {
  std::map<std::string, std::string> values;
  for (const Property& property : Properties()) {
    std::string name = "KAFED_" + property.name;
    std::transform(name.begin(), name.end(), name.begin(), [](char c) {
      return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    });
    if (const char* value = std::getenv(name.c_str())) {
      values[property.name] = value;
    }
  }
  return values;
}

std::string ConfigReference() {
  std::string page =
      "# Configuration\n\n"
      "Generated by `kafed config reference`; do not edit.\n\n"
      "A value comes from, the later the stronger: the default, the YAML file "
      "given with `--config`,\nthe environment (`KAFED_` and the name in upper "
      "case), the flag (`--` and the name with `-` for `_`).\n\n"
      "| property | type | default | range | meaning |\n"
      "| --- | --- | --- | --- | --- |\n";
  for (const Property& property : Properties()) {
    std::string range = "-";
    if (property.set_number) {
      range = std::to_string(property.low) + " to " +
              (property.high == UINT64_MAX ? "2^64-1"
                                           : std::to_string(property.high));
    }
    page += "| `" + property.name + "` | " + property.type + " | " +
            (property.initial.empty() ? "-" : "`" + property.initial + "`") +
            " | " + range + " | " + property.meaning + " |\n";
  }
  return page;
}

}  // namespace kafed::controller
