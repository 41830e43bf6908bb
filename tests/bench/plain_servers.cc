#include "tests/bench/plain_servers.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <zookeeper/zookeeper.h>

#include <atomic>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "etcd/rpc.pb.h"
#include "tests/bench/message_load.h"

namespace kafed::bench {
namespace {

// A folder that no former run has used.
std::string NewFolder() {
  return "/plain-" + std::to_string(RealClock().Wall().count());
}

class PlainZooKeeper final : public PlainServers {
 public:
  explicit PlainZooKeeper(const std::string& servers) : folder_(NewFolder()) {
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    handle_ =
        zookeeper_init(servers.c_str(), OnEvent, 30'000, nullptr, this, 0);
    if (handle_ == nullptr) Die("zookeeper_init failed");
    absl::MutexLock lock(&mutex_);
    if (!mutex_.AwaitWithTimeout(absl::Condition(&connected_),
                                 absl::Seconds(30))) {
      Die("no ZooKeeper at " + servers);
    }
    const int made = zoo_create(handle_, folder_.c_str(), "", 0,
                                &ZOO_OPEN_ACL_UNSAFE, 0, nullptr, 0);
    if (made != ZOK) Die(zerror(made));
  }
  ~PlainZooKeeper() override { zookeeper_close(handle_); }

  void Put(const std::string& value, std::function<void()> done) override {
    const std::string path = folder_ + "/" + std::to_string(next_++);
    auto* call = new std::function<void()>(std::move(done));
    const int sent = zoo_acreate(handle_, path.c_str(), value.data(),
                                 static_cast<int>(value.size()),
                                 &ZOO_OPEN_ACL_UNSAFE, 0, OnCreated, call);
    if (sent != ZOK) Die(zerror(sent));
  }

 private:
  static void OnEvent(zhandle_t*, int type, int state, const char*,
                      void* context) {
    auto* self = static_cast<PlainZooKeeper*>(context);
    if (type != ZOO_SESSION_EVENT || state != ZOO_CONNECTED_STATE) return;
    absl::MutexLock lock(&self->mutex_);
    self->connected_ = true;
  }
  static void OnCreated(int code, const char*, const void* context) {
    if (code != ZOK) Die(zerror(code));
    const std::unique_ptr<const std::function<void()>> done(
        static_cast<const std::function<void()>*>(context));
    (*done)();
  }

  const std::string folder_;
  zhandle_t* handle_ = nullptr;
  std::atomic<size_t> next_{0};
  absl::Mutex mutex_;
  bool connected_ ABSL_GUARDED_BY(mutex_) = false;
};

class PlainEtcd final : public PlainServers {
 public:
  explicit PlainEtcd(const std::string& servers)
      : folder_(NewFolder()),
        stub_(grpc::CreateChannel(servers.substr(0, servers.find(',')),
                                  grpc::InsecureChannelCredentials())) {}

  void Put(const std::string& value, std::function<void()> done) override {
    auto* call = new Call;
    call->request.set_key(folder_ + "/" + std::to_string(next_++));
    call->request.set_value(value);
    call->done = std::move(done);
    stub_.UnaryCall(&call->context, "/etcdserverpb.KV/Put", {}, &call->request,
                    &call->response, [call](const grpc::Status& status) {
                      std::unique_ptr<Call> ended(call);
                      if (!status.ok()) Die(status.error_message());
                      const auto then = std::move(ended->done);
                      ended.reset();
                      then();
                    });
  }

 private:
  struct Call {
    grpc::ClientContext context;
    etcdserverpb::PutRequest request;
    etcdserverpb::PutResponse response;
    std::function<void()> done;
  };

  const std::string folder_;
  grpc::TemplatedGenericStub<etcdserverpb::PutRequest,
                             etcdserverpb::PutResponse>
      stub_;
  std::atomic<size_t> next_{0};
};

}  // namespace

std::unique_ptr<PlainServers> ConnectPlain(const std::string& backend,
                                           const std::string& servers) {
  if (backend == "etcd") return std::make_unique<PlainEtcd>(servers);
  if (backend != "zookeeper") Die("no backend '" + backend + "'");
  return std::make_unique<PlainZooKeeper>(servers);
}

}  // namespace kafed::bench
