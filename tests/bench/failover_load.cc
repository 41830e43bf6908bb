// failover_load: one reader and one writer that know several nodes.
//
//   failover_load SERVER[,SERVER...]   the first is the one that both begin
//   with
//
// Each makes one call at a time, a short pause between them, and goes on with
// the next address when one does not answer; a change is then repeated with its
// request id. Prints "ready" after some calls. The first line on the standard
// input begins the time that is looked at, the second ends it. Then one JSON
// line: "read_ms" and "write_ms" are the longest times between two successes in
// it, "usual_read_ms" and "usual_write_ms" the same before it, for the same
// number of seconds at least; "reads", "writes" how many there were in all.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_split.h"
#include "common/clock.h"
#include "common/uuid.h"
#include "kafed/v1/admin.grpc.pb.h"
#include "kafed/v1/routing.grpc.pb.h"
#include "tests/bench/message_load.h"
#include "tests/bench/operations.h"

namespace kafed::bench {
namespace {

constexpr std::chrono::milliseconds kPause{1};
constexpr std::chrono::seconds kDeadline{2};
// Without a success for so long, something else is wrong.
constexpr std::chrono::seconds kGiveUp{60};
constexpr size_t kWarmUpCalls = 200;

struct Server {
  std::string address;
  std::unique_ptr<v1::Admin::Stub> admin;
  std::unique_ptr<v1::Routing::Stub> routing;
};

std::vector<Server> ConnectAll(const std::string& servers) {
  std::vector<Server> all;
  for (const absl::string_view address : absl::StrSplit(servers, ',')) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto channel = grpc::CreateCustomChannel(
        std::string(address), grpc::InsecureChannelCredentials(), arguments);
    // As a client that was in use: a connection to each is there.
    if (!channel->WaitForConnected(std::chrono::system_clock::now() +
                                   std::chrono::seconds(10))) {
      Die("no node at " + std::string(address));
    }
    all.push_back({std::string(address), v1::Admin::NewStub(channel),
                   v1::Routing::NewStub(channel)});
  }
  return all;
}

// A caller with a thread of its own, and when it had success.
class Caller {
 public:
  using Call = std::function<grpc::Status(const Server&, grpc::ClientContext*,
                                          size_t number)>;

  Caller(const std::string& servers, Call call)
      : servers_(ConnectAll(servers)), call_(std::move(call)) {
    thread_ = std::thread([this] { Loop(); });
  }
  // Ends the calls; their times are complete then.
  void Stop() {
    stopping_ = true;
    thread_.join();
  }
  size_t successes() const { return successes_; }

  // Longest time between two successes that ended between the two times.
  double LongestMs(SteadyClock::time_point from,
                   SteadyClock::time_point to) const {
    SteadyClock::duration longest{};
    for (size_t i = 1; i < times_.size(); ++i) {
      if (times_[i] < from || times_[i] > to) continue;
      longest = std::max(longest, times_[i] - times_[i - 1]);
    }
    return std::chrono::duration<double, std::milli>(longest).count();
  }

 private:
  void Loop() {
    size_t at = 0;
    for (size_t number = 0; !stopping_; ++number) {
      const auto give_up = SteadyClock::now() + kGiveUp;
      while (true) {
        grpc::ClientContext context;
        context.set_deadline(std::chrono::system_clock::now() + kDeadline);
        const grpc::Status status =
            call_(servers_[at % servers_.size()], &context, number);
        if (status.ok()) break;
        if (status.error_code() != grpc::UNAVAILABLE &&
            status.error_code() != grpc::DEADLINE_EXCEEDED) {
          Die(status.error_message());
        }
        if (SteadyClock::now() > give_up) Die("no node answers");
        // A pause only when all were asked.
        if (++at % servers_.size() == 0) std::this_thread::sleep_for(kPause);
      }
      times_.push_back(SteadyClock::now());
      ++successes_;
      std::this_thread::sleep_for(kPause);
    }
  }

  const std::vector<Server> servers_;
  const Call call_;
  std::vector<SteadyClock::time_point> times_;
  std::atomic<size_t> successes_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

grpc::Status Read(const Server& server, grpc::ClientContext* context) {
  v1::RouteRequest request;
  request.add_keys("nca/host-0");
  v1::RouteResponse response;
  return server.routing->Route(context, request, &response);
}

grpc::Status Write(const Server& server, grpc::ClientContext* context,
                   v1::CreateVpcRequest* request, size_t number) {
  static const std::string prefix =
      "f" + std::to_string(RealClock().Wall().count()) + "-";
  const std::string vpc = prefix + std::to_string(number);
  if (request->id() != vpc) {  // else it is a retry
    request->set_id(vpc);
    request->set_region("eu");
    request->mutable_options()->set_request_id(
        std::string(AsBytes(NewRequestId(RealClock().Wall()))));
  }
  v1::MutationResponse response;
  return server.admin->CreateVpc(context, *request, &response);
}

// The next line; false at the end of the input: who drives it is gone.
bool NextLine() {
  int c = 0;
  while ((c = std::getchar()) != '\n') {
    if (c == EOF) return false;
  }
  return true;
}

int Main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: failover_load SERVER[,SERVER...]\n");
    return 2;
  }
  v1::CreateVpcRequest change;
  Caller reader(argv[1], [](const Server& server, grpc::ClientContext* context,
                            size_t) { return Read(server, context); });
  Caller writer(argv[1], [&](const Server& server, grpc::ClientContext* context,
                             size_t number) {
    return Write(server, context, &change, number);
  });
  while (reader.successes() < kWarmUpCalls ||
         writer.successes() < kWarmUpCalls) {
    std::this_thread::sleep_for(kPause);
  }
  const auto begun = SteadyClock::now();
  std::puts("ready");
  std::fflush(stdout);
  if (!NextLine()) return 1;
  const auto from = SteadyClock::now();
  if (!NextLine()) return 1;
  const auto to = SteadyClock::now();
  reader.Stop();
  writer.Stop();
  std::printf(
      "{\"read_ms\": %.2f, \"write_ms\": %.2f, \"usual_read_ms\": %.2f, "
      "\"usual_write_ms\": %.2f, \"reads\": %zu, \"writes\": %zu}\n",
      reader.LongestMs(from, to), writer.LongestMs(from, to),
      reader.LongestMs(begun, from), writer.LongestMs(begun, from),
      reader.successes(), writer.successes());
  return 0;
}

}  // namespace
}  // namespace kafed::bench

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return kafed::bench::Main(argc, argv);
}
