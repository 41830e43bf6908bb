// rpc_load: keeps calls in flight for some seconds and counts the answers.
//
//   rpc_load kafed  ADDRESS HOSTS IN_FLIGHT KEYS   Routing.Route of KEYS keys
//   rpc_load etcd   ADDRESS HOSTS IN_FLIGHT 1      KV.Range, serializable
//   rpc_load echo   ADDRESS HOSTS IN_FLIGHT BYTES  Echo.Call; requests as
//                                                  kafed's, replies of BYTES
//   rpc_load etcd-fill ADDRESS HOSTS IN_FLIGHT N   stores the table, N in a Txn
//
// One client for all three: two channels, callbacks, messages that are encoded
// and decoded. Prints one JSON line: "per_second" in calls, "p50_us", "p99_us",
// "reply_bytes" of one reply.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "bench.pb.h"
#include "etcd/rpc.pb.h"
#include "kafed/v1/routing.pb.h"
#include "tests/bench/fleet_model.h"

namespace kafed::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr auto kTime = std::chrono::milliseconds(3'000);
constexpr size_t kRequests = 1'024;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "rpc_load: %s\n", what.c_str());
  std::_Exit(1);
}

void CheckReply(const v1::RouteResponse& reply) {
  for (const v1::RouteResult& result : reply.results()) {
    if (result.error_code() != 0) Die(result.error());
  }
}
void CheckReply(const etcdserverpb::RangeResponse& reply) {
  if (reply.count() != 1) Die("etcd does not know a key");
}
void CheckReply(const etcdserverpb::TxnResponse& reply) {
  if (!reply.succeeded()) Die("etcd refused a transaction");
}
void CheckReply(const EchoReply&) {}

// Calls one method from many slots, each of which has one call in flight.
template <typename Request, typename Reply>
class Load {
 public:
  Load(const std::string& address, std::string method,
       std::vector<Request> requests)
      : method_(std::move(method)), requests_(std::move(requests)) {
    for (int i = 0; i < 2; ++i) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      arguments.SetMaxReceiveMessageSize(-1);
      stubs_.push_back(std::make_unique<Stub>(grpc::CreateCustomChannel(
          address, grpc::InsecureChannelCredentials(), arguments)));
    }
  }

  // For kTime, or until `calls` were made where that is not 0.
  void Run(size_t in_flight, size_t calls) {
    calls_ = calls;
    begun_ = SteadyClock::now();
    slots_.resize(in_flight);
    running_ = in_flight;
    for (size_t i = 0; i < in_flight; ++i) {
      slots_[i] = std::make_unique<Slot>();
      slots_[i]->stub = stubs_[i % stubs_.size()].get();
      Start(slots_[i].get());
    }
    absl::MutexLock lock(&mutex_);
    const auto done = [this] { return running_ == 0; };
    mutex_.Await(absl::Condition(&done));
  }

  void Print() const {
    const double seconds =
        std::chrono::duration<double>(SteadyClock::now() - begun_).count();
    std::vector<float> times;
    for (const auto& slot : slots_) {
      times.insert(times.end(), slot->times_us.begin(), slot->times_us.end());
    }
    std::sort(times.begin(), times.end());
    std::printf(
        "{\"per_second\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
        "\"reply_bytes\": %zu}\n",
        static_cast<double>(times.size()) / seconds, times[times.size() / 2],
        times[times.size() * 99 / 100], slots_[0]->reply.ByteSizeLong());
  }

 private:
  using Stub = grpc::TemplatedGenericStub<Request, Reply>;
  struct Slot {
    Stub* stub = nullptr;
    std::unique_ptr<grpc::ClientContext> context;
    Reply reply;
    SteadyClock::time_point sent;
    std::vector<float> times_us;
  };

  void Start(Slot* slot) {
    const size_t n = next_++;
    slot->sent = SteadyClock::now();
    if (calls_ != 0 ? n >= calls_ : slot->sent - begun_ >= kTime) {
      absl::MutexLock lock(&mutex_);
      --running_;
      return;
    }
    slot->context = std::make_unique<grpc::ClientContext>();
    slot->stub->UnaryCall(
        slot->context.get(), method_, {}, &requests_[n % requests_.size()],
        &slot->reply, [this, slot](const grpc::Status& status) {
          if (!status.ok()) Die(status.error_message());
          CheckReply(slot->reply);
          slot->times_us.push_back(std::chrono::duration<float, std::micro>(
                                       SteadyClock::now() - slot->sent)
                                       .count());
          Start(slot);
        });
  }

  const std::string method_;
  const std::vector<Request> requests_;
  std::vector<std::unique_ptr<Stub>> stubs_;
  std::vector<std::unique_ptr<Slot>> slots_;
  SteadyClock::time_point begun_;
  size_t calls_ = 0;
  std::atomic<size_t> next_{0};
  absl::Mutex mutex_;
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;
};

