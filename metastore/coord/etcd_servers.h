// EtcdServers: the servers of an etcd cluster, and calls of one that answers.
//
// A call goes to the server that answered last; who does not answer is passed
// over. It is submitted only to a server that is connected. What only reads is
// asked of one server after the other; what writes is sent once, because who
// does not answer may have done it.
//
// Statuses are translated here, as etcd_session.h lists them. Included only by
// the files of coord/. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "etcd/rpc.grpc.pb.h"
#include "metastore/coord/etcd_options.h"

namespace kafed::metastore {

class EtcdServers {
 public:
  struct Server {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<etcdserverpb::KV::Stub> kv;
    std::unique_ptr<etcdserverpb::Watch::Stub> watch;
    std::unique_ptr<etcdserverpb::Lease::Stub> lease;
    std::unique_ptr<etcdserverpb::Auth::Stub> auth;
  };
  enum class Kind { kRead, kWrite };
  using OneCall = std::function<grpc::Status(Server&, grpc::ClientContext*)>;

  // InvalidArgument, naming the option that is wrong; does not connect.
  static absl::StatusOr<std::unique_ptr<EtcdServers>> Make(EtcdOptions options);

  // Runs `call` on one server, or several, for `limit` at most.
  absl::Status Call(Kind kind, milliseconds limit, const OneCall& call);

  // A server that is connected; Unavailable when there is none for `limit`.
  absl::StatusOr<Server*> Connected(milliseconds limit);
  // Takes what `status` of a call tells into account.
  absl::Status Judge(const Server& server, const grpc::Status& status);
  // Gives a call the token of the user, if there is one.
  absl::Status AddToken(Server& server, grpc::ClientContext* context);

 private:
  using Time = std::chrono::steady_clock::time_point;

  explicit EtcdServers(EtcdOptions options) : options_(std::move(options)) {}
  void Add(std::string address,
           const std::shared_ptr<grpc::ChannelCredentials>& credentials);
  // The next server is asked first from now on.
  void PassOver(const Server& server);
  Server& Current();

  const EtcdOptions options_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::mutex mutex_;
  size_t current_ = 0;
  std::string token_;
};

}  // namespace kafed::metastore
