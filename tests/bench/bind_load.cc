// bind_load: binds new hosts on a node; an answer means that it is durable.
//
//   bind_load single SERVER PREFIX CALLERS SECONDS  one host in each call
//   bind_load batch  SERVER PREFIX HOSTS   1        one import
//
// Prints one JSON line with "per_second" in bindings and, of single calls,
// "p50_us" and "p99_us".
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "common/uuid.h"
#include "kafed/v1/admin.grpc.pb.h"
#include "tests/bench/fleet_model.h"

namespace kafed::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr uint32_t kHostsPerMessage = 5'000;

double Seconds(SteadyClock::duration time) {
  return std::chrono::duration<double>(time).count();
}

// Imports hosts PREFIX-<from> ... PREFIX-<upto - 1>.
void Import(v1::Admin::Stub* stub, const std::string& prefix, uint32_t from,
            uint32_t upto) {
  grpc::ClientContext context;
  const auto stream = stub->ImportHosts(&context);
  v1::ImportHostsRequest request;
  request.mutable_options()->set_request_id(
      std::string(AsBytes(NewRequestId(RealClock().Wall()))));
  request.set_total(upto - from);
  for (uint32_t i = from; i < upto; request.Clear()) {
    const uint32_t end = std::min(upto, i + kHostsPerMessage);
    for (; i < end; ++i) {
      *request.add_hosts() = HostOf(prefix + "-" + std::to_string(i), i);
    }
    stream->Write(request);
  }
  stream->WritesDone();
  v1::ImportProgress progress;
  while (stream->Read(&progress)) {
  }
  const grpc::Status status = stream->Finish();
  if (!status.ok()) {
    std::fprintf(stderr, "bind_load: %s\n", status.error_message().c_str());
    std::_Exit(1);
  }
}

int Single(v1::Admin::Stub* stub, const std::string& prefix, uint32_t callers,
           double seconds) {
  std::vector<std::vector<double>> times(callers);
  std::vector<std::thread> threads;
  const auto begun = SteadyClock::now();
  for (uint32_t caller = 0; caller < callers; ++caller) {
    threads.emplace_back([&, caller] {
      const std::string own = prefix + "-" + std::to_string(caller);
      for (uint32_t i = 0; Seconds(SteadyClock::now() - begun) < seconds; ++i) {
        const auto sent = SteadyClock::now();
        Import(stub, own, i, i + 1);
        times[caller].push_back(Seconds(SteadyClock::now() - sent) * 1e6);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double took = Seconds(SteadyClock::now() - begun);
  std::vector<double> all;
  for (const auto& each : times)
    all.insert(all.end(), each.begin(), each.end());
  std::sort(all.begin(), all.end());
  std::printf("{\"per_second\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
              static_cast<double>(all.size()) / took, all[all.size() / 2],
              all[all.size() * 99 / 100]);
  return 0;
}

int Main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: bind_load single|batch SERVER PREFIX N M\n");
    return 2;
  }
  const auto stub = v1::Admin::NewStub(
      grpc::CreateChannel(argv[2], grpc::InsecureChannelCredentials()));
  const auto n = static_cast<uint32_t>(std::atoi(argv[4]));
  if (std::string(argv[1]) == "single") {
    return Single(stub.get(), argv[3], n, std::atof(argv[5]));
  }
  const auto begun = SteadyClock::now();
  Import(stub.get(), argv[3], 0, n);
  std::printf("{\"per_second\": %.1f}\n",
              n / Seconds(SteadyClock::now() - begun));
  return 0;
}

}  // namespace
}  // namespace kafed::bench

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return kafed::bench::Main(argc, argv);
}
