#include "controller/server/node.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/log.h"
#include "common/status_macros.h"
#include "controller/peer/join.h"
#include "controller/peer/log_trimmer.h"
#include "controller/peer/node_list.h"
#include "controller/peer/office.h"
#include "controller/peer/peer_service.h"
#include "controller/peer/peer_watch.h"
#include "controller/reconcile/coordinator.h"
#include "controller/rpc/admin_service.h"
#include "controller/rpc/events_service.h"
#include "controller/rpc/follow_hub.h"
#include "controller/rpc/routing_service.h"
#include "controller/server/http_server.h"
#include "controller/server/listen_address.h"
#include "controller/server/node_metrics.h"
#include "controller/server/snapshotter.h"
#include "controller/session/fence_queue.h"
#include "controller/version.h"
#include "controller/write/follower.h"
#include "controller/write/log_status.h"
#include "controller/write/node_log.h"
#include "controller/write/recovery.h"
#include "controller/write/tail_prover.h"
#include "controller/write/writer.h"
#include "federation/plan/planners.h"

namespace kafed::controller {
namespace {

// docs/operating/size.md names what these are for.
constexpr int kMaxMessageBytes = 16 << 20;
constexpr int kMaxStreamsOfConnection = 10'000;
constexpr int kHandshakeMs = 10'000;
constexpr int kMaxHeaderBytes = 16 << 10;
// What calls may hold in gRPC's buffers, all together.
constexpr size_t kMaxCallBytes = size_t{512} << 20;
constexpr auto kShutdownGrace = std::chrono::seconds(3);
constexpr milliseconds kEndOffsetTimeout{2'000};
constexpr size_t kMaxWaitingCalls = 10'000;

// How often the nodes of a cluster look who is the coordinator.
constexpr milliseconds kCampaignInterval{500};
// A log that a quorum keeps in memory is trimmed behind snapshots.
constexpr uint64_t kSnapshotEveryBytes = 16 << 20;
// How often a node proves that it is at the tail of a shared log, at most.
constexpr milliseconds kLongestProof{1'000};

std::string HostOf(const std::string& address) {
  return address.substr(0, address.rfind(':'));
}

federation::NodeRow NodeRowOf(const Config& config) {
  return {config.advertise, federation::kFeatureLevel, kVersion, config.region};
}

// Nodes whose images differ can't both be right; this one is outvoted.
void CheckVerdict(const HashVerdict& verdict) {
  const LogField index{"index", verdict.index};
  const LogField with_me{"nodes_with_this_image", verdict.with_me};
  const LogField others{"nodes_with_another", verdict.most_others};
  const LogField tables{"tables", verdict.tables};
  if (verdict.minority()) {
    Fault(
        "this node's image differs from that of most nodes at the same "
        "position: keep its data directory for the developers, and start it "
        "again with an empty one",
        {index, with_me, others, tables});
  }
  LogError("another node's image differs from this one's at the same position",
           {index, with_me, others, tables});
}

}  // namespace

// In the order they are made; destroyed in reverse.
struct Node::Parts {
  Config config;
  NodeLogOptions log_options;
  NodeLog disk;
  std::unique_ptr<Replica> replica;
  std::unique_ptr<LeaseTable> leases;
  std::unique_ptr<FenceQueue> fences;
  LoadReportTable loads;
  RpcContext context;
  Metrics metrics;
  std::unique_ptr<Writer> writer;
  // Of a shared log only.
  HashHistory hashes;
  std::unique_ptr<Follower> follower;
  std::unique_ptr<TailProver> prover;
  std::unique_ptr<PeerWatch> peers;
  std::unique_ptr<OfficeHolder> office;
  std::unique_ptr<LogTrimmer> trimmer;

  std::unique_ptr<Snapshotter> snapshotter;
  std::unique_ptr<Coordinator> coordinator;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<FollowHub> hub;
  std::unique_ptr<RoutingService> routing;
  std::unique_ptr<AdminService> admin;
  std::unique_ptr<EventsService> events;
  std::unique_ptr<PeerService> peer;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<HttpServer> http;
  std::string address;
  std::string http_address;

  absl::Status OpenLog(const Clock& clock);
  absl::Status Recover(const Clock& clock);
  void MakeContext(const Clock& clock);
  void JoinCluster(const Clock& clock);
  absl::Status Register();
  absl::Status Listen();
  absl::Status ListenHttp();
  absl::Status Health() const { return disk.store->Health(); }
};

absl::Status Node::Parts::OpenLog(const Clock& clock) {
  log_options.directory = config.data_dir;
  log_options.free_space_floor_bytes = config.free_space_floor_bytes;
  log_options.log_budget_bytes = config.log_budget_bytes;
  log_options.backend = config.log_backend;
  log_options.quorum.servers = config.log_servers;
  log_options.quorum.path = config.log_path;
  log_options.quorum.ca_file = config.log_ca_file;
  log_options.quorum.certificate_file = config.log_certificate_file;
  log_options.quorum.key_file = config.log_key_file;
  log_options.quorum.session_timeout =
      milliseconds(config.log_session_timeout_ms);
  if (!config.log_credentials.empty()) {
    const std::string file = config.secrets_dir + "/" + config.log_credentials;
    ASSIGN_OR_RETURN(log_options.quorum.credentials,
                     ReadQuorumCredentials(file));
  }
  ASSIGN_OR_RETURN(disk, NodeLog::Open(log_options, clock));
  return absl::OkStatus();
}

absl::Status Node::Parts::Recover(const Clock& clock) {
  const milliseconds begun = clock.Steady();
  const std::vector<std::string> seeds = SplitAddresses(config.peers);
  ASSIGN_OR_RETURN(federation::Image image,
                   RecoverOrJoin(&disk.log(), disk.snapshots.get(), seeds));
  if (!image.head().index.valid()) {
    absl::Status first =
        BeginIncarnation(&disk.log(),
                         {.node_id = disk.node_number(),
                          .now_ms = static_cast<uint64_t>(clock.Wall().count()),
                          .node = NodeRowOf(config)},
                         &image);
    if (!first.ok() && !absl::IsAborted(first)) return first;
    if (!first.ok()) {  // another node began it just now
      ASSIGN_OR_RETURN(image,
                       RecoverOrJoin(&disk.log(), disk.snapshots.get(), seeds));
    }
  }
  LogInfo("recovered", {{"position", ToString(image.position())},
                        {"ms", (clock.Steady() - begun).count()}});
  replica = std::make_unique<Replica>(std::move(image));
  leases = std::make_unique<LeaseTable>(
      LeaseOptions{milliseconds(config.session_ttl_ms),
                   milliseconds(config.multicast_lease_ms), disk.shared()},
      &clock, *replica->image());
  fences = std::make_unique<FenceQueue>(leases.get(), &clock);
  return absl::OkStatus();
}

void Node::Parts::MakeContext(const Clock& clock) {
  const uint64_t node_id = disk.node_number();
  writer =
      std::make_unique<Writer>(&disk.log(), replica.get(), &clock, node_id);
  snapshotter = std::make_unique<Snapshotter>(
      SnapshotterOptions{config.snapshot_every_entries, config.history_entries,
                         disk.shared() ? kSnapshotEveryBytes : 0},
      replica.get(), &disk.log(), disk.snapshots.get(),
      [this] { return disk.journal ? disk.journal->taken_bytes() : 0; });
  if (disk.shared()) JoinCluster(clock);
  CoordinatorOptions options;
  if (office != nullptr) {
    options.in_office = [this] { return office->in_office(); };
    options.held_elsewhere = [this] { return peers->HeldSessions(); };
  }
  options.interval = milliseconds(config.reconcile_interval_ms);
  options.fence_window = milliseconds(config.fence_window_ms);
  options.secrets_dir = config.secrets_dir;
  coordinator = std::make_unique<Coordinator>(
      options, replica.get(), writer.get(), leases.get(), &clock);
  workers =
      std::make_unique<WorkerPool>(config.worker_threads, kMaxWaitingCalls);
  context.replica = replica.get();
  context.writer = writer.get();
  context.log = &disk.log();
  context.leases = leases.get();
  context.fences = fences.get();
  context.loads = &loads;
  context.workers = workers.get();
  context.clock = &clock;
  context.fence_window = milliseconds(config.fence_window_ms);
  context.node_id = node_id;
  context.started_at = clock.Steady();
  context.end_offset = [this](federation::SubClusterId id,
                              const std::string& kafka_topic,
                              uint32_t partition) -> absl::StatusOr<uint64_t> {
    const auto cluster = coordinator->Find(id);
    if (cluster == nullptr) {
      return absl::UnavailableError("the sub-cluster is not connected");
    }
    return cluster->EndOffset(kafka_topic, partition, kEndOffsetTimeout);
  };
  context.health = [this] {
    const absl::Status health = Health();
    return health.ok() ? std::string("ok") : std::string(health.message());
  };
  context.followers = [this] { return hub ? hub->followers() : 0; };
  context.list_nodes = [this](v1::ListNodesResponse* response) {
    ListNodes(context, peers.get(), response);
  };
  context.log_backend = config.log_backend;
  context.describe_log = [this](v1::DescribeLogResponse* response) {
    DescribeLog(log_options, disk, response);
  };
  metrics = NodeMetrics({&context, snapshotter.get(), &coordinator->stats()});
}

void Node::Parts::JoinCluster(const Clock& clock) {
  const uint64_t node_id = disk.node_number();
  hashes.Add(*replica->image());
  replica->AddListener([this] { hashes.Add(*replica->image()); });
  follower = std::make_unique<Follower>(&disk.log(), replica.get(),
                                        writer.get(), &clock);
  const milliseconds proof =
      std::min(kLongestProof, milliseconds(config.multicast_lease_ms / 5 + 1));
  prover = std::make_unique<TailProver>(
      &disk.log(), replica.get(), &clock, proof,
      [this](milliseconds at, LogIndex) { leases->Proven(at); });
  PeerWatchOptions watch;
  watch.self = node_id;
  peers = std::make_unique<PeerWatch>(watch, replica.get(), &hashes, &clock,
                                      CheckVerdict);
  office = std::make_unique<OfficeHolder>(disk.election.get(), node_id,
                                          replica.get(), writer.get(),
                                          kCampaignInterval);
  trimmer = std::make_unique<LogTrimmer>(disk.virtual_log.get(), replica.get(),
                                         disk.snapshots.get(), peers.get(),
                                         office.get());
}

// The address is known once the node listens.
absl::Status Node::Parts::Register() {
  federation::NodeRow row = NodeRowOf(config);
  if (row.address.empty() && disk.shared()) row.address = address;
  const auto registered =
      writer->Run([&](federation::Draft* draft) -> absl::StatusOr<std::string> {
        federation::PlanRegisterNode(disk.node_number(), row, draft);
        return std::string();
      });
  return Annotate(registered.status(), "registering the node");
}

absl::Status Node::Parts::Listen() {
  hub = std::make_unique<FollowHub>(&context);
  routing = std::make_unique<RoutingService>(&context, hub.get());
  admin = std::make_unique<AdminService>(&context);
  events = std::make_unique<EventsService>(&context);
  peer =
      std::make_unique<PeerService>(&context, &hashes, disk.snapshots.get(),
                                    [this] { return snapshotter->SaveNow(); });
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  // Else a second process could listen on the same port without an error.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             kMaxStreamsOfConnection);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             kHandshakeMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxHeaderBytes);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder.SetResourceQuota(grpc::ResourceQuota("kafed").Resize(kMaxCallBytes));
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  RETURN_IF_ERROR(CheckListen("listen", config.listen));
  int port = 0;
  builder.AddListeningPort(config.listen, grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(routing.get());
  builder.RegisterService(admin.get());
  builder.RegisterService(events.get());
  builder.RegisterService(peer.get());
  server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError("listen: can't listen on " + config.listen +
                                  "; another process may have just taken it");
  }
  address = HostOf(config.listen) + ":" + std::to_string(port);
  return absl::OkStatus();
}

absl::Status Node::Parts::ListenHttp() {
  if (config.http_listen == "off") return absl::OkStatus();
  RETURN_IF_ERROR(CheckListen("http_listen", config.http_listen));
  ASSIGN_OR_RETURN(http, HttpServer::Start(config.http_listen,
                                           {[this] { return metrics.Text(); },
                                            [this] { return Health(); }}));
  http_address =
      HostOf(config.http_listen) + ":" + std::to_string(http->port());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Node>> Node::Start(const Config& config,
                                                  const Clock& clock) {
  // What matters of gRPC's own log is said in statuses.
  gpr_set_log_function([](gpr_log_func_args* args) {
    LogDebug("grpc", {{"said", std::string(args->message)}});
  });
  auto parts = std::make_unique<Parts>();
  parts->config = config;
  RETURN_IF_ERROR(parts->OpenLog(clock));
  RETURN_IF_ERROR(parts->Recover(clock));
  parts->MakeContext(clock);
  std::unique_ptr<Node> node(new Node(std::move(parts)));
  RETURN_IF_ERROR(node->parts_->Listen());
  RETURN_IF_ERROR(node->parts_->ListenHttp());
  RETURN_IF_ERROR(node->parts_->Register());
  LogInfo("serving", {{"address", node->address()},
                      {"http", node->http_address()},
                      {"node", node->parts_->disk.store->node_id()},
                      {"version", kVersion}});
  return node;
}

Node::Node(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Node::~Node() { Stop(); }

void Node::Stop() {
  if (parts_ == nullptr) return;
  parts_->http.reset();
  if (parts_->fences) parts_->fences->Stop();  // calls that only wait
  // Streams have no end of their own; the grace is for what does.
  if (parts_->hub) parts_->hub->Stop();
  if (parts_->events) parts_->events->Stop();
  if (parts_->server) {
    parts_->server->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
    parts_->server->Wait();
    parts_->server.reset();
  }
  parts_->workers.reset();
  parts_->coordinator.reset();
  parts_->trimmer.reset();
  parts_->office.reset();
  parts_->peers.reset();
  parts_->prover.reset();
  parts_->follower.reset();
  parts_->writer.reset();
  parts_->hub.reset();  // last: it listens to what the writer publishes
  if (parts_->snapshotter) {
    const absl::Status saved = parts_->snapshotter->SaveNow();
    if (!saved.ok()) LogWarning("last snapshot failed", {{"why", saved}});
  }
  LogInfo("stopped", {{"position", ToString(parts_->replica->position())}});
  parts_.reset();
}

const std::string& Node::address() const { return parts_->address; }
const std::string& Node::http_address() const { return parts_->http_address; }

}  // namespace kafed::controller
