#include "controller/server/node.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "common/log.h"
#include "common/status_macros.h"
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
#include "controller/write/node_log.h"
#include "controller/write/recovery.h"
#include "controller/write/writer.h"

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

std::string HostOf(const std::string& address) {
  return address.substr(0, address.rfind(':'));
}

}  // namespace

// In the order they are made; destroyed in reverse.
struct Node::Parts {
  Config config;
  NodeLog disk;
  std::unique_ptr<Replica> replica;
  std::unique_ptr<LeaseTable> leases;
  std::unique_ptr<FenceQueue> fences;
  LoadReportTable loads;
  RpcContext context;
  Metrics metrics;
  std::unique_ptr<Writer> writer;
  std::unique_ptr<Snapshotter> snapshotter;
  std::unique_ptr<Coordinator> coordinator;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<FollowHub> hub;
  std::unique_ptr<RoutingService> routing;
  std::unique_ptr<AdminService> admin;
  std::unique_ptr<EventsService> events;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<HttpServer> http;
  std::string address;
  std::string http_address;

  absl::Status Recover(const Clock& clock);
  void MakeContext(const Clock& clock);
  absl::Status Listen();
  absl::Status ListenHttp();
  absl::Status Health() const { return disk.store->Health(); }
};

absl::Status Node::Parts::Recover(const Clock& clock) {
  const milliseconds begun = clock.Steady();
  ASSIGN_OR_RETURN(federation::Image image,
                   controller::Recover(disk.log.get(), disk.snapshots.get()));
  if (!image.head().index.valid()) {
    RETURN_IF_ERROR(
        BeginIncarnation(disk.log.get(),
                         {.node_id = disk.node_number(),
                          .now_ms = static_cast<uint64_t>(clock.Wall().count()),
                          .version = kVersion},
                         &image));
  }
  LogInfo("recovered", {{"position", ToString(image.position())},
                        {"ms", (clock.Steady() - begun).count()}});
  replica = std::make_unique<Replica>(std::move(image));
  leases = std::make_unique<LeaseTable>(
      LeaseOptions{milliseconds(config.session_ttl_ms),
                   milliseconds(config.multicast_lease_ms)},
      &clock, *replica->image());
  fences = std::make_unique<FenceQueue>(leases.get(), &clock);
  return absl::OkStatus();
}

void Node::Parts::MakeContext(const Clock& clock) {
  const uint64_t node_id = disk.node_number();
  writer =
      std::make_unique<Writer>(disk.log.get(), replica.get(), &clock, node_id);
  snapshotter = std::make_unique<Snapshotter>(
      SnapshotterOptions{config.snapshot_every_entries, config.history_entries},
      replica.get(), disk.log.get(), disk.snapshots.get());
  CoordinatorOptions options;
  options.interval = milliseconds(config.reconcile_interval_ms);
  options.fence_window = milliseconds(config.fence_window_ms);
  options.secrets_dir = config.secrets_dir;
  coordinator = std::make_unique<Coordinator>(
      options, replica.get(), writer.get(), leases.get(), &clock);
  workers =
      std::make_unique<WorkerPool>(config.worker_threads, kMaxWaitingCalls);
  context.replica = replica.get();
  context.writer = writer.get();
  context.log = disk.log.get();
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
  metrics = NodeMetrics({&context, snapshotter.get(), &coordinator->stats()});
}

absl::Status Node::Parts::Listen() {
  hub = std::make_unique<FollowHub>(&context);
  routing = std::make_unique<RoutingService>(&context, hub.get());
  admin = std::make_unique<AdminService>(&context);
  events = std::make_unique<EventsService>(&context);
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
  ASSIGN_OR_RETURN(parts->disk, NodeLog::Open({config.data_dir,
                                               config.free_space_floor_bytes,
                                               config.log_budget_bytes},
                                              clock));
  RETURN_IF_ERROR(parts->Recover(clock));
  parts->MakeContext(clock);
  std::unique_ptr<Node> node(new Node(std::move(parts)));
  RETURN_IF_ERROR(node->parts_->Listen());
  RETURN_IF_ERROR(node->parts_->ListenHttp());
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
