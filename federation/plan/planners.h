// Planners: from (image, command) to (records, answer). Pure functions.
//
// Each checks the whole command first; a refusal adds nothing to the draft that
// matters (the caller rolls back). The image they read is the draft's, so
// commands of one group see each other. One file for each noun.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/kafka_header.h"
#include "federation/placement/lbmrc.h"
#include "federation/plan/draft.h"
#include "kafed/v1/admin.pb.h"
#include "kafed/v1/routing.pb.h"

namespace kafed::federation {

// An answer whose position is the draft's.
v1::MutationResponse Answer(const Draft& draft, std::string summary);

// --- sub-clusters (cluster_planner.cc) ---
// NotFound, naming the regions there are, where none has a sub-cluster.
absl::Status CheckRegionKnown(std::string_view region, const Image& image);
absl::StatusOr<v1::MutationResponse> PlanAddSubCluster(
    const v1::AddSubClusterRequest& request, Draft* draft);
absl::StatusOr<v1::MutationResponse> PlanUpdateSubCluster(
    const v1::UpdateSubClusterRequest& request, Draft* draft);
absl::StatusOr<v1::MutationResponse> PlanRemoveSubCluster(
    const v1::RemoveSubClusterRequest& request, Draft* draft);

// --- nodes (node_planner.cc) ---
// The registered ones, by id.
std::vector<std::pair<uint64_t, NodeRow>> NodesOf(const Image& image);
// Epoch 0: nobody was elected yet.
Office CoordinatorOf(const Image& image);
// Registers a node, or what is new about it; nothing if nothing is.
void PlanRegisterNode(uint64_t node_id, NodeRow row, Draft* draft);
absl::StatusOr<v1::MutationResponse> PlanRemoveNode(
    const v1::RemoveNodeRequest& request, Draft* draft);
// Nothing if it is in office already, or below feature level kClusterLevel.
void PlanElectCoordinator(uint64_t node_id, Draft* draft);
absl::StatusOr<v1::MutationResponse> PlanFinishUpgrade(
    const v1::FinishUpgradeRequest& request, Draft* draft);

// --- logical topics (topic_planner.cc) ---
absl::StatusOr<v1::MutationResponse> PlanCreateTopic(
    const v1::CreateTopicRequest& request, Draft* draft);
absl::StatusOr<v1::MutationResponse> PlanDeleteTopic(
    const v1::DeleteTopicRequest& request, Draft* draft);
// Kafka topics that will be needed soon: the one being filled is nearly full,
// or there is none yet. At most `max_topics` of them.
void PlanAhead(uint32_t max_topics, Draft* draft);

// --- hosts (host_planner.cc) ---
// Checks a whole import against the image: ids, duplicates, regions, room.
absl::Status CheckImport(std::span<const v1::HostSpec> hosts,
                         const Image& image);
// Adds hosts and binds them in every unicast topic of their region. Hosts that
// exist already with the same region are skipped when `resume` is set.
absl::Status PlanAddHosts(std::span<const v1::HostSpec> hosts, bool resume,
                          Draft* draft);
// Binds hosts that exist in a topic that is new; those bound are skipped.
absl::Status PlanBindHosts(std::span<const std::string> hosts, TopicId topic,
                           Draft* draft);
absl::Status PlanRemoveHosts(std::span<const std::string> ids, bool cascade,
                             Draft* draft);

// --- VPCs (vpc_planner.cc) ---
absl::StatusOr<v1::MutationResponse> PlanCreateVpc(
    const v1::CreateVpcRequest& request, Draft* draft);

// What is known of the end of chains, by (topic, partition): high watermarks
// or lower bounds, read before planning. A chain that is missing counts as 0,
// which is a lower bound of any.
struct ChainEnd {
  Epoch epoch;
  uint64_t offset = 0;
};
using ChainEnds = std::map<std::pair<TopicId, PartitionNumber>, ChainEnd>;

struct AddVpcHostsPlan {
  uint64_t membership_version = 0;
  std::vector<std::string> new_homes;
  // Producers may hold routes to the VPC that miss a new home.
  bool needs_fence = false;
};
absl::StatusOr<AddVpcHostsPlan> PlanAddVpcHosts(
    const v1::AddVpcHostsRequest& request, const ChainEnds& ends, Draft* draft);
absl::StatusOr<v1::MutationResponse> PlanRemoveVpcHosts(
    const v1::RemoveVpcHostsRequest& request, Draft* draft);
absl::StatusOr<v1::MutationResponse> PlanDeleteVpc(
    const v1::DeleteVpcRequest& request, Draft* draft);
// Members of a VPC, in order of its list, at most `max`.
std::vector<std::string> VpcHosts(const Image& image, std::string_view vpc,
                                  size_t max);

// --- resources (resource_planner.cc) ---
// The topic if it is of kind resource; NotFound or InvalidArgument.
absl::StatusOr<TopicId> ResourceTopic(const Image& image,
                                      const std::string& name);
absl::StatusOr<v1::MutationResponse> PlanAddResource(
    const v1::AddResourceRequest& request, Draft* draft);
absl::StatusOr<v1::MutationResponse> PlanRemoveResource(
    const v1::RemoveResourceRequest& request, Draft* draft);

// --- instances (instance_planner.cc) ---
// Last load report of each instance: soft state, passed in.
using LoadReports = std::map<std::string, std::vector<v1::Quota>>;
absl::StatusOr<v1::MutationResponse> PlanAddInstance(
    const v1::AddInstanceRequest& request, Draft* draft);
absl::StatusOr<v1::MutationResponse> PlanRemoveInstance(
    const v1::RemoveInstanceRequest& request, const LoadReports& reports,
    Draft* draft);
// Gives an unowned VPC an owner, if an instance of its region can take it.
void PlanOwner(const std::string& vpc, const LoadReports& reports,
               Draft* draft);
// Gives VPCs of the region that nobody owns an owner, up to a limit an entry.
void PlanOrphans(const std::string& region, const LoadReports& reports,
                 Draft* draft);
// Moves VPCs away from an overloaded instance, from the light end of `vpcs`;
// returns those moved.
std::vector<std::string> PlanRelieve(const std::string& instance,
                                     std::span<const std::string> vpcs,
                                     const LoadReports& reports, Draft* draft);
// The services of an instance with their load.
std::vector<ServiceLoad> LoadOf(const std::string& id, const Instance& row,
                                const LoadReports& reports);

// --- sessions (session_planner.cc) ---
absl::StatusOr<v1::OpenSessionResponse> PlanOpenSession(
    const v1::OpenSessionRequest& request, uint32_t ttl_ms,
    uint32_t message_timeout_ms, Draft* draft);
// `unproven`: by another than its producer, with the counts last heard, of
// which those that can't be recorded are left out. Else a count of a segment
// that there never was, and more counts than an entry holds, are refused; those
// of segments that are gone are left out.
absl::StatusOr<Position> PlanCloseSession(
    uint64_t session_id, std::string_view source,
    std::span<const v1::SegmentCount> counts, std::string_view reason,
    bool unproven, Draft* draft);

}  // namespace kafed::federation
