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
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "absl/base/internal/sysinfo.h"
#include "common/log.h"
#include "tests/simulation/cluster.h"

namespace kafed::simulation {
namespace {

const std::vector<std::string>& PlantNames() {
  static const auto* const names = new std::vector<std::string>{
      "none", "ack-early", "skip-checks", "lease-without-proof", "apply-twice"};
  return *names;
}

// Runs in a process of its own.
[[noreturn]] void RunSeed(uint64_t seed, Plant plant, bool tell,
                          std::FILE* trace) {
  mallopt(M_ARENA_MAX, 1);  // addresses are the order of allocations
  Scheduler scheduler;
  scheduler.SetTrace(trace);
  bool good = true;
  scheduler.Run(seed, [&] {
    // On the heap: what is frozen goes on using it.
    auto* const cluster = new Cluster(&scheduler, plant);
    cluster->Begin();
    cluster->Play();
    const std::vector<std::string> wrong = cluster->Check();
    for (const std::string& line : wrong) {
      std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed),
                  line.c_str());
    }
    good = wrong.empty();
    if (tell) {
      for (const Operation& operation : cluster->history().operations) {
        std::printf("%s\n", Describe(operation).c_str());
      }
      std::printf(
          "seed %llu: %zu operations, %lld ms, %llu steps, digest "
          "%016llx\n",
          static_cast<unsigned long long>(seed),
          cluster->history().operations.size(),
          static_cast<long long>(scheduler.now().count() / 1'000'000),
          static_cast<unsigned long long>(scheduler.steps()),
          static_cast<unsigned long long>(scheduler.digest()));
    }
    std::fflush(nullptr);
    _exit(good ? 0 : 1);
  });
  _exit(4);  // not reached
}

// Whether a process of RunSeed found all well; it says what it found wrong, and
// here is said how else it may have ended.
bool Ended(uint64_t seed, int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) <= 1) {
    return WEXITSTATUS(status) == 0;
  }
  std::printf("seed %llu: the process ended with %s %d\n",
              static_cast<unsigned long long>(seed),
              WIFSIGNALED(status) ? "signal" : "code",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  return false;
}

struct Tally {
  uint64_t runs = 0;
  uint64_t failed = 0;
};

// Seeds from `first` on; `count` 0: without end.
Tally RunSeeds(uint64_t first, uint64_t count, Plant plant, size_t at_once) {
  Tally tally;
  std::map<pid_t, uint64_t> running;
  uint64_t next = first;
  while (true) {
    while (running.size() < at_once && (count == 0 || next < first + count)) {
      std::fflush(stdout);
      const pid_t child = fork();
      if (child == 0) RunSeed(next, plant, false, nullptr);
      if (child < 0) Fault("can't fork");
      running[child] = next++;
    }
    if (running.empty()) return tally;
    int status = 0;
    const pid_t child = wait(&status);
    ++tally.runs;
    if (!Ended(running[child], status)) ++tally.failed;
    running.erase(child);
  }
}

int Main(int argc, char** argv) {
  CLI::App app("Simulated clusters of kafed, seed by seed.");
  uint64_t seed = 0;
  uint64_t seeds = 1'000;
  uint64_t first = 1;
  size_t at_once = 2;
  bool soak = false;
  std::string plant = "none";
  std::string trace;
  app.add_option("--seed", seed, "Replay this one");
  app.add_option("--trace", trace, "With --seed: a file for its steps");
  app.add_option("--seeds", seeds, "How many (default 1000)");
  app.add_option("--from", first, "The first of them (default 1)");
  app.add_option("--jobs", at_once, "Runs at once (default 2)");
  app.add_flag("--soak", soak, "From a seed of now on, without end");
  app.add_option("--plant", plant, "A fault to build in")
      ->check(CLI::IsMember(PlantNames()));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto planted = static_cast<Plant>(
      std::find(PlantNames().begin(), PlantNames().end(), plant) -
      PlantNames().begin());
  // Measured once for a process, by the real clock; not within a run.
  absl::base_internal::NominalCPUFrequency();
  SetUpLogging(seed != 0 ? LogLevel::kWarning : LogLevel::kError, false);
  if (seed != 0) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      std::FILE* const out =
          trace.empty() ? nullptr : fopen(trace.c_str(), "w");
      RunSeed(seed, planted, true, out);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return Ended(seed, status) ? 0 : 1;
  }
  if (soak) {
    first = static_cast<uint64_t>(std::time(nullptr)) * 1'000;
    seeds = 0;
  }
  const auto begun = std::chrono::steady_clock::now();
  const Tally tally = RunSeeds(first, seeds, planted, at_once);
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
  if ((personality(0xffffffff) & ADDR_NO_RANDOMIZE) == 0 &&
      personality(static_cast<unsigned long>(personality(0xffffffff)) |
                  ADDR_NO_RANDOMIZE) != -1) {
    execv("/proc/self/exe", argv);
  }
  return kafed::simulation::Main(argc, argv);
}
