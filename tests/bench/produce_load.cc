// produce_load: messages to Apache Kafka, by the Producer or by librdkafka
// alone with the partitions that the Producer would choose.
//
//   produce_load kafed|raw|header SERVER HOSTS MESSAGES RATE
//
// `header` is librdkafka with a header of the size that the Producer adds.
// RATE 0: as fast as it goes; else messages a second, evenly. The hosts are
// host-000000 ... Before the clock starts, three messages go to each host: the
// brokers are connected by then. Prints one JSON line: "per_second" from the
// first call to the last report, and "p50_us", "p99_us" from each call to its
// report.
#include <librdkafka/rdkafka.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "client/producer.h"
#include "client/rpc/grpc_connection.h"
#include "common/kafka_header.h"
#include "tests/bench/fleet_model.h"
#include "tests/bench/message_load.h"

namespace kafed::bench {
namespace {

constexpr size_t kPayloadBytes = 200;
constexpr milliseconds kTimeout{120'000};
constexpr char kLingerMs[] = "5";
// Messages to each host that are not measured.
constexpr size_t kWarmUp = 3;

void RunKafed(const std::string& server, uint32_t hosts, size_t messages,
              double rate, Times* times) {
  client::ProducerOptions options;
  options.mirror.nodes = {server};
  options.name = "bench";
  auto producer = client::Producer::Create(options);
  if (!producer.ok()) Die(producer.status().ToString());
  std::vector<std::string> keys;
  for (uint32_t i = 0; i < hosts; ++i) {
    keys.push_back("nca/" + HostName(i, false));
  }
  const std::string payload(kPayloadBytes, 'x');
  const auto send = [&](size_t i, const client::DeliveryCallback& report) {
    absl::Status status =
        (*producer)->Produce(keys[i % hosts], payload, {}, report);
    while (absl::IsResourceExhausted(status)) {
      std::this_thread::sleep_for(kFullPause);
      status = (*producer)->Produce(keys[i % hosts], payload, {}, report);
    }
    if (!status.ok()) Die(status.ToString());
  };
  const auto flush = [&] {
    const absl::Status flushed = (*producer)->Flush(kTimeout);
    if (!flushed.ok()) Die(flushed.ToString());
  };
  for (size_t i = 0; i < hosts * kWarmUp; ++i) send(i, nullptr);
  flush();
  Pace(messages, rate, [&](size_t i) {
    times->Sent(i);
    send(i, [times, i](const client::DeliveryReport& done) {
      if (!done.status.ok()) Die(done.status.ToString());
      times->Reported(i);
    });
  });
  flush();
  times->Print();
  (*producer)->Close(kTimeout).IgnoreError();
}

struct Place {
  rd_kafka_topic_t* topic = nullptr;
  int32_t partition = 0;
};

void Set(rd_kafka_conf_t* conf, const char* name, const std::string& value) {
  char error[256];
  if (rd_kafka_conf_set(conf, name, value.c_str(), error, sizeof(error)) !=
      RD_KAFKA_CONF_OK) {
    Die(error);
  }
}

// The route view once, for brokers and partitions.
std::shared_ptr<const federation::RouteView> ViewOf(const std::string& server) {
  client::MirrorOptions options;
  options.nodes = {server};
  options.connector = client::GrpcConnector();
  auto mirror = client::Mirror::Create(options);
  if (!mirror.ok()) Die(mirror.status().ToString());
  const absl::Status ready = (*mirror)->WaitReady(kTimeout);
  if (!ready.ok()) Die(ready.ToString());
  return (*mirror)->view();
}

rd_kafka_t* MakeKafka(const federation::RouteView& view, Times* times) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  Set(conf, "bootstrap.servers",
      view.sub_clusters().front()->bootstrap_servers());
  Set(conf, "enable.idempotence", "true");
  Set(conf, "acks", "all");
  Set(conf, "linger.ms", kLingerMs);
  Set(conf, "message.timeout.ms", "30000");
  Set(conf, "queue.buffering.max.messages", "10000000");
  Set(conf, "queue.buffering.max.kbytes", "65536");
  rd_kafka_conf_set_opaque(conf, times);
  rd_kafka_conf_set_dr_msg_cb(
      conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
          Die(rd_kafka_err2str(message->err));
        }
        if (message->_private == nullptr) return;  // of the warm-up
        static_cast<Times*>(opaque)->Reported(
            reinterpret_cast<size_t>(message->_private) - 1);
      });
  char error[256];
  rd_kafka_t* kafka =
      rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
  if (kafka == nullptr) Die(error);
  return kafka;
}

