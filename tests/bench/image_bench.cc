// What a node does for one binding, and for a follower that is a little behind,
// at different sizes of the image.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "federation/image/entry_codec.h"
#include "federation/plan/planners.h"
#include "federation/view/change_log.h"
#include "federation/view/view_feed.h"
#include "tests/bench/fleet_model.h"

namespace kafed::bench {
namespace {

using federation::ChangedRow;
using federation::ChangeLog;
using federation::Draft;
using federation::Image;
using federation::RouteView;
using federation::ViewFeed;

const Image& ImageOf(uint32_t hosts, uint32_t partitions) {
  static std::map<std::pair<uint32_t, uint32_t>, Image> images;
  const auto [at, made] = images.try_emplace({hosts, partitions});
  if (made) at->second = MakeImage({.hosts = hosts, .partitions = partitions});
  return at->second;
}

// Plans, encodes and publishes one binding after the other, each an entry of
// its own, as a node does but for the append.
void Bind(benchmark::State& state) {
  const auto hosts = static_cast<uint32_t>(state.range(0));
  const Image& base = ImageOf(hosts, hosts / 10);
  auto published = std::make_shared<const Image>(base);
  uint32_t added = 0;
  for (auto _ : state) {
    Image next = *published;
    std::string bytes;
    const uint32_t n = added++;
    Commit(&next, [&](Draft* draft) {
      const v1::HostSpec host = HostOf("new-" + std::to_string(n), n);
      const absl::Status status =
          federation::PlanAddHosts({&host, 1}, false, draft);
      bytes = federation::EncodeEntry(draft->entry());
      return status;
    });
    benchmark::DoNotOptimize(bytes.data());
    published = std::make_shared<const Image>(std::move(next));
  }
  state.SetItemsProcessed(state.iterations());
}

// The same for 2,000 hosts in each entry, as an import does.
void BindMany(benchmark::State& state) {
  constexpr uint32_t kHosts = 2'000;
  const auto hosts = static_cast<uint32_t>(state.range(0));
  auto published = std::make_shared<const Image>(ImageOf(hosts, hosts / 10));
  uint32_t added = 0;
  for (auto _ : state) {
    std::vector<v1::HostSpec> specs;
    for (uint32_t i = 0; i < kHosts; ++i) {
      specs.push_back(HostOf("new-" + std::to_string(added), added));
      ++added;
    }
    Image next = *published;
    std::string bytes;
    Commit(&next, [&](Draft* draft) {
      const absl::Status status = federation::PlanAddHosts(specs, false, draft);
      bytes = federation::EncodeEntry(draft->entry());
      return status;
    });
    benchmark::DoNotOptimize(bytes.data());
    published = std::make_shared<const Image>(std::move(next));
  }
  state.SetItemsProcessed(static_cast<int64_t>(added));
}

std::vector<std::string> Names(uint32_t from, uint32_t count) {
  std::vector<std::string> names;
  for (uint32_t i = from; i < from + count; ++i) {
    names.push_back(HostName(i, false));
  }
  return names;
}

void Fill(RouteView* view, ViewFeed* feed, size_t* rows) {
  v1::FollowResponse response;
  for (bool more = true; more; response.Clear()) {
    more = feed->Next(10'000, response.mutable_rows());
    const std::string bytes = response.SerializeAsString();
    v1::FollowResponse received;
    received.ParseFromString(bytes);
    *rows += static_cast<size_t>(received.rows_size());
    for (const v1::Row& row : received.rows()) {
      if (!view->Apply(row).ok()) std::_Exit(1);
    }
  }
  feed->End();
}

// The whole image as a client has it; made once for each number of partitions.
const RouteView& ViewOf(const Image& image) {
  static std::map<size_t, RouteView> views;
  const auto [at, made] =
      views.try_emplace(image.table(federation::Table::kPartitions).size());
  if (made) {
    ChangeLog log;
    ViewFeed feed({}, &log);
    feed.Begin(std::make_shared<const Image>(image), {}, 0);
    size_t rows = 0;
    Fill(&at->second, &feed, &rows);
  }
  return at->second;
}

// 1,000 hosts leave and come back; timed is what the node and the follower do
// with the rows that changed.
void Follow(benchmark::State& state) {
  constexpr uint32_t kChanged = 1'000;
  const uint32_t hosts = 1'000'000;
  Image image = ImageOf(hosts, static_cast<uint32_t>(state.range(0)));
  ChangeLog log;
  ViewFeed feed({}, &log);
  RouteView view = ViewOf(image);
  size_t rows = 0;
  uint32_t from = 0;
  for (auto _ : state) {
    state.PauseTiming();
    const Position have = image.position();
    const std::vector<std::string> names = Names(from, kChanged);
    std::vector<ChangedRow> changes;
    Commit(
        &image,
        [&](Draft* draft) {
          return federation::PlanRemoveHosts(names, false, draft);
        },
        &changes);
    log.Append(image.head().index, std::move(changes));
    std::vector<v1::HostSpec> specs;
    for (uint32_t i = 0; i < kChanged; ++i) {
      specs.push_back(HostOf(names[i], from + i));
    }
    Commit(
        &image,
        [&](Draft* draft) {
          return federation::PlanAddHosts(specs, false, draft);
        },
        &changes);
    log.Append(image.head().index, std::move(changes));
    from = (from + kChanged) % hosts;
    const auto published = std::make_shared<const Image>(image);
    RouteView next = view;
    state.ResumeTiming();
    feed.Begin(published, have, 7);
    if (feed.full()) std::_Exit(1);
    Fill(&next, &feed, &rows);
    state.PauseTiming();
    view = next;
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<int64_t>(rows));
  state.counters["rows"] =
      static_cast<double>(rows) / static_cast<double>(state.iterations());
}

BENCHMARK(Bind)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->Iterations(5000);
BENCHMARK(BindMany)->Arg(100'000)->Arg(1'000'000)->Iterations(50);
BENCHMARK(Follow)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->Iterations(50);

}  // namespace
}  // namespace kafed::bench

BENCHMARK_MAIN();
