#include "tests/unit/client/fake_node.h"

#include <utility>

namespace kafed::client {
namespace {
constexpr milliseconds kPatience{30'000};
constexpr milliseconds kForEver{3'600'000};
}  // namespace

v1::Row SubClusterRowOf(uint32_t id, const std::string& name,
                        const std::string& bootstrap) {
  v1::Row row;
  row.mutable_sub_cluster()->set_id(id);
  row.mutable_sub_cluster()->set_name(name);
  row.mutable_sub_cluster()->set_region("r1");
  row.mutable_sub_cluster()->set_bootstrap_servers(bootstrap);
  return row;
}

v1::Row TopicRowOf(uint32_t id, const std::string& name, v1::TopicKind kind,
                   v1::OnLeaseEnd on_lease_end) {
  v1::Row row;
  row.mutable_topic()->set_id(id);
  row.mutable_topic()->set_name(name);
  row.mutable_topic()->set_kind(kind);
  row.mutable_topic()->set_on_lease_end(on_lease_end);
  return row;
}

v1::Row KafkaTopicRowOf(uint32_t id, uint32_t sub_cluster,
                        const std::string& name, bool ready) {
  v1::Row row;
  row.mutable_kafka_topic()->set_id(id);
  row.mutable_kafka_topic()->set_sub_cluster_id(sub_cluster);
  row.mutable_kafka_topic()->set_name(name);
  row.mutable_kafka_topic()->set_ready(ready);
  return row;
}

v1::Row PartitionRowOf(uint32_t topic, uint32_t number, uint32_t sub_cluster,
                       uint32_t kafka_topic, uint32_t kafka_partition,
                       uint64_t epoch, v1::SegmentState state) {
  v1::Row row;
  v1::PartitionRow& partition = *row.mutable_partition();
  partition.set_topic_id(topic);
  partition.set_partition(number);
  v1::Segment& segment = *partition.add_chain();
  segment.set_sub_cluster_id(sub_cluster);
  segment.set_kafka_topic_id(kafka_topic);
  segment.set_kafka_partition(kafka_partition);
  segment.set_epoch(epoch);
  segment.set_state(state);
  return row;
}

v1::Row KeyRowOf(uint32_t topic, const std::string& key,
                 const std::vector<uint32_t>& partitions) {
  v1::Row row;
  row.mutable_key()->set_topic_id(topic);
  row.mutable_key()->set_key(key);
  for (const uint32_t number : partitions) {
    row.mutable_key()->add_partitions(number);
  }
  return row;
}

v1::Row Deleted(v1::Row row) {
  row.set_deleted(true);
  return row;
}

class FakeStream final : public FollowStream {
 public:
  explicit FakeStream(std::shared_ptr<FakeNode> node)
      : node_(std::move(node)) {}
  ~FakeStream() override {
    MonitorLock lock(&node_->mutex_);
    if (started_) --node_->streams_;
  }

  bool Write(const v1::FollowRequest& request) override {
    MonitorLock lock(&node_->mutex_);
    if (Over()) return false;
    if (!started_) {
      started_ = true;
      ++node_->streams_;
      node_->first_requests_.push_back(request);
      sent_ = request.position().index();
      full_ = sent_ == 0;
      session_ = request.session_id();
      if (session_ != 0 && !node_->sessions_.contains(session_)) {
        error_ = absl::NotFoundError("session_id: there is no such session");
        return false;
      }
      if (sent_ > node_->index_) {
        error_ = absl::UnavailableError("position: this node is behind");
        return false;
      }
    } else if (session_ != 0 && request.position().index() != 0) {
      node_->acknowledged_ =
          std::max(node_->acknowledged_, request.position().index());
    }
    if (request.lease_request() != 0) lease_ = request.lease_request();
    return true;
  }

