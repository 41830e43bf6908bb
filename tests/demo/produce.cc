// One producer of the demo: sends to hosts, VPCs, resources and orders, and now
// and then asks a node for a route to see how long that takes.
#include <grpcpp/grpcpp.h>
#include <librdkafka/rdkafka.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <map>
#include <random>
#include <thread>

#include "client/producer.h"
#include "common/kafka_header.h"
#include "kafed/v1/routing.grpc.pb.h"
#include "tests/demo/commands.h"
#include "tests/demo/ledger.h"

namespace kafed::demo {
namespace {

using SteadyClock = std::chrono::steady_clock;

std::vector<std::string> ReadKeys(const std::string& path) {
  std::vector<std::string> keys;
  for (const auto& line : ReadLedger(path)) keys.push_back(line.at(0));
  return keys;
}

// Measures unary Route calls, a hundred a second.
class RouteProbe {
 public:
  RouteProbe(const ProduceOptions& options, std::vector<std::string> keys)
      : keys_(std::move(keys)),
        times_(options.folder, "route." + options.name + ".tsv"),
        stub_(v1::Routing::NewStub(grpc::CreateChannel(
            options.server, grpc::InsecureChannelCredentials()))),
        thread_([this] { Loop(); }) {}
  ~RouteProbe() {
    stopping_ = true;
    thread_.join();
  }

