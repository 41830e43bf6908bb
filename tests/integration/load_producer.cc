// load_producer: sends numbered messages to keys at a steady rate until SIGTERM
// or, unless it is to go on, the first refusal; writes down what became of
// each.
//
// The payload is "<name> <key> <number> <padding>"; numbers of a key are 1, 2,
// 3 ... without gaps. Lines of the ledger <folder>/<name>.tsv:
//   ack     time_ns  key  number  sub-cluster ids, with commas
//   fail    time_ns  key  number  error     a report with an error
//   refuse  time_ns  key  number  error     Produce refused it; without
//                                           --go-on the last one
//   end     time_ns  -    count   flush     after SIGTERM and the flush
// Exit 0: SIGTERM, and nothing failed or was refused.
#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "client/producer.h"
#include "tests/demo/ledger.h"

namespace kafed::tests {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFlushPeriod{20};
constexpr milliseconds kCloseTimeout{60'000};

std::atomic<bool> g_stopping{false};

struct LoadOptions {
  std::string server;
  std::string folder;
  std::string name;
  std::string keys;  // file with a key a line
  double rate = 500;
  bool go_on = false;
  size_t sub_cluster_buffer_bytes =
      client::ProducerOptions().sub_cluster_buffer_bytes;
  int padding = 100;
};

// Makes what was written down visible soon, for who follows the ledger.
class Flusher {
 public:
  explicit Flusher(demo::LedgerWriter* ledger)
      : thread_([this, ledger] {
          while (!stopping_) {
            ledger->Flush();
            std::this_thread::sleep_for(kFlushPeriod);
          }
          ledger->Flush();
        }) {}
  ~Flusher() {
    stopping_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

class Load {
 public:
  Load(const LoadOptions& options, client::Producer* producer)
      : options_(options),
        producer_(producer),
        ledger_(options.folder, options.name + ".tsv"),
        random_(std::hash<std::string>()(options.name)) {
    for (const auto& line : demo::ReadLedger(options.keys)) {
      keys_.push_back(line.at(0));
    }
  }

  int Run() {
    const Flusher flusher(&ledger_);
    const auto begun = SteadyClock::now();
    bool refused = false;
    for (uint64_t sent = 0; !g_stopping && !refused; ++sent) {
      refused = !SendOne(keys_[random_() % keys_.size()]) && !options_.go_on;
      std::this_thread::sleep_until(
          begun + std::chrono::duration_cast<SteadyClock::duration>(
                      std::chrono::duration<double>(static_cast<double>(sent) /
                                                    options_.rate)));
    }
    const absl::Status closed = producer_->Close(kCloseTimeout);
    Write("end", "-", acknowledged_, closed.ToString());
    return !refused && closed.ok() && failed_ == 0 ? 0 : 1;
  }

 private:
  void Write(std::string_view kind, const std::string& key, uint64_t number,
             const std::string& text) {
    ledger_.Add({kind, std::to_string(demo::NowNs()), key,
                 std::to_string(number), text});
  }

  bool SendOne(const std::string& key) {
    const uint64_t number = ++numbers_[key];
    const std::string payload = options_.name + " " + key + " " +
                                std::to_string(number) + " " +
                                std::string(options_.padding, '.');
    const absl::Status status = producer_->Produce(
        key, payload, {},
        [this, number](const auto& report) { Take(report, number); });
    if (status.ok()) return true;
    Write("refuse", key, number, status.ToString());
    return false;
  }

  void Take(const client::DeliveryReport& report, uint64_t number) {
    if (!report.status.ok()) {
      ++failed_;
      Write("fail", report.key, number, report.status.ToString());
      return;
    }
    ++acknowledged_;
    std::string homes;
    for (const client::DeliveredTo& target : report.targets) {
      if (!homes.empty()) homes += ',';
      homes += std::to_string(target.sub_cluster_id);
    }
    Write("ack", report.key, number, homes);
  }

  const LoadOptions options_;
  client::Producer* const producer_;
  demo::LedgerWriter ledger_;
  std::mt19937_64 random_;
  std::vector<std::string> keys_;
  std::unordered_map<std::string, uint64_t> numbers_;
  std::atomic<uint64_t> acknowledged_{0};
  std::atomic<uint64_t> failed_{0};
};

int Main(const LoadOptions& options) {
  client::ProducerOptions producer_options;
  producer_options.mirror.nodes = {options.server};
  producer_options.name = options.name;
  producer_options.sub_cluster_buffer_bytes = options.sub_cluster_buffer_bytes;
  auto producer = client::Producer::Create(producer_options);
  if (!producer.ok()) {
    std::fprintf(stderr, "%s: %s\n", options.name.c_str(),
                 producer.status().ToString().c_str());
    return 1;
  }
  Load load(options, producer->get());
  return load.Run();
}

}  // namespace
}  // namespace kafed::tests

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  CLI::App app{"Numbered messages at a steady rate until SIGTERM"};
  kafed::tests::LoadOptions options;
  app.add_option("--server", options.server)->required();
  app.add_option("--folder", options.folder)->required();
  app.add_option("--name", options.name)->required();
  app.add_option("--keys", options.keys)->required();
  app.add_option("--rate", options.rate);
  app.add_option("--padding", options.padding);
  app.add_flag("--go-on", options.go_on);
  app.add_option("--sub-cluster-buffer-bytes",
                 options.sub_cluster_buffer_bytes);
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGTERM, [](int) { kafed::tests::g_stopping = true; });
  return kafed::tests::Main(options);
}
