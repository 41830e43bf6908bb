// The demo's ledgers: what each process writes down, a line an event.
//
//   sent.<producer>.tsv    sequence, key, time_ns         accepted Produce
//   calls failed.<producer>.tsv  sequence, error                reported as
//   failed route.<producer>.tsv   microseconds                   one unary
//   Route call got.<reader>.tsv       agent, producer, sequence, key, in order
//   of arrival members.tsv            vpc, host, started_ns, acknowledged_ns
//   placement.tsv          host, sub-cluster, Kafka topic, Kafka partition
//   clusters.tsv           sub-cluster, bootstrap servers
//
// The payload of every message names itself:
//   <producer> <sequence> <key> <time_ns> <padding>
// with sequence 1, 2, 3 ... of the producer, without gaps.
#pragma once

#include <cstdint>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/synchronization/mutex.h"

namespace kafed::demo {

struct Payload {
  std::string producer;
  uint64_t sequence = 0;
  std::string key;
  uint64_t time_ns = 0;
};

std::string EncodePayload(const Payload& payload, size_t padding);
std::optional<Payload> DecodePayload(std::string_view bytes);

uint64_t NowNs();

// Appends lines; thread-safe; flushed when closed.
class LedgerWriter {
 public:
  LedgerWriter(const std::string& folder, const std::string& name);
  void Add(std::initializer_list<std::string_view> fields);
  void Flush();

 private:
  absl::Mutex mutex_;
  std::ofstream file_ ABSL_GUARDED_BY(mutex_);
};

// The lines of a ledger, split; empty if there is no such file.
std::vector<std::vector<std::string>> ReadLedger(const std::string& path);
// Paths of the ledgers whose name begins with `prefix`, sorted.
std::vector<std::string> FindLedgers(const std::string& folder,
                                     const std::string& prefix);

}  // namespace kafed::demo
