// A node without Kafka and disk, asked over gRPC in this process. After each
// request its image is sound (invariants.h); one that was refused, a read and
// a dry run have changed nothing; a retry is answered as the first was; and
// at the end the log gives the same image.
//
// Lists of requests of the Admin and Routing services. A change without a
// request id is given one.
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/client_unary_call.h>

#include <set>

#include "common/uuid.h"
#include "controller/peer/node_list.h"
#include "controller/rpc/admin_service.h"
#include "controller/rpc/routing_service.h"
#include "controller/session/follow_session.h"
#include "controller/write/recovery.h"
#include "federation/image/image_io.h"
#include "federation/image/invariants.h"
#include "metastore/log/memory_loglet.h"
#include "tests/fuzz/message_list.h"
#include "tests/fuzz/support.h"

KAFED_FUZZ_LIST_MUTATOR

const kafed::fuzz::Kinds& kafed::fuzz::ListKinds() {
  static const Kinds* const kinds = new Kinds(RpcKinds());
  return *kinds;
}

namespace kafed::controller {
namespace {

using google::protobuf::Message;

// Wall time stands still but for a tick a look, so that runs are alike.
class TickingClock final : public Clock {
 public:
  milliseconds Wall() const override {
    return milliseconds(1'700'000'000'000 + ++ticks_);
  }
  milliseconds Steady() const override { return RealClock().Steady(); }

 private:
  mutable std::atomic<int64_t> ticks_{0};
};

// What lives for one input.
struct State {
  State() : replica(Begin()), leases(Leases(), &clock, *replica.image()) {}

