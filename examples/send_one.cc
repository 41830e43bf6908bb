// Sends one message to a key and says where it went.
//
//   send_one 127.0.0.1:7420 nca/host-17 'hello'
#include <chrono>
#include <iostream>

#include "client/producer.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: send_one HOST:PORT TOPIC/ID TEXT\n";
    return 2;
  }
  kafed::client::ProducerOptions options;
  options.mirror.nodes = {argv[1]};
  options.name = "send_one";
  auto producer = kafed::client::Producer::Create(options);
  if (!producer.ok()) {
    std::cerr << producer.status() << "\n";
    return 1;
  }
  // The mirror answers from memory; no node is asked.
  const auto& mirror = (*producer)->mirror();
  std::cout << "at position " << kafed::ToString(mirror.position()) << " with "
            << mirror.view()->keys() << " keys\n";
  absl::Status status = (*producer)->Produce(
      argv[2], argv[3], {}, [](const kafed::client::DeliveryReport& report) {
        for (const auto& target : report.targets) {
          std::cout << report.key << " -> " << target.kafka_topic << " ["
                    << target.kafka_partition << "] @ " << target.offset << " "
                    << target.status << "\n";
        }
      });
  if (status.ok()) status = (*producer)->Close(std::chrono::seconds(30));
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
