// embedded_kafka --brokers N --control PATH [--cluster-id ID] [--detached]
//                [--own-folder]
//
// A mock Kafka cluster in a process of its own. The first line of output is
// its bootstrap.servers; topics are created through the control pipe (see
// control_server.h). Ends with its parent unless --detached, on SIGTERM, or
// on QUIT. With --own-folder the folder of PATH is removed at the end, if it is
// empty then: a parent that was killed can't do it.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

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
  bool own_folder = false;
};

bool Parse(int argc, char** argv, Options* options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--detached") {
      options->detached = true;
      continue;
    }
    if (name == "--own-folder") {
      options->own_folder = true;
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

constexpr char kUsage[] =
    "usage: embedded_kafka --brokers 1..%d --control PATH [--cluster-id ID]\n"
    "                      [--detached] [--own-folder]\n"
    "\n"
    "A mock Kafka cluster; prints its bootstrap servers. It ends with the\n"
    "process that started it, unless --detached is given.\n"
    "  --brokers N      so many brokers (1)\n"
    "  --control PATH   its control socket, for --admin embedded:PATH\n"
    "  --cluster-id ID  Kafka cluster id (drawn)\n"
    "  --detached       do not end with the parent; SIGTERM ends it\n"
    "  --own-folder     take the socket's folder away at the end, if empty\n";

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "embedded_kafka: %s\n",
               std::string(status.message()).c_str());
  return 1;
}

int Main(int argc, char** argv) {
  Options options;
  if (argc == 2 && std::string_view(argv[1]) == "--help") {
    std::printf(kUsage, kMaxBrokers);
    return 0;
  }
  if (!Parse(argc, argv, &options)) {
    std::fprintf(stderr, kUsage, kMaxBrokers);
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
  server->reset();  // takes its socket away
  if (options.own_folder) {
    std::error_code ignored;  // not there, or not empty
    std::filesystem::remove(
        std::filesystem::path(options.control).parent_path(), ignored);
  }
  close(stop_fd);
  return status.ok() ? 0 : Fail(status);
}

}  // namespace
}  // namespace kafed::tests

int main(int argc, char** argv) { return kafed::tests::Main(argc, argv); }