  bool Read(v1::FollowResponse* response) override {
    MonitorLock lock(&node_->mutex_);
    const auto ready = [this] {
      node_->mutex_.AssertHeld();
      return Over() || (started_ && (!answered_ || sent_ != node_->index_ ||
                                     (lease_ != 0 && node_->answer_leases_)));
    };
    node_->mutex_.AwaitFor(kForEver, ready);
    if (Over()) return false;
    response->Clear();
    response->set_full(full_);
    for (const auto& [index, row] : node_->rows_) {
      if (full_ ? !row.deleted() : index > sent_) *response->add_rows() = row;
    }
    node_->rows_sent_ += static_cast<size_t>(response->rows_size());
    answered_ = true;
    full_ = false;
    sent_ = node_->index_;
    response->mutable_position()->set_incarnation(1);
    response->mutable_position()->set_nonce(7);
    response->mutable_position()->set_index(sent_);
    if (lease_ != 0 && node_->answer_leases_) {
      response->set_lease_request(lease_);
      response->set_lease_ms(
          static_cast<uint32_t>(node_->session_ttl_.count()));
      response->set_multicast_lease_ms(
          static_cast<uint32_t>(node_->multicast_ttl_.count()));
      lease_ = 0;
    }
    return true;
  }

  void Cancel() override {
    MonitorLock lock(&node_->mutex_);
    cancelled_ = true;
  }
  absl::Status Finish() override {
    return error_.ok() ? absl::UnavailableError("the fake node is down")
                       : error_;
  }

 private:
  bool Over() const { return cancelled_ || !node_->up_ || !error_.ok(); }

  const std::shared_ptr<FakeNode> node_;
  bool started_ = false;
  bool answered_ = false;
  bool full_ = true;
  bool cancelled_ = false;
  uint64_t sent_ = 0;
  uint64_t session_ = 0;
  uint64_t lease_ = 0;
  absl::Status error_;
};

class FakeConnection final : public NodeConnection {
 public:
  explicit FakeConnection(std::shared_ptr<FakeNode> node)
      : node_(std::move(node)) {}

