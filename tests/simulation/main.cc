// simulate: whole clusters in one process, seed by seed.
//
//   simulate --seeds 1000        seeds 1 to 1000, two at a time
//   simulate --soak              from a seed of now on, until it is interrupted
//   simulate --seed 17           one run, and what it came to
//   ... --plant NAME             with a fault built in that must be found
//
// Every run is a process of its own, whose addresses are not randomized, so a
// seed replays to the byte. 0: all is well; 1: a run was not; 2: wrong usage.
#include <malloc.h>
#include <poll.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/internal/sysinfo.h"
#include "common/log.h"
#include "tests/simulation/cluster.h"

namespace kafed::simulation {
namespace {

constexpr int kRunners = 2;  // runs at once

const std::vector<std::string>& PlantNames() {
  static const auto* const names = new std::vector<std::string>{
      "none", "ack-early", "skip-checks", "lease-without-proof", "apply-twice"};
  return *names;
}

// What a runner is asked for.
struct Order {
  uint64_t seed = 0;
  Plant plant = Plant::kNone;
  bool tell = false;
  char trace[512] = {};  // a file; empty: none
};

// Runs in a process of its own.
[[noreturn]] void RunSeed(const Order& order) {
  Scheduler scheduler;
  if (order.trace[0] != 0) scheduler.SetTrace(std::fopen(order.trace, "w"));
  const auto seed = static_cast<unsigned long long>(order.seed);
  scheduler.Run(order.seed, [&] {
    // On the heap: what is frozen goes on using it.
    auto* const cluster = new Cluster(&scheduler, order.plant);
    cluster->Begin();
    cluster->Play();
    const std::vector<std::string> wrong = cluster->Check();
    for (const std::string& line : wrong) {
      std::printf("seed %llu: %s\n", seed, line.c_str());
    }
    if (order.tell) {
      for (const Operation& operation : cluster->history().operations) {
        std::printf("%s\n", Describe(operation).c_str());
      }
      std::printf(
          "seed %llu: %zu operations, %lld ms, %llu steps, digest "
          "%016llx\n",
          seed, cluster->history().operations.size(),
          static_cast<long long>(scheduler.now().count() / 1'000'000),
          static_cast<unsigned long long>(scheduler.steps()),
          static_cast<unsigned long long>(scheduler.digest()));
    }
    std::fflush(nullptr);
    _exit(wrong.empty() ? 0 : 1);
  });
  _exit(4);  // not reached
}

// A process that forks one run after the other. It is made before anything else
// and allocates nothing, so that every run finds memory as every other does:
// the order of a hash table follows from its address.
class Runner {
 public:
  Runner() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
      Fault("no pair of sockets");
    }
    process_ = fork();
    if (process_ < 0) Fault("can't fork");
    if (process_ == 0) Serve(ends[1]);
    close(ends[1]);
    socket_ = ends[0];
  }
  ~Runner() {
    shutdown(socket_, SHUT_RDWR);  // later runners hold it open too
    close(socket_);
    waitpid(process_, nullptr, 0);
  }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  int socket() const { return socket_; }
  uint64_t seed() const { return order_.seed; }

  void Start(const Order& order) {
    order_ = order;
    if (write(socket_, &order, sizeof order) != sizeof order) {
      Fault("a runner is gone");
    }
  }
  // Waits for the end of the run: whether all was well. What was not, the run
  // has said; here is said how else it may have ended.
  bool End() const {
    int status = 0;
    if (read(socket_, &status, sizeof status) != sizeof status) {
      Fault("a runner is gone");
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) <= 1) {
      return WEXITSTATUS(status) == 0;
    }
    std::printf("seed %llu: the process ended with %s %d\n",
                static_cast<unsigned long long>(order_.seed),
                WIFSIGNALED(status) ? "signal" : "code",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return false;
  }

 private:
  [[noreturn]] static void Serve(int socket) {
    Order order;
    while (read(socket, &order, sizeof order) == sizeof order) {
      const pid_t child = fork();
      if (child == 0) RunSeed(order);
      int status = 0;
      if (child < 0 || waitpid(child, &status, 0) != child) break;
      if (write(socket, &status, sizeof status) != sizeof status) break;
    }
    _exit(0);
  }

