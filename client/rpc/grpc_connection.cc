#include "client/rpc/grpc_connection.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <string>
#include <utility>

#include "kafed/v1/routing.grpc.pb.h"

namespace kafed::client {
namespace {

constexpr std::chrono::seconds kDeadline{5};
constexpr std::chrono::seconds kNodesDeadline{2};
constexpr std::chrono::seconds kConnectDeadline{2};
constexpr char kSilent[] = "no connection within 2 s";
constexpr int kMaxMessageBytes = 64 << 20;

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

class GrpcFollowStream final : public FollowStream {
 public:
  GrpcFollowStream(v1::Routing::Stub* stub, bool silent) : silent_(silent) {
    // A call on a channel that is still connecting would wait for it.
    if (silent) context_.TryCancel();
    stream_ = stub->Follow(&context_);
  }
  bool Write(const v1::FollowRequest& request) override {
    return stream_->Write(request);
  }
  bool Read(v1::FollowResponse* response) override {
    return stream_->Read(response);
  }
  void Cancel() override { context_.TryCancel(); }
  absl::Status Finish() override {
    const grpc::Status status = stream_->Finish();
    return silent_ ? absl::UnavailableError(kSilent) : FromGrpc(status);
  }

 private:
  const bool silent_;
  grpc::ClientContext context_;
  std::unique_ptr<
      grpc::ClientReaderWriter<v1::FollowRequest, v1::FollowResponse>>
      stream_;
};

class GrpcConnection final : public NodeConnection {
 public:
  explicit GrpcConnection(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
    // How long one attempt may take; the path may be long.
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
    // The caller has a back-off of its own; do not sleep through it.
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    // Nodes are reached directly, whatever http_proxy says.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    channel_ = grpc::CreateCustomChannel(
        address, grpc::InsecureChannelCredentials(), arguments);
    stub_ = v1::Routing::NewStub(channel_);
  }

  std::shared_ptr<FollowStream> Follow() override {
    return std::make_shared<GrpcFollowStream>(stub_.get(), Silent());
  }

  absl::StatusOr<v1::OpenSessionResponse> OpenSession(
      const v1::OpenSessionRequest& request) override {
    return Call<v1::OpenSessionResponse>(
        kDeadline,
        [&](grpc::ClientContext* context, v1::OpenSessionResponse* response) {
          return stub_->OpenSession(context, request, response);
        });
  }

  absl::Status CloseSession(const v1::CloseSessionRequest& request) override {
    return Call<v1::CloseSessionResponse>(
               kDeadline,
               [&](grpc::ClientContext* context,
                   v1::CloseSessionResponse* response) {
                 return stub_->CloseSession(context, request, response);
               })
        .status();
  }

  absl::StatusOr<v1::SubscriptionsResponse> Subscriptions(
      const v1::SubscriptionsRequest& request) override {
    return Call<v1::SubscriptionsResponse>(
        kDeadline,
        [&](grpc::ClientContext* context, v1::SubscriptionsResponse* response) {
          return stub_->Subscriptions(context, request, response);
        });
  }

  absl::StatusOr<v1::NodesResponse> Nodes() override {
    return Call<v1::NodesResponse>(
        kNodesDeadline,
        [&](grpc::ClientContext* context, v1::NodesResponse* response) {
          return stub_->Nodes(context, v1::NodesRequest(), response);
        });
  }

 private:
  // Nothing came within kConnectDeadline. One that refuses is known at once,
  // and the call itself says why; so the next node need not wait.
  bool Silent() const {
    const auto end = std::chrono::system_clock::now() + kConnectDeadline;
    auto state = channel_->GetState(true);
    while (state != GRPC_CHANNEL_READY &&
           state != GRPC_CHANNEL_TRANSIENT_FAILURE) {
      if (!channel_->WaitForStateChange(state, end)) return true;
      state = channel_->GetState(true);
    }
    return false;
  }

  template <typename Response, typename Invoke>
  absl::StatusOr<Response> Call(std::chrono::seconds deadline,
                                const Invoke& invoke) const {
    if (Silent()) return absl::UnavailableError(kSilent);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + deadline);
    Response response;
    const grpc::Status status = invoke(&context, &response);
    if (!status.ok()) return FromGrpc(status);
    return response;
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Routing::Stub> stub_;
};

}  // namespace

Connector GrpcConnector() {
  return [](const std::string& address) -> std::unique_ptr<NodeConnection> {
    return std::make_unique<GrpcConnection>(address);
  };
}

Connector ConnectorOr(const Connector& connector) {
  return connector ? connector : GrpcConnector();
}

}  // namespace kafed::client
