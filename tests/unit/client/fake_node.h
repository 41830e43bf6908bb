// FakeNode: a metadata node in memory, for tests of the client.
//
// Rows are given to it; it answers Follow, sessions, leases and Subscriptions
// as a node does. `connector()` reaches it without gRPC; fake_routing_server.h
// puts it behind a real port. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/monitor.h"
#include "client/node_connection.h"

namespace kafed::client {

v1::Row SubClusterRowOf(uint32_t id, const std::string& name,
                        const std::string& bootstrap);
v1::Row TopicRowOf(uint32_t id, const std::string& name, v1::TopicKind kind,
                   v1::OnLeaseEnd on_lease_end = v1::ON_LEASE_END_STOP);
v1::Row KafkaTopicRowOf(uint32_t id, uint32_t sub_cluster,
                        const std::string& name, bool ready = true);
v1::Row PartitionRowOf(uint32_t topic, uint32_t number, uint32_t sub_cluster,
                       uint32_t kafka_topic, uint32_t kafka_partition,
                       uint64_t epoch = 1,
                       v1::SegmentState state = v1::SEGMENT_STATE_OPEN);
v1::Row KeyRowOf(uint32_t topic, const std::string& key,
                 const std::vector<uint32_t>& partitions);
v1::Row Deleted(v1::Row row);

class FakeNode : public std::enable_shared_from_this<FakeNode> {
 public:
  static std::shared_ptr<FakeNode> Create() {
    return std::make_shared<FakeNode>();
  }
  Connector connector();
  std::unique_ptr<NodeConnection> Connect();

  // One entry of the log with these rows.
  void Apply(std::vector<v1::Row> rows);
  // Starts over at `index` with nothing but `rows`, as another node would be.
  void Restart(uint64_t index, std::vector<v1::Row> rows);
  // Down: calls fail, streams end.
  void SetUp(bool up);
  void SetLeases(milliseconds session, milliseconds multicast);
  // False: lease requests stay without an answer.
  void AnswerLeases(bool answer);
  void ForgetSessions();
  // As if opened at another node, with this id; this one may have to be asked
  // to open it before it has heard of it.
  enum class Heard { kAlready, kWhenOpened };
  void AddSession(uint64_t id, const std::string& source,
                  Heard heard = Heard::kAlready);
  // What Nodes answers; Unimplemented before.
  void SetNodes(absl::StatusOr<v1::NodesResponse> nodes);
  void SetSubscriptions(const std::string& host_or_topic,
                        v1::SubscriptionsResponse response);

  uint64_t index() const;
  std::vector<v1::FollowRequest> first_requests() const;
  std::vector<v1::SubscriptionsRequest> subscription_requests() const;
  uint64_t sessions_opened() const;
  size_t nodes_asked() const;
  bool WaitNodesAsked(size_t count) const;
  std::vector<v1::CloseSessionRequest> closed() const;
  // Rows of all messages sent so far.
  size_t rows_sent() const;
  // Waits until a session acknowledged `index`.
  bool WaitAcknowledged(uint64_t index) const;
  bool WaitStreams(size_t count) const;

 private:
  friend class FakeStream;
  friend class FakeConnection;

  mutable Monitor mutex_;
  bool up_ = true;
  bool answer_leases_ = true;
  uint64_t index_ = 0;
  std::vector<std::pair<uint64_t, v1::Row>> rows_;
  milliseconds session_ttl_{900'000};
  milliseconds multicast_ttl_{10'000};
  uint64_t next_session_ = 1;
  std::map<uint64_t, std::string> sessions_;
  std::map<uint64_t, std::string> unheard_sessions_;
  uint64_t acknowledged_ = 0;
  size_t streams_ = 0;
  size_t rows_sent_ = 0;
  std::vector<v1::FollowRequest> first_requests_;
  std::vector<v1::CloseSessionRequest> closed_;
  std::map<std::string, v1::SubscriptionsResponse> subscriptions_;
  std::vector<v1::SubscriptionsRequest> subscription_requests_;
  absl::StatusOr<v1::NodesResponse> nodes_ = absl::UnimplementedError("Nodes");
  size_t nodes_asked_ = 0;
};

// Reaches the node of an address; nobody is at others.
Connector ConnectorOf(std::map<std::string, std::shared_ptr<FakeNode>> nodes);
// What a node says of others: (address, region) of each.
v1::NodesResponse NodesOf(
    uint64_t index,
    const std::vector<std::pair<std::string, std::string>>& nodes);

}  // namespace kafed::client
