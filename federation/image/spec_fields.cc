#include "federation/image/spec_fields.h"

namespace kafed::federation {
namespace {
constexpr uint32_t kDefaultWeight = 100;
constexpr uint64_t kDefaultRetentionMs = 7ull * 24 * 60 * 60 * 1000;
constexpr uint32_t kDefaultLeaseTtlMs = 10'000;
constexpr uint32_t kDefaultLargeVpcMembers = 1'000;

template <typename T>
T Or(T value, T fallback) {
  return value != T() ? value : fallback;
}
}  // namespace

LimitsFields FieldsOf(const v1::Limits& limits) {
  return {limits.topics(), limits.partitions_per_topic(),
          limits.keys_per_partition(), limits.failover_permille()};
}

v1::Limits LimitsOf(const LimitsFields& fields) {
  v1::Limits limits;
  limits.set_topics(fields.topics);
  limits.set_partitions_per_topic(fields.partitions_per_topic);
  limits.set_keys_per_partition(fields.keys_per_partition);
  limits.set_failover_permille(fields.failover_permille);
  return limits;
}

void SetSpec(const v1::SubClusterSpec& spec, SubCluster* row) {
  row->name = spec.name();
  row->region = spec.region();
  row->zones.assign(spec.zones().begin(), spec.zones().end());
  row->bootstrap_servers = spec.bootstrap_servers();
  row->expected_kafka_cluster_id = spec.kafka_cluster_id();
  row->profile = FieldsOf(spec.profile());
  row->weight = Or(spec.weight(), kDefaultWeight);
  row->connection_budget = spec.connection_budget();
  row->security_ref = spec.security_ref();
  row->admin = spec.admin();
}

v1::SubClusterSpec SpecOf(const SubCluster& row) {
  v1::SubClusterSpec spec;
  spec.set_name(row.name);
  spec.set_region(row.region);
  spec.mutable_zones()->Assign(row.zones.begin(), row.zones.end());
  spec.set_bootstrap_servers(row.bootstrap_servers);
  spec.set_kafka_cluster_id(row.expected_kafka_cluster_id);
  *spec.mutable_profile() = LimitsOf(row.profile);
  spec.set_weight(row.weight);
  spec.set_connection_budget(row.connection_budget);
  spec.set_security_ref(row.security_ref);
  spec.set_admin(row.admin);
  return spec;
}

void SetSpec(const v1::TopicSpec& spec, Topic* row) {
  row->name = spec.name();
  row->kind = spec.kind();
  row->region_policy = spec.region_policy() == v1::REGION_POLICY_MULTI_REGION
                           ? v1::REGION_POLICY_MULTI_REGION
                           : v1::REGION_POLICY_SINGLE_REGION;
  row->regions.assign(spec.regions().begin(), spec.regions().end());
  row->limits = FieldsOf(spec.limits());
  row->retention_ms = Or<uint64_t>(spec.retention_ms(), kDefaultRetentionMs);
  row->replication = spec.replication();
  row->lease_ttl_ms = Or(spec.lease_ttl_ms(), kDefaultLeaseTtlMs);
  row->on_lease_end = spec.on_lease_end() == v1::ON_LEASE_END_CONTINUE
                          ? v1::ON_LEASE_END_CONTINUE
                          : v1::ON_LEASE_END_STOP;
  row->large_vpc_members =
      Or(spec.large_vpc_members(), kDefaultLargeVpcMembers);
}

v1::TopicSpec SpecOf(const Topic& row) {
  v1::TopicSpec spec;
  spec.set_name(row.name);
  spec.set_kind(row.kind);
  spec.set_region_policy(row.region_policy);
  spec.mutable_regions()->Assign(row.regions.begin(), row.regions.end());
  *spec.mutable_limits() = LimitsOf(row.limits);
  spec.set_retention_ms(row.retention_ms);
  spec.set_replication(row.replication);
  spec.set_lease_ttl_ms(row.lease_ttl_ms);
  spec.set_on_lease_end(row.on_lease_end);
  spec.set_large_vpc_members(row.large_vpc_members);
  return spec;
}

void SetSpec(const v1::InstanceSpec& spec, Instance* row) {
  row->region = spec.region();
  row->zone = spec.zone();
  row->quotas.clear();
  for (const v1::Quota& quota : spec.quotas()) {
    row->quotas.push_back({quota.service(), quota.quota(),
                           Or(quota.cost(), 1.0), Or(quota.frequency(), 1.0)});
  }
}

v1::InstanceSpec SpecOf(const std::string& id, const Instance& row) {
  v1::InstanceSpec spec;
  spec.set_id(id);
  spec.set_region(row.region);
  spec.set_zone(row.zone);
  for (const QuotaFields& fields : row.quotas) {
    v1::Quota* quota = spec.add_quotas();
    quota->set_service(fields.service);
    quota->set_quota(fields.quota);
    quota->set_cost(fields.cost);
    quota->set_frequency(fields.frequency);
  }
  return spec;
}

v1::HostSpec SpecOf(const std::string& id, const Host& row) {
  v1::HostSpec spec;
  spec.set_id(id);
  spec.set_region(row.region);
  spec.set_zone(row.zone);
  for (const auto& [name, value] : row.labels) {
    (*spec.mutable_labels())[name] = value;
  }
  return spec;
}

}  // namespace kafed::federation
