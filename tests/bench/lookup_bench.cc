// Look-ups in a client's view, and what the view costs in memory.
//
// The view is the one that a Mirror publishes; a benchmark takes it once, as a
// caller does for a batch, and asks it for the targets of uniformly random
// hosts.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "tests/bench/fleet_model.h"

namespace kafed::bench {
namespace {

using federation::RouteView;
using federation::Target;
using SteadyClock = std::chrono::steady_clock;

constexpr size_t kKeys = 1 << 20;
constexpr size_t kGroup = 16;

struct Table {
  explicit Table(const FleetShape& shape)
      : view(MakeView(shape)), keys(shape, kKeys) {}
  RouteView view;
  KeyStream keys;
};

// Made once for each shape that the chosen benchmarks need.
const Table& TableOf(const FleetShape& shape) {
  static std::map<std::pair<uint32_t, bool>, std::unique_ptr<Table>> tables;
  std::unique_ptr<Table>& table = tables[{shape.partitions, shape.uuid}];
  if (table == nullptr) table = std::make_unique<Table>(shape);
  return *table;
}

void Check(bool found) {
  if (found) return;
  std::fprintf(stderr, "lookup_bench: a host has no route\n");
  std::_Exit(1);
}

void LookUp(benchmark::State& state, const FleetShape& shape) {
  const Table& table = TableOf(shape);
  Target target;
  size_t next = 0;
  for (auto _ : state) {
    bool found = true;
    for (size_t i = 0; i < kGroup; ++i) {
      found &= table.view.RouteOne(kTopic, table.keys[next + i], &target);
      benchmark::DoNotOptimize(target);
    }
    Check(found);
    next = (next + kGroup) % kKeys;
  }
  state.SetItemsProcessed(state.iterations() * kGroup);
}

void LookUpGroups(benchmark::State& state, const FleetShape& shape) {
  const Table& table = TableOf(shape);
  std::vector<Target> targets(kGroup);
  size_t next = 0;
  for (auto _ : state) {
    Check(table.view.RouteMany(kTopic, {table.keys.data() + next, kGroup},
                               targets) == kGroup);
    benchmark::DoNotOptimize(targets.data());
    benchmark::ClobberMemory();
    next = (next + kGroup) % kKeys;
  }
  state.SetItemsProcessed(state.iterations() * kGroup);
}

// The limit: reads that each wait for the one before, over as many bytes as
// the view has. A look-up cannot do with fewer than two of them.
void DependentRead(benchmark::State& state) {
  constexpr size_t kLine = 64 / sizeof(uint32_t);
  constexpr uint32_t kLines = (32 << 20) / 64;
  std::vector<uint32_t> order(kLines);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(42));
  std::vector<uint32_t> memory(kLines * kLine);
  for (uint32_t i = 0; i < kLines; ++i) {
    memory[order[i] * kLine] = order[(i + 1) % kLines];
  }
  uint32_t at = 0;
  for (auto _ : state) {
    at = memory[at * kLine];
    benchmark::DoNotOptimize(at);
  }
  state.SetItemsProcessed(state.iterations());
}

double Nanoseconds(SteadyClock::duration time) {
  return std::chrono::duration<double, std::nano>(time).count();
}

// Every look-up is timed alone; the median cost of reading the clock twice is
// taken off.
void LookUpLatency(benchmark::State& state) {
  const FleetShape shape;
  const Table& table = TableOf(shape);
  Target target;
  std::vector<double> times;
  std::vector<double> empty;
  size_t next = 0;
  for (auto _ : state) {
    const auto begun = SteadyClock::now();
    Check(table.view.RouteOne(kTopic, table.keys[next], &target));
    benchmark::DoNotOptimize(target);
    const auto ended = SteadyClock::now();
    times.push_back(Nanoseconds(ended - begun));
    empty.push_back(Nanoseconds(SteadyClock::now() - ended));
    next = (next + 1) % kKeys;
  }
  const auto at = [](std::vector<double>* values, double share) {
    const auto i = static_cast<std::ptrdiff_t>(
        share * static_cast<double>(values->size() - 1));
    std::nth_element(values->begin(), values->begin() + i, values->end());
    return (*values)[static_cast<size_t>(i)];
  };
  const double clock = at(&empty, 0.5);
  state.counters["p50_ns"] = at(&times, 0.5) - clock;
  state.counters["p99_ns"] = at(&times, 0.99) - clock;
}

size_t ResidentBytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  unsigned long total = 0;
  unsigned long resident = 0;
  if (file == nullptr || std::fscanf(file, "%lu %lu", &total, &resident) != 2) {
    std::_Exit(1);
  }
  std::fclose(file);
  return resident * 4096;
}

void Memory(benchmark::State& state) {
  for (auto _ : state) {
    malloc_trim(0);
    const size_t before = ResidentBytes();
    const FleetShape shape;
    const RouteView view = MakeView(shape);
    malloc_trim(0);
    const auto hosts = static_cast<double>(view.keys());
    state.counters["bytes_per_host"] =
        static_cast<double>(ResidentBytes() - before) / hosts;
    state.counters["table_bytes_per_host"] =
        static_cast<double>(view.MemoryBytes()) / hosts;
  }
}

BENCHMARK(DependentRead);
BENCHMARK_CAPTURE(LookUp, short_names, FleetShape{});
BENCHMARK_CAPTURE(LookUp, uuids, FleetShape{.uuid = true});
BENCHMARK_CAPTURE(LookUpGroups, short_names, FleetShape{});
BENCHMARK_CAPTURE(LookUpGroups, uuids, FleetShape{.uuid = true});
BENCHMARK(LookUpLatency)->Iterations(1'000'000);
BENCHMARK(Memory)->Iterations(1);
// The same hosts on ever more logical partitions.
BENCHMARK_CAPTURE(LookUp, partitions_10k, FleetShape{.partitions = 10'000});
BENCHMARK_CAPTURE(LookUp, partitions_100k, FleetShape{.partitions = 100'000});
BENCHMARK_CAPTURE(LookUp, partitions_1m, FleetShape{.partitions = 1'000'000});

}  // namespace
}  // namespace kafed::bench

BENCHMARK_MAIN();
