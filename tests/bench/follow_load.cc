// follow_load: clients that follow a node.
//
//   follow_load mirror SERVER         a Mirror from nothing to its first view:
//                                     "seconds", "keys"
//   follow_load delta SERVER          bytes of a full view; then, after a line
//                                     on its standard input, of what changed
//                                     since: "full_bytes", "delta_bytes"
//   follow_load fanout SERVER COUNT ROUNDS [WRITER]
//                                     COUNT followers on connections of their
//                                     own; ROUNDS commits of one host, through
//                                     another node where WRITER is given. From
//                                     the call to each view: "p50_ms",
//                                     "p99_ms"; from its acknowledgement (0
//                                     where the view was first):
//                                     "acknowledged_p50_ms",
//                                     "acknowledged_p99_ms"
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "client/mirror.h"
#include "client/rpc/grpc_connection.h"
#include "common/uuid.h"
#include "kafed/v1/admin.grpc.pb.h"
#include "kafed/v1/routing.grpc.pb.h"
#include "tests/bench/fleet_model.h"

namespace kafed::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "follow_load: %s\n", what.c_str());
  std::_Exit(1);
}

double Seconds(SteadyClock::duration time) {
  return std::chrono::duration<double>(time).count();
}

std::shared_ptr<grpc::Channel> Connect(const std::string& server) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(),
                                   arguments);
}

int Bootstrap(const std::string& server) {
  const auto begun = SteadyClock::now();
  client::MirrorOptions options;
  options.nodes = {server};
  options.connector = client::GrpcConnector();
  const auto mirror = client::Mirror::Create(options);
  if (!mirror.ok()) Die(mirror.status().ToString());
  const absl::Status ready = (*mirror)->WaitReady(milliseconds(120'000));
  if (!ready.ok()) Die(ready.ToString());
  std::printf("{\"seconds\": %.4f, \"keys\": %zu}\n",
              Seconds(SteadyClock::now() - begun), (*mirror)->view()->keys());
  return 0;
}

// Follows until a batch is complete; returns the bytes of its messages.
size_t Receive(v1::Routing::Stub* stub, v1::Position* position) {
  grpc::ClientContext context;
  const auto stream = stub->Follow(&context);
  v1::FollowRequest request;
  request.mutable_filter();
  if (position->incarnation() != 0) *request.mutable_position() = *position;
  const bool full = position->incarnation() == 0;
  stream->Write(request);
  size_t bytes = 0;
  v1::FollowResponse response;
  while (stream->Read(&response)) {
    if (response.full() != full && response.full()) Die("not a delta");
    bytes += response.ByteSizeLong();
    if (response.has_position()) {
      *position = response.position();
      context.TryCancel();
      return bytes;
    }
  }
  Die(stream->Finish().error_message());
}

int Delta(const std::string& server) {
  const auto stub = v1::Routing::NewStub(Connect(server));
  v1::Position position;
  const size_t full = Receive(stub.get(), &position);
  std::printf("{\"full_bytes\": %zu}\n", full);
  std::fflush(stdout);
  if (std::getchar() == EOF) return 1;
  const size_t delta = Receive(stub.get(), &position);
  std::printf("{\"full_bytes\": %zu, \"delta_bytes\": %zu}\n", full, delta);
  return 0;
}

// How many followers have the host of the present round, and when they got it.
class Arrivals {
 public:
  explicit Arrivals(size_t followers) : followers_(followers) {}

  void Expect(const std::string& host) {
    absl::MutexLock lock(&mutex_);
    host_ = host;
    times_.clear();
  }
  std::string host() const {
    absl::MutexLock lock(&mutex_);
    return host_;
  }
  void Add() {
    absl::MutexLock lock(&mutex_);
    times_.push_back(SteadyClock::now());
  }
  std::vector<SteadyClock::time_point> Wait() const {
    absl::MutexLock lock(&mutex_);
    const auto all = [this] {
      mutex_.AssertReaderHeld();
      return times_.size() == followers_;
    };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&all), absl::Seconds(60))) {
      Die("not every follower got a change within a minute");
    }
    return times_;
  }

 private:
  const size_t followers_;
  mutable absl::Mutex mutex_;
  std::string host_ ABSL_GUARDED_BY(mutex_);
  std::vector<SteadyClock::time_point> times_ ABSL_GUARDED_BY(mutex_);
};