  std::shared_ptr<FollowStream> Follow() override {
    return std::make_shared<FakeStream>(node_);
  }
  absl::StatusOr<v1::OpenSessionResponse> OpenSession(
      const v1::OpenSessionRequest& request) override {
    MonitorLock lock(&node_->mutex_);
    if (!node_->up_) return absl::UnavailableError("the fake node is down");
    v1::OpenSessionResponse response;
    response.set_message_timeout_ms(30'000);
    node_->sessions_.merge(node_->unheard_sessions_);
    for (const auto& [id, source] : node_->sessions_) {
      if (source == request.source()) response.set_session_id(id);
    }
    if (response.session_id() != 0) return response;
    response.set_session_id(node_->next_session_++);
    node_->sessions_[response.session_id()] = request.source();
    return response;
  }
  absl::Status CloseSession(const v1::CloseSessionRequest& request) override {
    MonitorLock lock(&node_->mutex_);
    if (!node_->up_) return absl::UnavailableError("the fake node is down");
    node_->closed_.push_back(request);
    node_->sessions_.erase(request.session_id());
    return absl::OkStatus();
  }
  absl::StatusOr<v1::SubscriptionsResponse> Subscriptions(
      const v1::SubscriptionsRequest& request) override {
    MonitorLock lock(&node_->mutex_);
    if (!node_->up_) return absl::UnavailableError("the fake node is down");
    node_->subscription_requests_.push_back(request);
    const auto at = node_->subscriptions_.find(
        request.host().empty() ? request.resource_topic() : request.host());
    if (at == node_->subscriptions_.end()) {
      return absl::NotFoundError("host: no such host");
    }
    return at->second;
  }
  absl::StatusOr<v1::NodesResponse> Nodes() override {
    MonitorLock lock(&node_->mutex_);
    if (!node_->up_) return absl::UnavailableError("the fake node is down");
    ++node_->nodes_asked_;
    return node_->nodes_;
  }

 private:
  const std::shared_ptr<FakeNode> node_;
};

std::unique_ptr<NodeConnection> FakeNode::Connect() {
  return std::make_unique<FakeConnection>(shared_from_this());
}

Connector FakeNode::connector() {
  return [node = shared_from_this()](const std::string&) {
    return node->Connect();
  };
}

Connector ConnectorOf(std::map<std::string, std::shared_ptr<FakeNode>> nodes) {
  const auto nobody = FakeNode::Create();
  nobody->SetUp(false);
  return [nodes = std::move(nodes), nobody](const std::string& address) {
    const auto at = nodes.find(address);
    return (at == nodes.end() ? nobody : at->second)->Connect();
  };
}

v1::NodesResponse NodesOf(
    uint64_t index,
    const std::vector<std::pair<std::string, std::string>>& nodes) {
  v1::NodesResponse response;
  response.mutable_position()->set_incarnation(1);
  response.mutable_position()->set_index(index);
  for (const auto& [address, region] : nodes) {
    v1::NodeAddress& node = *response.add_nodes();
    node.set_node_id(static_cast<uint64_t>(response.nodes_size()));
    node.set_address(address);
    node.set_region(region);
  }
  return response;
}

void FakeNode::Apply(std::vector<v1::Row> rows) {
  MonitorLock lock(&mutex_);
  ++index_;
  for (v1::Row& row : rows) rows_.emplace_back(index_, std::move(row));
}

void FakeNode::Restart(uint64_t index, std::vector<v1::Row> rows) {
  MonitorLock lock(&mutex_);
  index_ = index;
  rows_.clear();
  for (v1::Row& row : rows) rows_.emplace_back(index_, std::move(row));
}

void FakeNode::SetUp(bool up) {
  MonitorLock lock(&mutex_);
  up_ = up;
}

void FakeNode::SetLeases(milliseconds session, milliseconds multicast) {
  MonitorLock lock(&mutex_);
  session_ttl_ = session;
  multicast_ttl_ = multicast;
}

void FakeNode::AnswerLeases(bool answer) {
  MonitorLock lock(&mutex_);
  answer_leases_ = answer;
}

void FakeNode::ForgetSessions() {
  MonitorLock lock(&mutex_);
  sessions_.clear();
}

void FakeNode::AddSession(uint64_t id, const std::string& source, Heard heard) {
  MonitorLock lock(&mutex_);
  (heard == Heard::kAlready ? sessions_ : unheard_sessions_)[id] = source;
  next_session_ = std::max(next_session_, id + 1);
}

void FakeNode::SetNodes(absl::StatusOr<v1::NodesResponse> nodes) {
  MonitorLock lock(&mutex_);
  nodes_ = std::move(nodes);
}

void FakeNode::SetSubscriptions(const std::string& host_or_topic,
                                v1::SubscriptionsResponse response) {
  MonitorLock lock(&mutex_);
  subscriptions_[host_or_topic] = std::move(response);
}

uint64_t FakeNode::index() const {
  MonitorLock lock(&mutex_);
  return index_;
}

std::vector<v1::FollowRequest> FakeNode::first_requests() const {
  MonitorLock lock(&mutex_);
  return first_requests_;
}

std::vector<v1::SubscriptionsRequest> FakeNode::subscription_requests() const {
  MonitorLock lock(&mutex_);
  return subscription_requests_;
}

uint64_t FakeNode::sessions_opened() const {
  MonitorLock lock(&mutex_);
  return next_session_ - 1;
}

size_t FakeNode::nodes_asked() const {
  MonitorLock lock(&mutex_);
  return nodes_asked_;
}

bool FakeNode::WaitNodesAsked(size_t count) const {
  MonitorLock lock(&mutex_);
  const auto reached = [&] { return nodes_asked_ >= count; };
  return mutex_.AwaitFor(kPatience, reached);
}

std::vector<v1::CloseSessionRequest> FakeNode::closed() const {
  MonitorLock lock(&mutex_);
  return closed_;
}

size_t FakeNode::rows_sent() const {
  MonitorLock lock(&mutex_);
  return rows_sent_;
}

bool FakeNode::WaitAcknowledged(uint64_t index) const {
  MonitorLock lock(&mutex_);
  const auto reached = [&] { return acknowledged_ >= index; };
  return mutex_.AwaitFor(kPatience, reached);
}

bool FakeNode::WaitStreams(size_t count) const {
  MonitorLock lock(&mutex_);
  const auto reached = [&] { return streams_ == count; };
  return mutex_.AwaitFor(kPatience, reached);
}

}  // namespace kafed::client
