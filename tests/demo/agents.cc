// All agents of the demo in one process: real Subscribers for some hosts, the
// workers of the resource topic, and a shared reader for each sub-cluster.
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "absl/synchronization/notification.h"
#include "client/mirror.h"
#include "client/rpc/grpc_connection.h"
#include "client/subscriber.h"
#include "tests/demo/commands.h"
#include "tests/demo/ledger.h"
#include "tests/demo/plain_consumer.h"
#include "tests/demo/shared_reader.h"

namespace kafed::demo {
namespace {

using federation::RouteView;
using federation::SubClusterId;
using federation::Target;
using SteadyClock = std::chrono::steady_clock;

// What is left is read until nothing came for this long and the workers have
// committed everything: after a failed rebalance, the embedded Kafka's group
// coordinator hands out no partition for nine seconds.
constexpr auto kQuiet = std::chrono::seconds(3);
constexpr auto kLongest = std::chrono::seconds(60);
constexpr char kResourceTopic[] = "elb";
constexpr char kGroup[] = "elb-workers";

std::atomic<uint64_t> delivered{0};
std::atomic<bool> stopping{false};

// Where every host is, by sub-cluster.
struct Placement {
  std::map<std::string, std::set<std::string>> hosts;
  std::map<std::string, std::string> bootstrap;
};

std::string NameOf(const RouteView& view, SubClusterId id) {
  const v1::SubClusterRow* row = view.sub_cluster(id);
  return row == nullptr ? "" : row->name();
}

// Every physical place of a topic, by sub-cluster.
void AddPlaces(const RouteView& view, const std::string& topic,
               std::map<std::string, std::set<Place>>* places) {
  const federation::TopicId id = view.FindTopic(topic);
  for (const federation::PartitionNumber number : view.PartitionsOf(id)) {
    Target target;
    if (!view.Resolve(id, number, &target) || !target.ready) continue;
    const auto kafka_topic = view.kafka_topic(target.segment.kafka_topic);
    (*places)[NameOf(view, target.segment.sub_cluster)].emplace(
        kafka_topic->name(),
        static_cast<int32_t>(target.segment.kafka_partition));
  }
}

// Writes down where each host is bound, for the checker.
Placement WritePlacement(const RouteView& view, const std::string& folder) {
  Placement placement;
  LedgerWriter file(folder, "placement.tsv");
  const federation::TopicId nca = view.FindTopic("nca");
  view.ForEachRow([&](const v1::Row& row) {
    if (!row.has_key() || row.key().topic_id() != nca.value()) return;
    Target target;
    if (!view.RouteOne(nca, row.key().key(), &target)) return;
    const std::string name = NameOf(view, target.segment.sub_cluster);
    placement.hosts[name].insert(row.key().key());
    file.Add({row.key().key(), name,
              view.kafka_topic(target.segment.kafka_topic)->name(),
              std::to_string(target.segment.kafka_partition)});
  });
  for (const v1::SubClusterRow* row : view.sub_clusters()) {
    placement.bootstrap[row->name()] = row->bootstrap_servers();
  }
  return placement;
}

// One thread a sub-cluster: reads nca, vpc and orders for the hosts there.
class ReaderThread {
 public:
  ReaderThread(std::string name, const Placement& placement,
               const std::set<std::string>& real, const client::Mirror* mirror,
               const std::string& folder)
      : name_(std::move(name)),
        mirror_(*mirror),
        bootstrap_(placement.bootstrap.at(name_)),
        got_(folder, "got." + name_ + ".tsv"),
        reader_(&hosts_, &got_) {
    const auto at = placement.hosts.find(name_);
    if (at != placement.hosts.end()) {
      for (const std::string& host : at->second) {
        if (!real.contains(host)) hosts_.insert(host);
      }
    }
    thread_ = std::thread([this] { Run(); });
  }
  ~ReaderThread() {
    thread_.join();
    got_.Flush();
  }
  bool failed() const { return failed_; }

