// embedded_kafka --brokers N --control PATH [--cluster-id ID] [--detached]
//
// A mock Kafka cluster in a process of its own. The first line of output is
// its bootstrap.servers; topics are created through the control pipe (see
// control_server.h). Ends with its parent unless --detached, on SIGTERM, or
// on QUIT.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/numbers.h"
#include "tests/support/embedded_kafka/control_server.h"
#include "tests/support/embedded_kafka/mock_cluster.h"

namespace kafed::tests {
namespace {

constexpr int kMaxBrokers = 16;

struct Options {
  int brokers = 1;
  std::string control;
  std::string cluster_id;
  bool detached = false;
};

bool Parse(int argc, char** argv, Options* options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--detached") {
      options->detached = true;
      continue;
    }
    if (i + 1 == argc) return false;
    const char* value = argv[++i];
    if (name == "--control") {
      options->control = value;
    } else if (name == "--cluster-id") {
      options->cluster_id = value;
    } else if (name != "--brokers" ||
               !absl::SimpleAtoi(value, &options->brokers)) {
      return false;
    }
  }
  return !options->control.empty() && options->brokers >= 1 &&
         options->brokers <= kMaxBrokers;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "embedded_kafka: %s\n",
               std::string(status.message()).c_str());
  return 1;
}

int Main(int argc, char** argv) {
  Options options;
  if (!Parse(argc, argv, &options)) {
    std::fprintf(stderr,
                 "usage: embedded_kafka --brokers 1..%d --control PATH "
                 "[--cluster-id ID] [--detached]\n",
                 kMaxBrokers);
    return 2;
  }
  if (!options.detached) prctl(PR_SET_PDEATHSIG, SIGTERM);
  // Blocked before any thread starts, so that only the signalfd sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const int stop_fd = signalfd(-1, &signals, SFD_CLOEXEC);

  auto cluster = MockCluster::Start(options.brokers, options.cluster_id);
  if (!cluster.ok()) return Fail(cluster.status());
  auto server = ControlServer::Listen(options.control, cluster->get());
  if (!server.ok()) return Fail(server.status());
  std::printf("%s\n", (*cluster)->bootstrap().c_str());
  std::fflush(stdout);
  const absl::Status status = (*server)->Run(stop_fd);
  close(stop_fd);
  return status.ok() ? 0 : Fail(status);
}

}  // namespace
}  // namespace kafed::tests

int main(int argc, char** argv) { return kafed::tests::Main(argc, argv); }