  pid_t process_ = -1;
  int socket_ = -1;
  Order order_;
};

using Runners = std::vector<std::unique_ptr<Runner>>;

struct Tally {
  uint64_t runs = 0;
  uint64_t failed = 0;
};

// Seeds from `order.seed` on; `count` 0: without end.
Tally RunSeeds(Order order, uint64_t count, const Runners& runners) {
  Tally tally;
  const uint64_t end = order.seed + count;
  std::vector<Runner*> idle;
  idle.reserve(runners.size());
  for (const auto& runner : runners) idle.push_back(runner.get());
  std::vector<Runner*> busy;
  while (true) {
    while (!idle.empty() && (count == 0 || order.seed < end)) {
      idle.back()->Start(order);
      ++order.seed;
      busy.push_back(idle.back());
      idle.pop_back();
    }
    if (busy.empty()) return tally;
    std::vector<pollfd> polls;
    polls.reserve(busy.size());
    for (const Runner* runner : busy) {
      polls.push_back({runner->socket(), POLLIN, 0});
    }
    poll(polls.data(), polls.size(), -1);
    for (size_t i = polls.size(); i-- > 0;) {
      if (polls[i].revents == 0) continue;
      ++tally.runs;
      if (!busy[i]->End()) ++tally.failed;
      std::fflush(stdout);
      idle.push_back(busy[i]);
      busy.erase(busy.begin() + static_cast<ptrdiff_t>(i));
    }
  }
}

int Main(int argc, char** argv, Runners runners) {
  CLI::App app("Simulated clusters of kafed, seed by seed.");
  Order order;
  uint64_t seed = 0;
  uint64_t seeds = 1'000;
  uint64_t first = 1;
  bool soak = false;
  std::string plant = "none";
  std::string trace;
  app.add_option("--seed", seed, "Replay this one");
  app.add_option("--trace", trace, "With --seed: a file for its steps");
  app.add_option("--seeds", seeds, "How many (default 1000)")
      ->check(CLI::PositiveNumber);
  app.add_option("--from", first, "The first of them (default 1)");
  app.add_flag("--soak", soak, "From a seed of now on, without end");
  app.add_option("--plant", plant, "A fault to build in")
      ->check(CLI::IsMember(PlantNames()));
  try {
    app.parse(argc, argv);
    if (trace.size() >= sizeof order.trace) {
      throw CLI::ValidationError("--trace", "the name is too long");
    }
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  order.plant = static_cast<Plant>(
      std::find(PlantNames().begin(), PlantNames().end(), plant) -
      PlantNames().begin());
  if (seed != 0) {
    order.seed = seed;
    order.tell = true;
    trace.copy(order.trace, sizeof order.trace - 1);
    runners[0]->Start(order);
    return runners[0]->End() ? 0 : 1;
  }
  order.seed = soak ? static_cast<uint64_t>(std::time(nullptr)) * 1'000 : first;
  const auto begun = std::chrono::steady_clock::now();
  const Tally tally = RunSeeds(order, soak ? 0 : seeds, runners);
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - begun;
  std::printf("%llu seeds, %llu failed, %.0f seeds a minute\n",
              static_cast<unsigned long long>(tally.runs),
              static_cast<unsigned long long>(tally.failed),
              static_cast<double>(tally.runs) * 60 / took.count());
  return tally.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace kafed::simulation

int main(int argc, char** argv) {
  namespace simulation = kafed::simulation;
  const int now = personality(0xffffffff);
  if ((now & ADDR_NO_RANDOMIZE) == 0 &&
      personality(static_cast<unsigned long>(now) | ADDR_NO_RANDOMIZE) != -1) {
    execv("/proc/self/exe", argv);
  }
  mallopt(M_ARENA_MAX, 1);  // addresses are the order of allocations
  // Measured once for a process, by the real clock; not within a run.
  absl::base_internal::NominalCPUFrequency();
  kafed::SetUpLogging(kafed::LogLevel::kError, false);
  simulation::Runners runners;
  runners.reserve(simulation::kRunners);
  for (int i = 0; i < simulation::kRunners; ++i) {
    runners.push_back(std::make_unique<simulation::Runner>());
  }
  return simulation::Main(argc, argv, std::move(runners));
}
