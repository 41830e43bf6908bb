#include "tests/unit/client/fake_routing_server.h"

#include <grpcpp/grpcpp.h>

#include <thread>
#include <utility>

#include "kafed/v1/routing.grpc.pb.h"

namespace kafed::client {
namespace {

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(status.code()),
          std::string(status.message())};
}

class Service final : public v1::Routing::Service {
 public:
  explicit Service(const std::shared_ptr<FakeNode>& node)
      : connection_(node->connector()("")) {}

  grpc::Status Follow(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::FollowResponse, v1::FollowRequest>* stream)
      override {
    const auto fake = connection_->Follow();
    std::thread requests([&] {
      v1::FollowRequest request;
      while (stream->Read(&request) && fake->Write(request)) {
      }
      fake->Cancel();
    });
    v1::FollowResponse response;
    while (fake->Read(&response) && stream->Write(response)) {
    }
    const bool cancelled = context->IsCancelled();
    if (!cancelled) context->TryCancel();  // else the reader would stay
    requests.join();
    return ToGrpc(fake->Finish());
  }

  grpc::Status OpenSession(grpc::ServerContext*,
                           const v1::OpenSessionRequest* request,
                           v1::OpenSessionResponse* response) override {
    return Fill(connection_->OpenSession(*request), response);
  }
  grpc::Status CloseSession(grpc::ServerContext*,
                            const v1::CloseSessionRequest* request,
                            v1::CloseSessionResponse*) override {
    return ToGrpc(connection_->CloseSession(*request));
  }
  grpc::Status Subscriptions(grpc::ServerContext*,
                             const v1::SubscriptionsRequest* request,
                             v1::SubscriptionsResponse* response) override {
    return Fill(connection_->Subscriptions(*request), response);
  }
  grpc::Status Nodes(grpc::ServerContext*, const v1::NodesRequest*,
                     v1::NodesResponse* response) override {
    return Fill(connection_->Nodes(), response);
  }

 private:
  template <typename T>
  static grpc::Status Fill(absl::StatusOr<T> answer, T* response) {
    if (!answer.ok()) return ToGrpc(answer.status());
    *response = *std::move(answer);
    return grpc::Status::OK;
  }
  const std::unique_ptr<NodeConnection> connection_;
};

}  // namespace

struct FakeRoutingServer::Server {
  explicit Server(const std::shared_ptr<FakeNode>& node) : service(node) {}
  Service service;
  std::unique_ptr<grpc::Server> grpc;
};

FakeRoutingServer::FakeRoutingServer(const std::shared_ptr<FakeNode>& node)
    : server_(std::make_unique<Server>(node)) {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(&server_->service);
  server_->grpc = builder.BuildAndStart();
  address_ = "127.0.0.1:" + std::to_string(port);
}

FakeRoutingServer::~FakeRoutingServer() {
  server_->grpc->Shutdown(std::chrono::system_clock::now());
  server_->grpc->Wait();
}

}  // namespace kafed::client