class Follower final
    : public grpc::ClientBidiReactor<v1::FollowRequest, v1::FollowResponse> {
 public:
  Follower(const std::string& server, Arrivals* arrivals)
      : arrivals_(*arrivals), stub_(v1::Routing::NewStub(Connect(server))) {
    request_.mutable_filter();
    stub_->async()->Follow(&context_, this);
    StartWrite(&request_);
    StartRead(&response_);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    for (const v1::Row& row : response_.rows()) {
      if (!view_.Apply(row).ok()) Die("a row does not apply");
      if (row.has_key() && row.key().key() == arrivals_.host()) wanted_ = true;
    }
    if (response_.has_position() && wanted_) {
      wanted_ = false;
      arrivals_.Add();
    }
    StartRead(&response_);
  }
  void OnDone(const grpc::Status&) override {
    absl::MutexLock lock(&mutex_);
    done_ = true;
  }
  void Stop() {
    context_.TryCancel();
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&done_));
  }

 private:
  Arrivals& arrivals_;
  std::unique_ptr<v1::Routing::Stub> stub_;
  grpc::ClientContext context_;
  v1::FollowRequest request_;
  v1::FollowResponse response_;
  federation::RouteView view_;
  bool wanted_ = false;
  absl::Mutex mutex_;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
};

void AddHost(v1::Admin::Stub* stub, const std::string& host) {
  grpc::ClientContext context;
  const auto stream = stub->ImportHosts(&context);
  v1::ImportHostsRequest request;
  request.mutable_options()->set_request_id(
      std::string(AsBytes(NewRequestId(RealClock().Wall()))));
  request.set_total(1);
  *request.add_hosts() = HostOf(host, 0);
  stream->Write(request);
  stream->WritesDone();
  v1::ImportProgress progress;
  while (stream->Read(&progress)) {
  }
  const grpc::Status status = stream->Finish();
  if (!status.ok()) Die(status.error_message());
}

double Percentile(std::vector<double>* values, size_t percent) {
  std::sort(values->begin(), values->end());
  return (*values)[values->size() * percent / 100];
}

int FanOut(const std::string& server, size_t count, int rounds,
           const std::string& writer) {
  const auto admin = v1::Admin::NewStub(Connect(writer));
  Arrivals arrivals(count);
  const auto round_host = [](int round) {
    return "fan-out-" + std::to_string(RealClock().Wall().count()) + "-" +
           std::to_string(round);
  };
  std::string host = round_host(-1);
  arrivals.Expect(host);
  std::vector<std::unique_ptr<Follower>> followers;
  for (size_t i = 0; i < count; ++i) {
    followers.push_back(std::make_unique<Follower>(server, &arrivals));
  }
  // The first round only says that all are connected.
  AddHost(admin.get(), host);
  arrivals.Wait();
  std::vector<double> called;
  std::vector<double> acknowledged;
  for (int round = 0; round < rounds; ++round) {
    host = round_host(round);
    arrivals.Expect(host);
    const auto begun = SteadyClock::now();
    AddHost(admin.get(), host);
    const auto stands = SteadyClock::now();
    for (const auto at : arrivals.Wait()) {
      called.push_back(Seconds(at - begun) * 1e3);
      acknowledged.push_back(std::max(0.0, Seconds(at - stands) * 1e3));
    }
  }
  for (const auto& follower : followers) follower->Stop();
  std::printf(
      "{\"p50_ms\": %.2f, \"p99_ms\": %.2f, \"acknowledged_p50_ms\": %.2f, "
      "\"acknowledged_p99_ms\": %.2f}\n",
      Percentile(&called, 50), Percentile(&called, 99),
      Percentile(&acknowledged, 50), Percentile(&acknowledged, 99));
  return 0;
}

int Main(int argc, char** argv) {
  const std::string mode = argc > 2 ? argv[1] : "";
  if (mode == "mirror") return Bootstrap(argv[2]);
  if (mode == "delta") return Delta(argv[2]);
  if (mode == "fanout" && (argc == 5 || argc == 6)) {
    return FanOut(argv[2], static_cast<size_t>(std::atoi(argv[3])),
                  std::atoi(argv[4]), argv[argc == 6 ? 5 : 2]);
  }
  std::fprintf(stderr,
               "usage: follow_load mirror|delta|fanout SERVER "
               "[COUNT ROUNDS [WRITER]]\n");
  return 2;
}

}  // namespace
}  // namespace kafed::bench

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return kafed::bench::Main(argc, argv);
}