std::vector<v1::RouteRequest> RouteRequests(uint32_t hosts, size_t keys) {
  std::mt19937_64 random(42);
  std::vector<v1::RouteRequest> requests(
      std::max<size_t>(16, keys == 1 ? 64 * kRequests : kRequests / keys * 16));
  for (v1::RouteRequest& request : requests) {
    for (size_t i = 0; i < keys; ++i) {
      request.add_keys(
          "nca/" + HostName(static_cast<uint32_t>(random() % hosts), false));
    }
  }
  return requests;
}

std::vector<etcdserverpb::RangeRequest> RangeRequests(uint32_t hosts) {
  std::vector<etcdserverpb::RangeRequest> requests;
  for (const v1::RouteRequest& route : RouteRequests(hosts, 1)) {
    requests.emplace_back();
    requests.back().set_key(route.keys(0));
    requests.back().set_serializable(true);
  }
  return requests;
}

std::vector<etcdserverpb::TxnRequest> FillRequests(uint32_t hosts,
                                                   uint32_t size) {
  std::vector<etcdserverpb::TxnRequest> requests;
  for (uint32_t i = 0; i < hosts; ++i) {
    if (i % size == 0) requests.emplace_back();
    auto* put = requests.back().add_success()->mutable_request_put();
    put->set_key("nca/" + HostName(i, false));
    put->set_value(std::to_string(i / 100'000) + ":nca.g1." +
                   std::to_string(i / 500) + ":" + std::to_string(i % 50) +
                   ":1");
  }
  return requests;
}

template <typename Reply, typename Request>
int Measure(const std::string& address, const std::string& method,
            std::vector<Request> requests, size_t in_flight, bool all = false) {
  const size_t calls = all ? requests.size() : 0;
  Load<Request, Reply> load(address, method, std::move(requests));
  load.Run(in_flight, calls);
  load.Print();
  return 0;
}

int Main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr,
                 "usage: rpc_load kafed|etcd|etcd-fill|echo ADDRESS HOSTS "
                 "IN_FLIGHT N\n");
    return 2;
  }
  const std::string mode = argv[1];
  const std::string address = argv[2];
  const auto hosts = static_cast<uint32_t>(std::atoi(argv[3]));
  const auto in_flight = static_cast<size_t>(std::atoi(argv[4]));
  const auto n = static_cast<uint32_t>(std::atoi(argv[5]));
  if (mode == "kafed") {
    return Measure<v1::RouteResponse>(address, "/kafed.v1.Routing/Route",
                                      RouteRequests(hosts, n), in_flight);
  }
  if (mode == "etcd") {
    return Measure<etcdserverpb::RangeResponse>(
        address, "/etcdserverpb.KV/Range", RangeRequests(hosts), in_flight);
  }
  if (mode == "etcd-fill") {
    return Measure<etcdserverpb::TxnResponse>(address, "/etcdserverpb.KV/Txn",
                                              FillRequests(hosts, n), in_flight,
                                              true);
  }
  if (mode != "echo") Die("no mode '" + mode + "'");
  std::vector<EchoRequest> requests(1);
  requests[0].set_payload(RouteRequests(1, 1)[0].keys(0));
  requests[0].set_reply_bytes(n);
  return Measure<EchoReply>(address, "/kafed.bench.Echo/Call", requests,
                            in_flight);
}

}  // namespace
}  // namespace kafed::bench

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return kafed::bench::Main(argc, argv);
}