// As rd_kafka_produce, with a header; the error, or 0.
rd_kafka_resp_err_t SendWithHeader(rd_kafka_t* kafka, const Place& place,
                                   const std::string& key,
                                   const std::string& payload, void* number) {
  static const std::string header(kKafkaHeaderBytes, 'h');
  return rd_kafka_producev(
      kafka, RD_KAFKA_V_RKT(place.topic), RD_KAFKA_V_PARTITION(place.partition),
      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_VALUE(const_cast<char*>(payload.data()), payload.size()),
      RD_KAFKA_V_KEY(key.data(), key.size()),
      RD_KAFKA_V_HEADER(kKafkaHeaderName, header.data(),
                        static_cast<ssize_t>(header.size())),
      RD_KAFKA_V_OPAQUE(number), RD_KAFKA_V_END);
}

rd_kafka_resp_err_t SendBare(rd_kafka_t*, const Place& place,
                             const std::string& key, const std::string& payload,
                             void* number) {
  const int failed =
      rd_kafka_produce(place.topic, place.partition, RD_KAFKA_MSG_F_COPY,
                       const_cast<char*>(payload.data()), payload.size(),
                       key.data(), key.size(), number);
  return failed == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error();
}

void RunRaw(bool with_header, const std::string& server, uint32_t hosts,
            size_t messages, double rate, Times* times) {
  const auto view = ViewOf(server);
  rd_kafka_t* kafka = MakeKafka(*view, times);
  std::map<std::string, rd_kafka_topic_t*> topics;
  std::vector<Place> places;
  std::vector<std::string> keys;
  for (uint32_t i = 0; i < hosts; ++i) {
    keys.push_back(HostName(i, false));
    const auto targets = view->Route("nca/" + keys.back());
    if (!targets.ok()) Die(targets.status().ToString());
    const federation::Segment& segment = targets->front().segment;
    const std::string name = view->kafka_topic(segment.kafka_topic)->name();
    rd_kafka_topic_t*& topic = topics[name];
    if (topic == nullptr) topic = rd_kafka_topic_new(kafka, name.c_str(), {});
    places.push_back({topic, static_cast<int32_t>(segment.kafka_partition)});
  }
  std::atomic<bool> stopping{false};
  std::thread poller([&] {
    while (!stopping) rd_kafka_poll(kafka, 100);
  });
  const std::string payload(kPayloadBytes, 'x');
  const auto send = [&](size_t i, void* number) {
    const Place& place = places[i % hosts];
    const std::string& key = keys[i % hosts];
    while (true) {
      const rd_kafka_resp_err_t error =
          with_header ? SendWithHeader(kafka, place, key, payload, number)
                      : SendBare(kafka, place, key, payload, number);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        Die(rd_kafka_err2str(error));
      }
      std::this_thread::sleep_for(kFullPause);
    }
  };
  for (size_t i = 0; i < hosts * kWarmUp; ++i) send(i, nullptr);
  rd_kafka_flush(kafka, static_cast<int>(kTimeout.count()));
  Pace(messages, rate, [&](size_t i) {
    times->Sent(i);
    send(i, reinterpret_cast<void*>(i + 1));
  });
  while (times->reported() < messages) {
    std::this_thread::sleep_for(kFullPause);
  }
  times->Print();
  stopping = true;
  poller.join();
  for (const auto& [name, topic] : topics) rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(kafka);
}

int Main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr,
                 "usage: produce_load kafed|raw|header SERVER HOSTS MESSAGES "
                 "RATE\n");
    return 2;
  }
  const auto hosts = static_cast<uint32_t>(std::atoi(argv[3]));
  const auto messages = static_cast<size_t>(std::atol(argv[4]));
  Times times(messages);
  const std::string kind = argv[1];
  const double rate = std::atof(argv[5]);
  if (kind == "kafed") {
    RunKafed(argv[2], hosts, messages, rate, &times);
  } else {
    RunRaw(kind == "header", argv[2], hosts, messages, rate, &times);
  }
  return 0;
}

}  // namespace
}  // namespace kafed::bench

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return kafed::bench::Main(argc, argv);
}
