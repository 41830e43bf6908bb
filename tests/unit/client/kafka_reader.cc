#include "tests/unit/client/kafka_reader.h"

namespace kafed::client {
namespace {

constexpr int kPollMs = 50;
constexpr int kTries = 600;

rd_kafka_t* MakeKafka(rd_kafka_type_t type, const std::string& bootstrap) {
  char error[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  const std::vector<std::pair<const char*, std::string>> settings = {
      {"bootstrap.servers", bootstrap},
      {"group.id", "reader"},
      {"enable.partition.eof", "true"},
      {"linger.ms", "0"}};
  rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
  for (const auto& [key, value] : settings) {
    rd_kafka_conf_set(conf, key, value.c_str(), error, sizeof(error));
  }
  return rd_kafka_new(type, conf, error, sizeof(error));
}

KafkaMessage Convert(const rd_kafka_message_t* raw) {
  KafkaMessage message;
  message.key.assign(static_cast<const char*>(raw->key), raw->key_len);
  message.payload.assign(static_cast<const char*>(raw->payload), raw->len);
  message.offset = raw->offset;
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(raw, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    for (size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
         RD_KAFKA_RESP_ERR_NO_ERROR;
         ++i) {
      message.headers.push_back(
          {name, std::string(static_cast<const char*>(value), size)});
      if (message.headers.back().name == kKafkaHeaderName) {
        message.header = *DecodeKafkaHeader(message.headers.back().value);
      }
    }
  }
  return message;
}

}  // namespace

std::vector<KafkaMessage> ReadPartition(const std::string& bootstrap,
                                        const std::string& topic, int partition,
                                        size_t count) {
  rd_kafka_t* kafka = MakeKafka(RD_KAFKA_CONSUMER, bootstrap);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic.c_str(), partition)->offset = 0;
  rd_kafka_assign(kafka, list);
  rd_kafka_topic_partition_list_destroy(list);
  std::vector<KafkaMessage> messages;
  for (int i = 0; i < kTries; ++i) {
    rd_kafka_message_t* raw = rd_kafka_consumer_poll(kafka, kPollMs);
    if (raw == nullptr) continue;
    const bool end = raw->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    if (raw->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      messages.push_back(Convert(raw));
      i = 0;
    }
    rd_kafka_message_destroy(raw);
    if (end && messages.size() >= count) break;
  }
  rd_kafka_consumer_close(kafka);
  rd_kafka_destroy(kafka);
  return messages;
}

int64_t WriteMessage(const std::string& bootstrap, const std::string& topic,
                     int partition, const std::string& key,
                     const std::string& payload, const std::string& header) {
  rd_kafka_t* kafka = MakeKafka(RD_KAFKA_PRODUCER, bootstrap);
  rd_kafka_queue_t* queue = rd_kafka_queue_get_main(kafka);
  rd_kafka_headers_t* headers = rd_kafka_headers_new(1);
  if (!header.empty()) {
    rd_kafka_header_add(headers, kKafkaHeaderName, -1, header.data(),
                        static_cast<ssize_t>(header.size()));
  }
  int64_t offset = -1;
  rd_kafka_producev(
      kafka, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_KEY(key.data(), key.size()),
      RD_KAFKA_V_VALUE(const_cast<char*>(payload.data()), payload.size()),
      RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(&offset), RD_KAFKA_V_END);
  for (int i = 0; i < kTries && rd_kafka_outq_len(kafka) > 0; ++i) {
    rd_kafka_event_t* event = rd_kafka_queue_poll(queue, kPollMs);
    if (event == nullptr) continue;
    while (const rd_kafka_message_t* report =
               rd_kafka_event_message_next(event)) {
      if (report->err == RD_KAFKA_RESP_ERR_NO_ERROR) offset = report->offset;
    }
    rd_kafka_event_destroy(event);
  }
  rd_kafka_queue_destroy(queue);
  rd_kafka_destroy(kafka);
  return offset;
}

}  // namespace kafed::client