 private:
  void Run() {
    auto consumer = PlainConsumer::Create(bootstrap_);
    if (!consumer.ok()) return Fail(consumer.status());
    auto look = SteadyClock::now();
    PlainMessage message;
    while (!stopping) {
      if (SteadyClock::now() >= look) {
        const absl::Status added = AddNewPlaces(consumer->get());
        if (!added.ok()) return Fail(added);
        look = SteadyClock::now() + std::chrono::milliseconds(200);
      }
      const auto polled = (*consumer)->Poll(50, &message);
      if (!polled.ok()) return Fail(polled.status());
      if (*polled) Take(message);
    }
  }

  absl::Status AddNewPlaces(PlainConsumer* consumer) {
    std::map<std::string, std::set<Place>> places;
    const auto view = mirror_.view();
    for (const char* topic : {"nca", "vpc", "orders"}) {
      AddPlaces(*view, topic, &places);
    }
    return consumer->Add({places[name_].begin(), places[name_].end()});
  }

  void Take(const PlainMessage& message) {
    const uint64_t before = reader_.delivered();
    if (message.kafka_topic.rfind("nca.", 0) == 0) {
      reader_.TakeUnicast(message);
    } else if (message.kafka_topic.rfind("vpc.", 0) == 0) {
      reader_.TakeMulticast(message);
    } else {
      reader_.TakeHashed(message);
    }
    delivered += reader_.delivered() - before;
  }

  void Fail(const absl::Status& status) {
    std::fprintf(stderr, "reader of %s: %s\n", name_.c_str(),
                 status.ToString().c_str());
    failed_ = true;
  }

  const std::string name_;
  const client::Mirror& mirror_;
  const std::string bootstrap_;
  std::set<std::string> hosts_;
  LedgerWriter got_;
  SharedReader reader_;
  std::atomic<bool> failed_{false};
  std::thread thread_;
};

// A Subscriber that writes down what it gets.
class RealAgent {
 public:
  // The agent of a host; null, with a word on stderr, if it can't start.
  static std::unique_ptr<RealAgent> OfHost(const AgentOptions& options,
                                           const std::string& host) {
    client::SubscriberOptions subscriber;
    subscriber.host = host;
    subscriber.state_dir = options.folder + "/state/" + host;
    std::filesystem::create_directories(subscriber.state_dir);
    return Start(options, host, host, false, std::move(subscriber));
  }

  // A worker of the group that reads the resource topic: what a worker has
  // committed counts, whichever worker it was.
  static std::unique_ptr<RealAgent> OfGroup(const AgentOptions& options,
                                            const std::string& worker) {
    client::SubscriberOptions subscriber;
    subscriber.resource_topic = kResourceTopic;
    subscriber.group = kGroup;
    subscriber.worker = worker;
    return Start(options, worker, kResourceTopic, true, std::move(subscriber));
  }

  ~RealAgent() {
    if (subscriber_) subscriber_->Stop();
    got_.Flush();
  }

 private:
  RealAgent(const std::string& folder, const std::string& name)
      : got_(folder, "got." + name + ".tsv") {}

