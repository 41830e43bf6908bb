#include "federation/plan/validate.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "common/status_macros.h"
#include "common/utf8.h"

namespace kafed::federation {
namespace {

bool IsNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '-' || c == '_';
}

absl::Status Bad(std::string_view field, std::string_view why) {
  return absl::InvalidArgumentError(std::string(field) + ": " +
                                    std::string(why));
}

constexpr size_t kShownBytes = 40;

absl::Status ValidateText(std::string_view field, std::string_view text,
                          size_t max_bytes) {
  if (text.size() > max_bytes) {
    return Bad(field, "has " + std::to_string(text.size()) +
                          " bytes, at most " + std::to_string(max_bytes) +
                          " are allowed");
  }
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<uint8_t>(text[i]);
    const size_t length = Utf8Length(text.substr(i));
    if (byte < 0x20 || byte == 0x7f || length == 0) {
      return Bad(field, Quote(text) +
                            " holds a control character or broken UTF-8 at "
                            "byte " +
                            std::to_string(i + 1));
    }
    i += length;
  }
  return absl::OkStatus();
}

// A name, an IPv4 address, or an IPv6 address in brackets.
bool IsHost(std::string_view host) {
  const bool brackets =
      host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  for (const char c : host) {
    if (!IsNameByte(c) && c != '.' && !(brackets && c == ':')) return false;
  }
  return !host.empty();
}

}  // namespace

std::string Quote(std::string_view text) {
  std::string shown = "'";
  size_t at = 0;
  while (at < text.size()) {
    const auto byte = static_cast<uint8_t>(text[at]);
    const size_t length = Utf8Length(text.substr(at));
    if (at + std::max<size_t>(length, 1) > kShownBytes) break;
    if (byte < 0x20 || byte == 0x7f || length == 0) {
      shown += '?';
    } else {
      shown += text.substr(at, length);
    }
    at += std::max<size_t>(length, 1);
  }
  return shown + (at < text.size() ? "...'" : "'");
}

std::string Counted(uint64_t number, std::string_view noun) {
  return std::to_string(number) + " " + std::string(noun) +
         (number == 1 ? "" : "s");
}

absl::Status ValidateName(std::string_view field, std::string_view name) {
  if (name.empty()) {
    return Bad(field, "is empty; expected letters, digits, '-' or '_'");
  }
  if (name.size() > kMaxNameBytes) {
    return Bad(field, "has " + std::to_string(name.size()) +
                          " characters, at most " +
                          std::to_string(kMaxNameBytes) + " are allowed");
  }
  for (const char c : name) {
    if (!IsNameByte(c)) {
      return Bad(field, Quote(name) +
                            " holds a character other than letters, digits, "
                            "'-' and '_'");
    }
  }
  if (name[0] == '-') {
    return Bad(field, Quote(name) + " begins with '-', which names can't");
  }
  return absl::OkStatus();
}