 private:
  void Loop() {
    for (size_t i = 0; !stopping_; ++i) {
      grpc::ClientContext context;
      v1::RouteRequest request;
      v1::RouteResponse response;
      request.add_keys(keys_[i % keys_.size()]);
      const auto begun = SteadyClock::now();
      const grpc::Status status = stub_->Route(&context, request, &response);
      const auto took = SteadyClock::now() - begun;
      if (status.ok()) {
        times_.Add({std::to_string(
            std::chrono::duration_cast<std::chrono::microseconds>(took)
                .count())});
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  const std::vector<std::string> keys_;
  LedgerWriter times_;
  std::unique_ptr<v1::Routing::Stub> stub_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// Writes copies of messages that were delivered, with their own headers, as a
// producer does that retries after a lost answer: agents must drop them.
class Repeater {
 public:
  explicit Repeater(int wanted) : left_(wanted) {}

  void Offer(const client::DeliveryReport& report, const std::string& value) {
    if (report.targets.empty() || left_.fetch_sub(1) <= 0) return;
    absl::MutexLock lock(&mutex_);
    reports_.emplace_back(report, value);
  }

  // Returns how many could not be written.
  int WriteAll(const federation::RouteView& view) {
    absl::MutexLock lock(&mutex_);
    int failed = 0;
    for (const auto& [report, value] : reports_) {
      for (const client::DeliveredTo& target : report.targets) {
        failed += WriteOne(view, report, target, value) ? 0 : 1;
      }
    }
    return failed;
  }

 private:
  bool WriteOne(const federation::RouteView& view,
                const client::DeliveryReport& report,
                const client::DeliveredTo& target, const std::string& value) {
    const v1::SubClusterRow* row =
        view.sub_cluster(federation::SubClusterId(target.sub_cluster_id));
    if (row == nullptr) return false;
    char error[512];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers",
                      row->bootstrap_servers().c_str(), error, sizeof error);
    rd_kafka_t* handle =
        rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    if (handle == nullptr) return false;
    KafkaHeader header;
    header.epoch = target.epoch;
    header.source = report.source;
    header.sequence = report.sequence;
    const std::string bytes = EncodeKafkaHeader(header);
    const std::string id = report.key.substr(report.key.find('/') + 1);
    const rd_kafka_resp_err_t sent = rd_kafka_producev(
        handle, RD_KAFKA_V_TOPIC(target.kafka_topic.c_str()),
        RD_KAFKA_V_PARTITION(static_cast<int32_t>(target.kafka_partition)),
        RD_KAFKA_V_KEY(id.data(), id.size()),
        RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
        RD_KAFKA_V_HEADER(kKafkaHeaderName, bytes.data(), bytes.size()),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    const bool flushed =
        rd_kafka_flush(handle, 10'000) == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_destroy(handle);
    return sent == RD_KAFKA_RESP_ERR_NO_ERROR && flushed;
  }

  std::atomic<int> left_;
  absl::Mutex mutex_;
  std::vector<std::pair<client::DeliveryReport, std::string>> reports_
      ABSL_GUARDED_BY(mutex_);
};

// Draws keys: mostly hosts, some VPCs, resources and orders.
class KeyDraw {
 public:
  KeyDraw(const std::string& folder, const std::string& seed)
      : hosts_(ReadKeys(folder + "/keys.nca.tsv")),
        vpcs_(ReadKeys(folder + "/keys.vpc.tsv")),
        resources_(ReadKeys(folder + "/keys.elb.tsv")),
        random_(std::hash<std::string>()(seed)) {}
  const std::vector<std::string>& hosts() const { return hosts_; }

  std::string Next() {
    const uint64_t roll = random_() % 100;
    if (roll < 70 || vpcs_.empty()) return hosts_[random_() % hosts_.size()];
    if (roll < 80) return vpcs_[random_() % vpcs_.size()];
    if (roll < 90 && !resources_.empty()) {
      return resources_[random_() % resources_.size()];
    }
    return "orders/" + std::to_string(random_() % 500);
  }

 private:
  const std::vector<std::string> hosts_;
  const std::vector<std::string> vpcs_;
  const std::vector<std::string> resources_;
  std::mt19937_64 random_;
};

}  // namespace

int Produce(const ProduceOptions& options) {
  client::ProducerOptions producer_options;
  producer_options.mirror.nodes = {options.server};
  producer_options.name = options.name;
  auto producer = client::Producer::Create(producer_options);
  if (!producer.ok()) {
    std::fprintf(stderr, "%s: %s\n", options.name.c_str(),
                 producer.status().ToString().c_str());
    return 1;
  }
  LedgerWriter sent(options.folder, "sent." + options.name + ".tsv");
  LedgerWriter failed(options.folder, "failed." + options.name + ".tsv");
  KeyDraw keys(options.folder, options.name);
  Repeater repeater(options.repeats);
  std::atomic<uint64_t> failures{0};
  {
    const RouteProbe probe(options, keys.hosts());
    const auto begun = SteadyClock::now();
    const auto total = static_cast<uint64_t>(options.seconds * options.rate);
    for (uint64_t sequence = 1; sequence <= total;) {
      const Payload payload{options.name, sequence, keys.Next(), NowNs()};
      const std::string value =
          EncodePayload(payload, static_cast<size_t>(options.padding));
      const absl::Status accepted = (*producer)->Produce(
          payload.key, value, {}, [&, value](const auto& report) {
            if (report.status.ok()) {
              repeater.Offer(report, value);
              return;
            }
            ++failures;
            failed.Add({report.key, report.status.ToString()});
          });
      if (accepted.ok()) {
        sent.Add({std::to_string(sequence), payload.key,
                  std::to_string(payload.time_ns)});
        ++sequence;
      } else {
        failed.Add({payload.key, accepted.ToString()});
        ++failures;
      }
      std::this_thread::sleep_until(
          begun + std::chrono::duration_cast<SteadyClock::duration>(
                      std::chrono::duration<double>(
                          static_cast<double>(sequence) / options.rate)));
    }
  }
  const absl::Status flushed = (*producer)->Flush(milliseconds(30'000));
  const int unrepeated = repeater.WriteAll(*(*producer)->mirror().view());
  const absl::Status closed = (*producer)->Close(milliseconds(10'000));
  if (!flushed.ok() || !closed.ok() || failures > 0 || unrepeated > 0) {
    std::fprintf(stderr,
                 "%s: %lu failures, %d repeats not written, flush: %s, close: "
                 "%s\n",
                 options.name.c_str(), failures.load(), unrepeated,
                 flushed.ToString().c_str(), closed.ToString().c_str());
    return 1;
  }
  return 0;
}

}  // namespace kafed::demo