  static LeaseOptions Leases() {
    return {milliseconds(900'000), milliseconds(1)};  // fences end soon
  }
  federation::Image Begin() {
    federation::Image image;
    const absl::Status begun = BeginIncarnation(&log,
                                                {.node_id = 7,
                                                 .now_ms = 1'700'000'000'000,
                                                 .node = {.version = "fuzz"}},
                                                &image);
    FUZZ_CHECK(begun.ok(), begun.ToString());
    return image;
  }

  TickingClock clock;
  metastore::MemoryLoglet log;
  Replica replica;
  LeaseTable leases;
  LoadReportTable loads;
  FenceQueue fences{&leases, &clock};
  Writer writer{&log, &replica, &clock, 7};
};

// The services and their server: once for the process; each input brings a
// state of its own, between calls.
class Server {
 public:
  Server() : admin_(&context_) {
    Use(&idle_);
    idle_context_ = context_;
    hub_ = std::make_unique<FollowHub>(&idle_context_);
    routing_ = std::make_unique<RoutingService>(&context_, hub_.get());
    grpc::ServerBuilder builder;
    builder.RegisterService(&admin_);
    builder.RegisterService(routing_.get());
    server_ = builder.BuildAndStart();
    channel_ = server_->InProcessChannel({});
  }

  void Use(State* state) {
    context_.replica = &state->replica;
    context_.writer = &state->writer;
    context_.log = &state->log;
    context_.leases = &state->leases;
    context_.fences = &state->fences;
    context_.loads = &state->loads;
    context_.workers = &workers_;
    context_.clock = &state->clock;
    context_.end_offset = [](auto...) -> absl::StatusOr<uint64_t> {
      return absl::UnavailableError("no Kafka here");
    };
    context_.health = [] { return std::string("ok"); };
    context_.followers = [] { return 0u; };
    context_.list_nodes = [this](v1::ListNodesResponse* response) {
      ListNodes(context_, nullptr, response);
    };
    context_.describe_log = [](v1::DescribeLogResponse* response) {
      response->set_backend("local");
    };
  }

  grpc::Status Call(const std::string& path, const Message& request,
                    Message* response) {
    grpc::ClientContext call;
    using Lite = google::protobuf::MessageLite;
    return grpc::internal::BlockingUnaryCall<Lite, Lite>(
        channel_.get(),
        grpc::internal::RpcMethod(
            path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC, channel_),
        &call, request, response);
  }

  grpc::Status Import(const v1::ImportHostsRequest& request,
                      v1::ImportProgress* last) {
    grpc::ClientContext call;
    const auto stub = v1::Admin::NewStub(channel_);
    const auto stream = stub->ImportHosts(&call);
    stream->Write(request);
    stream->WritesDone();
    while (stream->Read(last)) {
    }
    return stream->Finish();
  }

  grpc::Status Save(const v1::SaveSnapshotRequest& request,
                    std::string* bytes) {
    grpc::ClientContext call;
    const auto stub = v1::Admin::NewStub(channel_);
    const auto stream = stub->SaveSnapshot(&call, request);
    v1::SnapshotChunk chunk;
    while (stream->Read(&chunk)) bytes->append(chunk.data());
    return stream->Finish();
  }

 private:
  // For the hub, which has a thread of its own and is never asked.
  State idle_;
  RpcContext idle_context_;
  RpcContext context_;
  WorkerPool workers_{2, 100};
  AdminService admin_;
  std::unique_ptr<FollowHub> hub_;
  std::unique_ptr<RoutingService> routing_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

Server& TheServer() {
  static auto* const server = new Server;
  return *server;
}

bool IsRejection(grpc::StatusCode code) {
  return code == grpc::StatusCode::INVALID_ARGUMENT ||
         code == grpc::StatusCode::NOT_FOUND ||
         code == grpc::StatusCode::ALREADY_EXISTS ||
         code == grpc::StatusCode::FAILED_PRECONDITION ||
         code == grpc::StatusCode::RESOURCE_EXHAUSTED ||
         code == grpc::StatusCode::PERMISSION_DENIED ||
         // Of Follow: the client has seen a newer node.
         code == grpc::StatusCode::UNAVAILABLE;
}

v1::MutationOptions* OptionsOf(Message* request) {
  const auto* field = request->GetDescriptor()->FindFieldByName("options");
  if (field == nullptr) return nullptr;
  return static_cast<v1::MutationOptions*>(
      request->GetReflection()->MutableMessage(request, field));
}

class Player {
 public:
  Player() { TheServer().Use(&state_); }

  void Play(fuzz::Listed* listed) {
    Message* request = listed->message.get();
    v1::MutationOptions* options = OptionsOf(request);
    if (options != nullptr && options->request_id().empty()) {
      options->set_request_id(NextId());
    }
    ClearMinPosition(request);
    const auto before = state_.replica.image();
    const grpc::Status status = Ask(listed->kind, *request);
    const auto after = state_.replica.image();
    const std::string said = listed->kind + ": " + status.error_message();
    if (!status.ok()) {
      FUZZ_CHECK(IsRejection(status.error_code()),
                 said + " " + std::to_string(status.error_code()));
      FUZZ_CHECK(!status.error_message().empty(), said);
    }
    // A topic may stand though not all hosts could be bound; it says so.
    const bool partly = said.find("but not all hosts") != std::string::npos;
    const bool dry = options != nullptr && options->dry_run();
    if ((!status.ok() && !partly) || dry || IsRead(listed->kind)) {
      FUZZ_CHECK(before->position() == after->position(), said);
      FUZZ_CHECK(before->Hash() == after->Hash(), said);
    }
    for (const std::string& violation : federation::FindViolations(*after)) {
      fuzz::Broken("the image is sound", __FILE__, __LINE__, said + violation);
    }
    if (status.ok() && options != nullptr && !dry) {
      const grpc::Status again = Ask(listed->kind, *request);
      FUZZ_CHECK(again.ok(), said + again.error_message());
      // A retry of CreateTopic may bind hosts that came meanwhile: none here.
      FUZZ_CHECK(state_.replica.image()->Hash() == after->Hash(), said);
    }
  }

  // What the log gives is what the node had.
  void End() {
    federation::Image image;
    const absl::Status replayed = Replay(&state_.log, &image, nullptr);
    FUZZ_CHECK(replayed.ok(), replayed.ToString());
    FUZZ_CHECK(image.Hash() == state_.replica.image()->Hash());
  }

 private:
  static bool IsRead(const std::string& kind) {
    return kind.starts_with("List") || kind.starts_with("Describe") ||
           kind.starts_with("Route") || kind == "Explain" || kind == "Status" ||
           kind == "Nodes" || kind == "SaveSnapshot" || kind == "Owner" ||
           kind == "Subscriptions" || kind.starts_with("ReportR") ||
           kind.starts_with("ReportD") || kind == "Follow";
  }

  std::string NextId() {
    std::string id(16, '\0');
    const uint64_t now = 1'700'000'000'000 + ++ids_;
    for (int i = 0; i < 6; ++i) id[i] = static_cast<char>(now >> (40 - 8 * i));
    id[6] = 0x70;
    id[8] = static_cast<char>(0x80);
    return id;
  }

  // Reads wait for a position that is to come; here nothing else would come.
  static void ClearMinPosition(Message* request) {
    const auto* field =
        request->GetDescriptor()->FindFieldByName("min_position");
    if (field != nullptr) {
      request->GetReflection()->ClearField(request, field);
    }
  }

  grpc::Status Ask(const std::string& kind, const Message& request) {
    if (kind == "ImportHosts") {
      v1::ImportProgress last;
      return TheServer().Import(
          static_cast<const v1::ImportHostsRequest&>(request), &last);
    }
    if (kind == "SaveSnapshot") {
      return Save(static_cast<const v1::SaveSnapshotRequest&>(request));
    }
    if (kind == "Follow") {
      return Follow(static_cast<const v1::FollowRequest&>(request));
    }
    const auto* file = request.GetDescriptor()->file();
    const auto* method = file->service(0)->FindMethodByName(kind);
    const std::unique_ptr<Message> response(
        google::protobuf::MessageFactory::generated_factory()
            ->GetPrototype(method->output_type())
            ->New());
    return TheServer().Call(
        "/" + method->service()->full_name() + "/" + method->name(), request,
        response.get());
  }

  grpc::Status Save(const v1::SaveSnapshotRequest& request) {
    std::string bytes;
    const grpc::Status status = TheServer().Save(request, &bytes);
    FUZZ_CHECK(status.ok(), status.error_message());
    SnapshotReader reader(SourceOf(bytes));
    if (!request.route_view()) {
      const auto image = federation::LoadImage(&reader);
      FUZZ_CHECK(image.ok(), image.status().ToString());
      FUZZ_CHECK(image->Hash() == state_.replica.image()->Hash());
      return status;
    }
    FUZZ_CHECK(reader.ReadHeader().ok());
    SnapshotRow row;
    absl::StatusOr<bool> more = true;
    while (more.ok() && *more) more = reader.Next(&row);
    FUZZ_CHECK(more.ok(), more.status().ToString());
    return status;
  }

  // The session of a stream, without the stream: it would wait for what is new.
  grpc::Status Follow(const v1::FollowRequest& request) {
    FollowSession session(&state_.replica, &state_.leases, &state_.clock,
                          milliseconds(15'000));
    absl::Status received = session.Receive(request);
    bool complete = false;
    v1::FollowResponse response;
    while (received.ok() && session.Next(&response)) {
      complete = response.has_position();
      response.Clear();
    }
    if (received.ok()) FUZZ_CHECK(complete);
    received.Update(session.Receive(request));
    return {static_cast<grpc::StatusCode>(received.code()),
            std::string(received.message())};
  }

  State state_;
  uint64_t ids_ = 0;
};

}  // namespace
}  // namespace kafed::controller

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kafed::controller::Player player;
  for (auto& listed : kafed::fuzz::ParseList(kafed::fuzz::AsText(data, size))) {
    kafed::fuzz::KeepSmall(listed.message.get());
    player.Play(&listed);
  }
  player.End();
  return 0;
}