absl::Status ValidateId(std::string_view field, std::string_view id) {
  if (id.empty()) return Bad(field, "is empty; expected an id");
  RETURN_IF_ERROR(ValidateText(field, id, kMaxIdBytes));
  for (const char c : id) {
    if (c == ' ' || c == '/') {
      return Bad(field, Quote(id) + " holds a blank or '/'");
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateHashedId(std::string_view field, std::string_view id) {
  if (id.empty()) return Bad(field, "has no id; expected TOPIC/ID");
  return ValidateText(field, id, kMaxIdBytes);
}

absl::Status ValidateHost(const v1::HostSpec& host) {
  RETURN_IF_ERROR(ValidateId("id", host.id()));
  if (host.region().empty()) {
    return Bad("region", "is missing; give it in the file or with --region");
  }
  RETURN_IF_ERROR(ValidateName("region", host.region()));
  if (!host.zone().empty()) RETURN_IF_ERROR(ValidateName("zone", host.zone()));
  if (host.labels().size() > kMaxLabels) {
    return Bad("labels", "has " + std::to_string(host.labels().size()) +
                             ", at most " + std::to_string(kMaxLabels) +
                             " are allowed");
  }
  for (const auto& [name, value] : host.labels()) {
    if (name.empty()) return Bad("labels", "a name is empty");
    RETURN_IF_ERROR(
        ValidateText("name of label " + Quote(name), name, kMaxLabelBytes));
    RETURN_IF_ERROR(
        ValidateText("label " + Quote(name), value, kMaxLabelBytes));
  }
  return absl::OkStatus();
}

absl::Status ValidateLimits(std::string_view field, const v1::Limits& limits) {
  const auto check = [&](std::string_view name, uint32_t value, uint32_t most) {
    if (value <= most) return absl::OkStatus();
    return Bad(
        std::string(field) + "." + std::string(name),
        std::to_string(value) + " is over the maximum " + std::to_string(most));
  };
  RETURN_IF_ERROR(check("topics", limits.topics(), 100'000));
  RETURN_IF_ERROR(
      check("partitions_per_topic", limits.partitions_per_topic(), 10'000));
  RETURN_IF_ERROR(
      check("keys_per_partition", limits.keys_per_partition(), 1'000'000));
  if (limits.failover_permille() != 0 && limits.failover_permille() < 1000) {
    return Bad(std::string(field) + ".failover_permille",
               std::to_string(limits.failover_permille()) +
                   " is below the normal limit; expected 1000 or more");
  }
  return check("failover_permille", limits.failover_permille(), 100'000);
}

absl::Status ValidateBootstrapServers(std::string_view field,
                                      std::string_view servers) {
  RETURN_IF_ERROR(ValidateText(field, servers, 1024));
  size_t begin = 0;
  while (begin <= servers.size()) {
    const size_t end = std::min(servers.find(',', begin), servers.size());
    const std::string_view server = servers.substr(begin, end - begin);
    const size_t colon = server.rfind(':');
    uint32_t port = 0;
    bool digits = colon != std::string_view::npos && colon > 0 &&
                  colon + 1 < server.size() && server.size() - colon <= 6;
    for (size_t i = colon + 1; digits && i < server.size(); ++i) {
      digits = server[i] >= '0' && server[i] <= '9';
      port = port * 10 + static_cast<uint32_t>(server[i] - '0');
    }
    if (!digits || port == 0 || port > 65535 ||
        !IsHost(server.substr(0, colon))) {
      return Bad(field, Quote(server) +
                            " is not HOST:PORT; expected a list such as "
                            "kafka-1:9092,kafka-2:9092");
    }
    begin = end + 1;
  }
  return absl::OkStatus();
}

absl::Status ValidateSubCluster(const v1::SubClusterSpec& spec) {
  RETURN_IF_ERROR(ValidateName("name", spec.name()));
  RETURN_IF_ERROR(ValidateName("region", spec.region()));
  if (spec.zones().empty()) {
    return Bad("zones", "is empty; expected at least one zone");
  }
  if (spec.zones_size() > kMaxZones) {
    return Bad("zones", "has " + std::to_string(spec.zones_size()) +
                            ", at most " + std::to_string(kMaxZones) +
                            " are allowed");
  }
  for (int i = 0; i < spec.zones_size(); ++i) {
    RETURN_IF_ERROR(ValidateName("zones", spec.zones(i)));
    for (int j = 0; j < i; ++j) {
      if (spec.zones(i) == spec.zones(j)) {
        return Bad("zones", Quote(spec.zones(i)) + " is named twice");
      }
    }
  }
  RETURN_IF_ERROR(
      ValidateBootstrapServers("bootstrap_servers", spec.bootstrap_servers()));
  RETURN_IF_ERROR(
      ValidateText("kafka_cluster_id", spec.kafka_cluster_id(), kMaxIdBytes));
  RETURN_IF_ERROR(ValidateLimits("profile", spec.profile()));
  if (spec.weight() > 1'000'000) {
    return Bad("weight",
               std::to_string(spec.weight()) + " is over the maximum 1000000");
  }
  if (!spec.security_ref().empty()) {
    RETURN_IF_ERROR(ValidateName("security_ref", spec.security_ref()));
  }
  RETURN_IF_ERROR(ValidateText("admin", spec.admin(), kMaxAdminBytes));
  if (!spec.admin().empty() && spec.admin().rfind("embedded:/", 0) != 0) {
    return Bad("admin", Quote(spec.admin()) +
                            " is not known; expected nothing (Kafka's admin "
                            "API) or embedded:/PATH");
  }
  return absl::OkStatus();
}

absl::Status ValidateTopic(const v1::TopicSpec& spec) {
  RETURN_IF_ERROR(ValidateName("name", spec.name()));
  if (spec.name().rfind("__", 0) == 0) {
    return Bad("name", Quote(spec.name()) +
                           " begins with '__', as Kafka's own topics do; "
                           "expected another name");
  }
  if (spec.kind() < v1::TOPIC_KIND_UNICAST ||
      spec.kind() > v1::TOPIC_KIND_HASHED) {
    return Bad("kind",
               (spec.kind() == 0 ? std::string("is missing; expected ")
                                 : std::to_string(spec.kind()) +
                                       " is not known; expected one of ") +
                   "unicast, multicast, resource or hashed");
  }
  if (!v1::RegionPolicy_IsValid(spec.region_policy())) {
    return Bad("region_policy", std::to_string(spec.region_policy()) +
                                    " is not known; expected single-region or "
                                    "multi-region");
  }
  if (!v1::OnLeaseEnd_IsValid(spec.on_lease_end())) {
    return Bad("on_lease_end", std::to_string(spec.on_lease_end()) +
                                   " is not known; expected stop or continue");
  }
  std::set<std::string_view> regions;
  for (const std::string& region : spec.regions()) {
    RETURN_IF_ERROR(ValidateName("regions", region));
    if (!regions.insert(region).second) {
      return Bad("regions", Quote(region) + " is named twice");
    }
  }
  RETURN_IF_ERROR(ValidateLimits("limits", spec.limits()));
  const bool hashed = spec.kind() == v1::TOPIC_KIND_HASHED;
  if (spec.partitions() != 0 && !hashed) {
    return Bad("partitions",
               "only hashed topics are created with a number of partitions; "
               "others get theirs as keys are bound");
  }
  if (spec.partitions() > 100'000) {
    return Bad("partitions", std::to_string(spec.partitions()) +
                                 " is over the maximum 100000");
  }
  if (spec.replication() > 16) {
    return Bad("replication",
               std::to_string(spec.replication()) + " is over the maximum 16");
  }
  if (spec.lease_ttl_ms() != 0 &&
      (spec.lease_ttl_ms() < 100 || spec.lease_ttl_ms() > 900'000)) {
    return Bad("lease_ttl_ms", std::to_string(spec.lease_ttl_ms()) +
                                   " is outside 100 to 900000");
  }
  if (spec.retention_ms() != 0 && spec.retention_ms() < 60'000) {
    return Bad("retention_ms", std::to_string(spec.retention_ms()) +
                                   " is below the minimum 60000");
  }
  return absl::OkStatus();
}

absl::Status ValidateInstance(const v1::InstanceSpec& spec) {
  RETURN_IF_ERROR(ValidateId("id", spec.id()));
  RETURN_IF_ERROR(ValidateName("region", spec.region()));
  if (!spec.zone().empty()) RETURN_IF_ERROR(ValidateName("zone", spec.zone()));
  if (spec.quotas().empty()) {
    return Bad("quotas", "is empty; expected at least one SERVICE=QUOTA");
  }
  if (spec.quotas_size() > kMaxQuotas) {
    return Bad("quotas", "has " + std::to_string(spec.quotas_size()) +
                             ", at most " + std::to_string(kMaxQuotas) +
                             " are allowed");
  }
  std::set<std::string_view> services;
  for (const v1::Quota& quota : spec.quotas()) {
    RETURN_IF_ERROR(ValidateName("quotas.service", quota.service()));
    if (!services.insert(quota.service()).second) {
      return Bad("quotas",
                 "service " + Quote(quota.service()) + " is given twice");
    }
    const bool finite = std::isfinite(quota.quota()) &&
                        std::isfinite(quota.cost()) &&
                        std::isfinite(quota.frequency());
    if (!finite || quota.quota() <= 0 || quota.cost() < 0 ||
        quota.frequency() < 0) {
      return Bad("quotas." + quota.service(),
                 "quota must be above 0, cost and frequency 0 or more");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Key> ParseKey(std::string_view key) {
  const size_t slash = key.find('/');
  if (slash == std::string_view::npos || slash == 0) {
    return absl::InvalidArgumentError(
        "key: " + Quote(key) +
        " has no topic; expected TOPIC/ID, such as nca/host-17");
  }
  return Key{key.substr(0, slash), key.substr(slash + 1)};
}

}  // namespace kafed::federation
