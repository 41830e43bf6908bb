// subscribe_load: agents that read what a Producer sends them over Kafka.
//
//   subscribe_load SERVER AGENTS MESSAGES RATE FOLDER
//
// The agents are the hosts host-000000 ..., each a Subscriber with consumers
// and a state of its own in FOLDER; they get MESSAGES in turn, RATE a second in
// all. Before the clock starts each has had one. Prints one JSON line: times
// from the Produce call to the agent's handler, which commits.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "client/producer.h"
#include "client/subscriber.h"
#include "tests/bench/fleet_model.h"
#include "tests/bench/message_load.h"

namespace kafed::bench {
namespace {

constexpr size_t kPayloadBytes = 200;
constexpr std::chrono::seconds kPatience{120};

constexpr char kWarmUp[] = "warm-up";

// Of this run, a number, filling: agents that begin anew also meet what former
// runs sent.
std::string PayloadOf(const std::string& what) {
  static const std::string run = std::to_string(getpid()) + " ";
  std::string payload = run + what + " ";
  payload.resize(kPayloadBytes, 'x');
  return payload;
}

void WaitFor(const std::string& what, const auto& done) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) Die("no " + what);
    std::this_thread::sleep_for(kFullPause);
  }
}

struct AgentUnderLoad {
  std::unique_ptr<client::Subscriber> subscriber;
  std::atomic<bool> warm{false};
};

void Run(const std::string& server, uint32_t count, size_t messages,
         double rate, const std::filesystem::path& folder) {
  Times times(messages);
  client::ProducerOptions options;
  options.mirror.nodes = {server};
  options.name = "bench";
  auto producer = client::Producer::Create(options);
  if (!producer.ok()) Die(producer.status().ToString());
  std::vector<AgentUnderLoad> agents(count);
  for (uint32_t i = 0; i < count; ++i) {
    AgentUnderLoad* agent = &agents[i];
    client::SubscriberOptions reading;
    reading.nodes = {server};
    reading.host = HostName(i, false);
    reading.state_dir = folder / reading.host;
    client::SubscriberHandlers handlers;
    handlers.on_message = [agent, &times](const client::Message& message) {
      unsigned long number = 0;
      if (message.payload == PayloadOf(kWarmUp)) {
        agent->warm = true;
      } else if (std::sscanf(message.payload.c_str(), "%*d %lu", &number) ==
                     1 &&
                 message.payload == PayloadOf(std::to_string(number))) {
        times.Reported(number);
        agent->subscriber->Commit(message).IgnoreError();
      }
    };
    auto made = client::Subscriber::Create(reading, handlers);
    if (!made.ok()) Die(made.status().ToString());
    agent->subscriber = *std::move(made);
  }
  const auto send = [&](uint32_t agent, const std::string& payload) {
    const absl::Status status =
        (*producer)->Produce("nca/" + HostName(agent, false), payload, {},
                             [](const client::DeliveryReport& done) {
                               if (!done.status.ok())
                                 Die(done.status.ToString());
                             });
    if (!status.ok()) Die(status.ToString());
  };
  for (uint32_t i = 0; i < count; ++i) send(i, PayloadOf(kWarmUp));
  WaitFor("warm-up", [&] {
    for (const AgentUnderLoad& agent : agents) {
      if (!agent.warm) return false;
    }
    return true;
  });
  Pace(messages, rate, [&](size_t i) {
    times.Sent(i);
    send(static_cast<uint32_t>(i % count), PayloadOf(std::to_string(i)));
  });
  WaitFor("delivery", [&] { return times.reported() == messages; });
  times.Print();
  for (AgentUnderLoad& agent : agents) agent.subscriber->Stop();
  (*producer)->Close(milliseconds(10'000)).IgnoreError();
}

int Main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr,
                 "usage: subscribe_load SERVER AGENTS MESSAGES RATE FOLDER\n");
    return 2;
  }
  Run(argv[1], static_cast<uint32_t>(std::atoi(argv[2])),
      static_cast<size_t>(std::atol(argv[3])), std::atof(argv[4]), argv[5]);
  return 0;
}

}  // namespace
}  // namespace kafed::bench

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return kafed::bench::Main(argc, argv);
}
