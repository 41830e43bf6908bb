// Plain Kafka clients for tests: what is in a partition, and writing to one.
#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>
#include <string>
#include <vector>

#include "client/message.h"

namespace kafed::client {

struct KafkaMessage {
  std::string key;
  std::string payload;
  std::vector<Header> headers;
  KafkaHeader header;  // the `kafed` one, if there is one
  int64_t offset = 0;
};

// Reads a partition from its start until `count` messages are there, and then
// to its end. Fewer after 30 s.
std::vector<KafkaMessage> ReadPartition(const std::string& bootstrap,
                                        const std::string& topic, int partition,
                                        size_t count);

// Writes one message, as any program might, and waits for it. The offset, or
// -1.
int64_t WriteMessage(const std::string& bootstrap, const std::string& topic,
                     int partition, const std::string& key,
                     const std::string& payload, const std::string& header);

}  // namespace kafed::client
