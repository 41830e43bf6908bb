#include "tests/simulation/cluster.h"

#include <algorithm>
#include <span>
#include <thread>
#include <utility>

#include "common/log.h"
#include "common/status_macros.h"
#include "common/uuid.h"
#include "controller/write/newest_image.h"
#include "controller/write/recovery.h"
#include "federation/image/incarnation.h"
#include "federation/plan/planners.h"

namespace kafed::simulation {
namespace {

using controller::Committed;
using federation::Draft;
using metastore::MemoryServers;
using Kind = Operation::Kind;
using namespace std::chrono_literals;

constexpr int kNodes = 3;
constexpr int kClients = 4;
constexpr int kOperations = 14;  // of a client
constexpr int kVpcs = 4;
constexpr int kHosts = 8;
constexpr milliseconds kLease{3'000};
constexpr nanoseconds kReplyWait = 5s;  // longer than a fence takes

// Says that an append stands before it does.
class EagerLog final : public metastore::SharedLog {
 public:
  explicit EagerLog(std::unique_ptr<SharedLog> log) : log_(std::move(log)) {}

  metastore::AppendOutcome AppendBatchAt(
      LogIndex first, std::span<const metastore::LogEntry> entries) override {
    std::thread([this, first,
                 copy = std::vector<metastore::LogEntry>(entries.begin(),
                                                         entries.end())] {
      static_cast<void>(log_->AppendBatchAt(first, copy));
    }).detach();
    return {metastore::AppendResult::kOk,
            LogIndex(first.value() + entries.size() - 1),
            {}};
  }
  absl::StatusOr<std::vector<metastore::LogEntry>> Read(
      LogIndex from, size_t max_bytes) override {
    return log_->Read(from, max_bytes);
  }
  absl::StatusOr<LogIndex> Tail() override { return log_->Tail(); }
  absl::StatusOr<LogIndex> FirstKept() override { return log_->FirstKept(); }
  absl::StatusOr<uint64_t> SizeBytes() override { return log_->SizeBytes(); }
  absl::Status WaitFor(LogIndex index, milliseconds deadline) override {
    return log_->WaitFor(index, deadline);
  }
  absl::Status Trim(LogIndex before) override { return log_->Trim(before); }
  absl::StatusOr<LogIndex> Seal() override { return log_->Seal(); }

 private:
  const std::unique_ptr<SharedLog> log_;
};

bool IsRetried(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsUnknown(status) ||
         absl::IsDeadlineExceeded(status) || absl::IsAborted(status);
}

std::string HostName(uint64_t number) { return "h-" + std::to_string(number); }

absl::StatusOr<std::string> PlanOperation(const Operation& operation,
                                          Draft* draft) {
  if (operation.kind == Kind::kCreate) {
    v1::CreateVpcRequest request;
    request.set_id(operation.vpc);
    request.set_region("eu");
    RETURN_IF_ERROR(federation::PlanCreateVpc(request, draft).status());
    return std::string();
  }
  if (operation.kind == Kind::kDelete) {
    v1::DeleteVpcRequest request;
    request.set_id(operation.vpc);
    request.set_cascade(true);
    RETURN_IF_ERROR(federation::PlanDeleteVpc(request, draft).status());
    return std::string();
  }
  v1::AddVpcHostsRequest request;
  request.set_vpc(operation.vpc);
  // Whichever is not a member yet, so that new homes come up.
  const auto members =
      federation::VpcHosts(draft->image(), operation.vpc, kHosts);
  if (members.size() >= kHosts) {
    return absl::FailedPreconditionError("all hosts are members");
  }
  for (uint64_t n = 0; request.hosts().empty(); ++n) {
    const std::string host = HostName(n);
    if (std::find(members.begin(), members.end(), host) == members.end()) {
      request.add_hosts(host);
    }
  }
  ASSIGN_OR_RETURN(const federation::AddVpcHostsPlan plan,
                   federation::PlanAddVpcHosts(request, {}, draft));
  return plan.needs_fence ? std::string("fenced") : std::string();
}

}  // namespace

Cluster::Cluster(Scheduler* scheduler, Plant plant)
    : scheduler_(*scheduler), plant_(plant) {
  scheduler_.Share(&servers_, sizeof servers_);
  servers_.SetFaults([this] { return FaultNow(); });
  if (plant == Plant::kSkipChecks) servers_.SkipChecks();
}

void Cluster::Sleep(nanoseconds time) const {
  std::this_thread::sleep_for(time);
}

MemoryServers::Fault Cluster::FaultNow() {
  if (servers_away_ || cut_off_.contains(scheduler_.domain())) {
    Sleep(20ms);  // until the caller gives up
    return MemoryServers::Fault::kUnreachable;
  }
  Sleep(std::chrono::microseconds(100 + Dice(Dice(20) == 0 ? 50'000 : 2'000)));
  if (Dice(100) >= lossy_) return MemoryServers::Fault::kNone;
  return Dice(2) == 0 ? MemoryServers::Fault::kUnreachable
                      : MemoryServers::Fault::kLostReply;
}

void Cluster::OpenParts(Node* node) {
  const Clock& clock = RealClock();
  absl::StatusOr<std::unique_ptr<metastore::MemoryQuorumLoglet>> loglet =
      absl::UnavailableError("");
  while (!loglet.ok()) {
    loglet = metastore::MemoryQuorumLoglet::Open(&servers_, {"/log"});
  }
  node->log = *std::move(loglet);
  if (plant_ == Plant::kAckEarly) {
    node->log = std::make_unique<EagerLog>(std::move(node->log));
  }
  federation::Image image;
  while (!controller::Replay(node->log.get(), &image, nullptr).ok()) {
  }
  while (!image.head().index.valid()) {
    const auto begun = controller::BeginIncarnation(
        node->log.get(), {.node_id = static_cast<uint64_t>(node->domain)},
        &image);
    if (begun.ok()) break;
    image = {};
    while (!controller::Replay(node->log.get(), &image, nullptr).ok()) {
    }
  }
  node->replica = std::make_unique<controller::Replica>(image);
  controller::LeaseOptions leases;
  leases.multicast_ttl = kLease;
  leases.shared_log = true;
  node->leases =
      std::make_unique<controller::LeaseTable>(leases, &clock, image);
  node->fences =
      std::make_unique<controller::FenceQueue>(node->leases.get(), &clock);
  node->writer = std::make_unique<controller::Writer>(
      node->log.get(), node->replica.get(), &clock,
      static_cast<uint64_t>(node->domain));
  node->follower = std::make_unique<controller::Follower>(
      node->log.get(), node->replica.get(), node->writer.get(), &clock);
  const auto proven = [node](milliseconds at, LogIndex) {
    node->leases->Proven(at);
  };
  if (plant_ != Plant::kLeaseWithoutProof) {
    node->prover = std::make_unique<controller::TailProver>(
        node->log.get(), node->replica.get(), &clock, kLease / 6, proven);
  } else {
    std::thread([this, node, &clock] {
      for (;; Sleep(kLease / 6)) node->leases->Proven(clock.Steady());
    }).detach();
  }
}

std::shared_ptr<Node> Cluster::StartNode() {
  auto node = std::make_shared<Node>();
  node->domain = ++domains_;
  auto started = std::make_shared<Event>();
  std::thread([this, node, started] {
    scheduler_.EnterDomain(node->domain);
    OpenParts(node.get());
    started->Set();
  }).detach();
  started->WaitUntil(Scheduler::kNever);
  return node;
}

void Cluster::Begin() {
  const uint64_t lossy = std::exchange(lossy_, 0);
  for (int i = 0; i < kNodes; ++i) nodes_.push_back(StartNode());
  const auto set_up = [](Draft* draft) -> absl::StatusOr<std::string> {
    for (const std::string zone : {"z1", "z2"}) {
      v1::AddSubClusterRequest cluster;
      cluster.mutable_spec()->set_name("k-" + zone);
      cluster.mutable_spec()->set_region("eu");
      cluster.mutable_spec()->add_zones(zone);
      cluster.mutable_spec()->set_bootstrap_servers("127.0.0.1:9092");
      RETURN_IF_ERROR(federation::PlanAddSubCluster(cluster, draft).status());
    }
    for (const auto& [name, kind] :
         {std::pair("nca", v1::TOPIC_KIND_UNICAST),
          std::pair("vpc", v1::TOPIC_KIND_MULTICAST)}) {
      v1::CreateTopicRequest topic;
      topic.mutable_spec()->set_name(name);
      topic.mutable_spec()->set_kind(kind);
      RETURN_IF_ERROR(federation::PlanCreateTopic(topic, draft).status());
    }
    std::vector<v1::HostSpec> hosts(kHosts);
    for (uint64_t n = 0; n < hosts.size(); ++n) {
      hosts[n].set_id(HostName(n));
      hosts[n].set_region("eu");
    }
    RETURN_IF_ERROR(federation::PlanAddHosts(hosts, false, draft));
    return std::string();
  };
  ReplyPtr reply;
  Ask(
      nodes_[0],
      [&](Node* node, const ReplyPtr& to) {
        to->status = node->writer->Run(set_up).status();
        to->event.Set();
      },
      &reply);
  if (!reply->status.ok()) Fault("no set-up", {{"why", reply->status}});
  lossy_ = lossy;
}

bool Cluster::Ask(const std::shared_ptr<Node>& node,
                  const std::function<void(Node*, const ReplyPtr&)>& work,
                  ReplyPtr* reply) {
  *reply = std::make_shared<Reply>();
  Sleep(std::chrono::microseconds(50 + Dice(1'000)));
  std::thread([this, node, work, to = *reply] {
    scheduler_.EnterDomain(node->domain);
    scheduler_.MayYield();
    work(node.get(), to);
  }).detach();
  const bool came = (*reply)->event.WaitUntil(scheduler_.now() + kReplyWait);
  (*reply)->given_up = true;
  // A reply may be lost on its way.
  return came && Dice(100) >= lossy_;
}

void Cluster::SubmitTo(Node* node, const Operation& operation,
                       const ReplyPtr& reply) {
  controller::Command command;
  command.request_id = operation.request_id;
  if (plant_ == Plant::kApplyTwice) command.request_id.clear();
  command.plan = [operation](Draft* draft) {
    return PlanOperation(operation, draft);
  };
  command.abandoned = [reply] { return reply->given_up; };
  command.done = [node, reply](absl::StatusOr<Committed> done) {
    reply->status = done.status();
    if (!done.ok()) return reply->event.Set();
    reply->response = done->response;
    reply->position = done->position;
    if (reply->response != "fenced") return reply->event.Set();
    node->fences->Wait(done->position, [reply](const absl::Status& over,
                                               const std::vector<uint64_t>&) {
      reply->status = over;
      reply->event.Set();
    });
  };
  node->writer->Submit(std::move(command));
}

// As RoutingService::Route for a multicast key.
void Cluster::RouteAt(Node* node, const Operation& operation,
                      const ReplyPtr& reply) {
  const milliseconds proven_at = node->leases->ProvenAt();
  node->leases->GrantUnary(kLease);
  const auto image = node->replica->image();
  const milliseconds left = node->leases->Left(kLease, proven_at);
  reply->position = image->position();
  reply->response = std::to_string(left.count());
  static_cast<void>(operation);
  reply->event.Set();
}

void Cluster::Carry(Operation* operation) {
  while (true) {
    const auto node = nodes_[Dice(nodes_.size())];
    const nanoseconds sent = scheduler_.now();
    ++operation->attempts;
    ReplyPtr reply;
    const bool came = Ask(
        node,
        [this, copy = *operation](Node* at, const ReplyPtr& to) {
          if (copy.kind == Kind::kRoute) return RouteAt(at, copy, to);
          if (copy.kind != Kind::kRead) return SubmitTo(at, copy, to);
          const auto image = controller::NewestImage(
              at->log.get(), *at->replica, milliseconds(500));
          to->status = image.status();
          if (image.ok()) {
            to->position = (*image)->position();
            to->response = (*image)->vpc(copy.vpc) ? "found" : "";
          }
          to->event.Set();
        },
        &reply);
    if (!came || IsRetried(reply->status)) {
      Sleep(std::chrono::milliseconds(Dice(100)));
      continue;
    }
    operation->returned = scheduler_.now();
    operation->ok = reply->status.ok();
    operation->error = std::string(reply->status.message());
    operation->index = reply->position.index.value();
    operation->found = reply->response == "found";
    operation->fenced = reply->response == "fenced";
    if (operation->kind == Kind::kRoute) {
      const auto left = std::chrono::milliseconds(std::stoll(reply->response));
      if (left > 0ms) operation->lease_end = sent + left;
    }
    return;
  }
}

Operation Cluster::Invoke() {
  static constexpr Kind kKinds[] = {Kind::kCreate, Kind::kJoin,  Kind::kJoin,
                                    Kind::kJoin,   Kind::kRead,  Kind::kRoute,
                                    Kind::kRoute,  Kind::kDelete};
  Operation operation;
  operation.kind = kKinds[Dice(std::size(kKinds))];
  operation.vpc = "v-" + std::to_string(Dice(kVpcs));
  operation.request_id = std::string(AsBytes(NewRequestId(RealClock().Wall())));
  operation.invoked = scheduler_.now();
  operation.known = history_.told;
  Carry(&operation);
  // A position is told by an answer that found or made it.
  if (operation.ok && operation.kind != Kind::kRoute) {
    history_.told = std::max(history_.told, operation.index);
  }
  return operation;
}

void Cluster::Client(int operations) {
  for (int i = 0; i < operations; ++i) {
    history_.operations.push_back(Invoke());
    Sleep(std::chrono::milliseconds(Dice(300)));
  }
  --playing_;
}

void Cluster::Break() {
  const size_t at = Dice(nodes_.size());
  const int domain = nodes_[at]->domain;
  const nanoseconds time = std::chrono::milliseconds(100 + Dice(6'000));
  switch (Dice(6)) {
    case 0:  // a pause
      scheduler_.Freeze(domain);
      Sleep(time);
      return scheduler_.Thaw(domain);
    case 1: {  // a crash, and another start
      scheduler_.Freeze(domain);
      Sleep(time / 4);
      crashed_.push_back(std::exchange(nodes_[at], StartNode()));
      return;
    }
    case 2:  // cut off from the servers
      cut_off_.insert(domain);
      Sleep(time);
      cut_off_.erase(domain);
      return;
    case 3:
      servers_away_ = true;
      Sleep(time / 4);
      servers_away_ = false;
      return;
    case 4: {
      const uint64_t former = std::exchange(lossy_, 30);
      Sleep(time);
      lossy_ = former;
      return;
    }
    default:  // somebody sets a clock
      scheduler_.SetWallOffset(domain,
                               std::chrono::milliseconds(Dice(60'000)) - 30s);
      return Sleep(time);
  }
}

void Cluster::Heal() {
  lossy_ = 0;
  for (const auto& node : nodes_) {
    while (true) {
      ReplyPtr reply;
      const bool came = Ask(
          node,
          [](Node* at, const ReplyPtr& to) {
            to->status = controller::NewestImage(at->log.get(), *at->replica,
                                                 milliseconds(500))
                             .status();
            to->event.Set();
          },
          &reply);
      if (came && reply->status.ok()) break;
    }
  }
}

void Cluster::Play() {
  for (playing_ = 0; playing_ < kClients; ++playing_) {
    std::thread([this] { Client(kOperations); }).detach();
  }
  while (playing_ > 0) {
    Sleep(std::chrono::milliseconds(Dice(1'000)));
    if (playing_ > 0) Break();
  }
  Heal();
}

}  // namespace kafed::simulation
