// redis_load: what Redis does with the table that kafed holds: host -> route.
//
//   redis_load set  PORT HOSTS DEPTH CLIENTS   stores them, in order
//   redis_load get  PORT HOSTS DEPTH CLIENTS   random ones, DEPTH in a pipeline
//   redis_load mget PORT HOSTS KEYS  CLIENTS   random ones, KEYS in a command
//
// Each client is a connection and a thread. Reading takes some two seconds.
// Prints one JSON line with "per_second", in keys.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/fleet_model.h"
#include "tests/bench/redis_client.h"

namespace kafed::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

std::string KeyOf(uint32_t host) { return "nca/" + HostName(host, false); }

// Sub-cluster, Kafka topic, Kafka partition and epoch, as short as people do.
std::string ValueOf(uint32_t host) {
  const uint32_t partition = host / 10;
  char text[64];
  std::snprintf(text, sizeof(text), "%u:nca.g1.%u:%u:%u", partition / 10'000,
                partition / 50, partition % 50, 1u);
  return text;
}

double Seconds(SteadyClock::duration time) {
  return std::chrono::duration<double>(time).count();
}

void SetRange(int port, uint32_t from, uint32_t upto, uint32_t depth) {
  RedisClient redis(port);
  for (uint32_t i = from; i < upto;) {
    const uint32_t end = std::min(upto, i + depth);
    for (uint32_t k = i; k < end; ++k) {
      redis.Add({"SET", KeyOf(k), ValueOf(k)});
    }
    redis.Send();
    for (; i < end; ++i) redis.Receive();
  }
}

double Set(int port, uint32_t hosts, uint32_t depth, uint32_t clients) {
  const auto begun = SteadyClock::now();
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < clients; ++i) {
    const auto part = [&](uint64_t n) {
      return static_cast<uint32_t>(hosts * n / clients);
    };
    threads.emplace_back(SetRange, port, part(i), part(i + 1), depth);
  }
  for (std::thread& thread : threads) thread.join();
  return hosts / Seconds(SteadyClock::now() - begun);
}

uint64_t GetUntil(int port, uint32_t hosts, uint32_t depth, bool many,
                  uint64_t seed, SteadyClock::time_point end) {
  RedisClient redis(port);
  std::vector<std::string> keys;
  std::mt19937_64 random(seed);
  for (int i = 0; i < (1 << 16); ++i) {
    keys.push_back(KeyOf(static_cast<uint32_t>(random() % hosts)));
  }
  uint64_t done = 0;
  size_t next = 0;
  std::vector<std::string_view> words;
  while (SteadyClock::now() < end) {
    words.assign(1, "MGET");
    for (uint32_t i = 0; i < depth; ++i) {
      const std::string& key = keys[next++ % keys.size()];
      if (many) {
        words.push_back(key);
      } else {
        redis.Add({"GET", key});
      }
    }
    if (many) redis.Add(words);
    redis.Send();
    for (uint32_t i = 0; i < (many ? 1 : depth); ++i) redis.Receive();
    done += depth;
  }
  return done;
}

double Get(int port, uint32_t hosts, uint32_t depth, uint32_t clients,
           bool many) {
  constexpr auto kTime = std::chrono::milliseconds(2'000);
  const auto end = SteadyClock::now() + kTime;
  std::atomic<uint64_t> done{0};
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < clients; ++i) {
    threads.emplace_back(
        [&, i] { done += GetUntil(port, hosts, depth, many, i, end); });
  }
  for (std::thread& thread : threads) thread.join();
  return static_cast<double>(done) / Seconds(kTime);
}

int Main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr,
                 "usage: redis_load set|get|mget PORT HOSTS DEPTH CLIENTS\n");
    return 2;
  }
  const std::string mode = argv[1];
  const int port = std::atoi(argv[2]);
  const auto hosts = static_cast<uint32_t>(std::atoi(argv[3]));
  const auto depth = static_cast<uint32_t>(std::atoi(argv[4]));
  const auto clients = static_cast<uint32_t>(std::atoi(argv[5]));
  const double rate = mode == "set"
                          ? Set(port, hosts, depth, clients)
                          : Get(port, hosts, depth, clients, mode == "mget");
  std::printf("{\"per_second\": %.1f}\n", rate);
  return 0;
}

}  // namespace
}  // namespace kafed::bench

int main(int argc, char** argv) { return kafed::bench::Main(argc, argv); }