  static std::unique_ptr<RealAgent> Start(
      const AgentOptions& options, const std::string& name,
      const std::string& agent, bool committed_only,
      client::SubscriberOptions subscriber) {
    std::unique_ptr<RealAgent> made(new RealAgent(options.folder, name));
    subscriber.nodes = {options.server};
    client::SubscriberHandlers handlers;
    handlers.on_message = [raw = made.get(), agent,
                           committed_only](const client::Message& message) {
      raw->Take(agent, committed_only, message);
    };
    handlers.on_gap = [name](const std::vector<std::string>& keys) {
      std::fprintf(stderr, "%s: a gap in %s\n", name.c_str(),
                   keys.empty() ? "?" : keys.front().c_str());
    };
    auto created = client::Subscriber::Create(subscriber, handlers);
    if (!created.ok()) {
      std::fprintf(stderr, "%s: %s\n", name.c_str(),
                   created.status().ToString().c_str());
      return nullptr;
    }
    made->subscriber_ = *std::move(created);
    made->created_.Notify();
    const absl::Status ready =
        made->subscriber_->WaitReady(milliseconds(30'000));
    if (!ready.ok()) {
      std::fprintf(stderr, "%s: %s\n", name.c_str(), ready.ToString().c_str());
      return nullptr;
    }
    return made;
  }

  void Take(const std::string& agent, bool committed_only,
            const client::Message& message) {
    created_.WaitForNotification();
    const absl::Status committed = subscriber_->Commit(message);
    if (committed_only && !committed.ok()) return;
    const auto payload = DecodePayload(message.payload);
    if (!payload) return;
    got_.Add({agent, payload->producer, std::to_string(payload->sequence),
              payload->key});
    ++delivered;
  }

  LedgerWriter got_;
  std::unique_ptr<client::Subscriber> subscriber_;
  absl::Notification created_;
};

// All physical places, for the checker; at the end, when all exist.
void WritePlaces(const RouteView& view, const std::string& folder) {
  LedgerWriter file(folder, "places.tsv");
  std::map<std::string, std::set<Place>> places;
  for (const char* topic : {"nca", "vpc", "elb", "orders"}) {
    AddPlaces(view, topic, &places);
  }
  for (const auto& [cluster, each] : places) {
    for (const auto& [kafka_topic, partition] : each) {
      file.Add({cluster, kafka_topic, std::to_string(partition)});
    }
  }
}

bool WorkersAreAtEnd(const RouteView& view) {
  std::map<std::string, std::set<Place>> places;
  AddPlaces(view, kResourceTopic, &places);
  for (const v1::SubClusterRow* row : view.sub_clusters()) {
    auto consumer = PlainConsumer::Create(row->bootstrap_servers(), kGroup);
    if (!consumer.ok() || !(*consumer)->GroupIsAtEnd(places[row->name()])) {
      return false;
    }
  }
  return true;
}

void AwaitQuiet(const RouteView& view) {
  const auto begun = SteadyClock::now();
  auto changed = begun;
  uint64_t last = delivered;
  while (SteadyClock::now() - begun < kLongest) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (delivered != last) {
      last = delivered;
      changed = SteadyClock::now();
    }
    if (SteadyClock::now() - changed >= kQuiet && WorkersAreAtEnd(view)) return;
  }
}

}  // namespace

int RunAgents(const AgentOptions& options) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  client::MirrorOptions mirror_options;
  mirror_options.nodes = {options.server};
  mirror_options.connector = client::GrpcConnector();
  auto mirror = client::Mirror::Create(mirror_options);
  const absl::Status ready = mirror.ok()
                                 ? (*mirror)->WaitReady(milliseconds(20'000))
                                 : mirror.status();
  if (!ready.ok()) {
    std::fprintf(stderr, "agents: no view of %s: %s\n", options.server.c_str(),
                 ready.ToString().c_str());
    return 1;
  }
  const Placement placement =
      WritePlacement(*(*mirror)->view(), options.folder);
  const std::set<std::string> real(options.real.begin(), options.real.end());
  bool failed = false;
  {
    std::vector<std::unique_ptr<RealAgent>> agents;
    for (const std::string& host : real) {
      agents.push_back(RealAgent::OfHost(options, host));
      failed = failed || agents.back() == nullptr;
    }
    for (int i = 0; i < options.workers; ++i) {
      agents.push_back(
          RealAgent::OfGroup(options, "worker-" + std::to_string(i)));
      failed = failed || agents.back() == nullptr;
    }
    std::vector<std::unique_ptr<ReaderThread>> readers;
    for (const auto& [name, bootstrap] : placement.bootstrap) {
      readers.push_back(std::make_unique<ReaderThread>(
          name, placement, real, mirror->get(), options.folder));
    }
    if (!failed) {
      std::puts("ready");
      std::fflush(stdout);
      int signal = 0;
      sigwait(&signals, &signal);
      AwaitQuiet(*(*mirror)->view());
      WritePlaces(*(*mirror)->view(), options.folder);
    }
    stopping = true;
    for (const auto& reader : readers) failed = failed || reader->failed();
  }
  return failed ? 1 : 0;
}

}  // namespace kafed::demo
