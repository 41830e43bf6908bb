// SharedReader: the agents of one sub-cluster that are not run for real.
//
// Reads every partition of the topics on the sub-cluster with one plain
// consumer and applies a Subscriber's rules for each of its hosts: messages of
// the host's key, repeats dropped by (source, key, sequence), a VPC joined and
// left by the in-band control messages, from the offset these name. It writes
// down what each agent gets.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/kafka_header.h"
#include "tests/demo/ledger.h"
#include "tests/demo/plain_consumer.h"

namespace kafed::demo {

class SharedReader {
 public:
  // `hosts`: at home here and not run for real. Both outlive the reader.
  SharedReader(const std::set<std::string>* hosts, LedgerWriter* got);

  // A message of a unicast, multicast or hashed topic.
  void TakeUnicast(const PlainMessage& message);
  void TakeMulticast(const PlainMessage& message);
  void TakeHashed(const PlainMessage& message);

  uint64_t delivered() const { return delivered_; }

 private:
  struct Kept {
    Place place;
    int64_t offset;
    std::string value;
    KafkaHeader header;
  };
  struct Membership {
    uint64_t version = 0;
    bool member = false;
    std::map<Place, int64_t> from;
  };
  // False if it was seen before.
  bool IsNew(const std::string& agent, const std::string& key,
             const KafkaHeader& header);
  void Deliver(const std::string& agent, const std::string& value);
  void Join(const std::string& value, bool joins);

  const std::set<std::string>& hosts_;
  LedgerWriter& got_;
  // vpc -> messages, to serve members whose marker comes later.
  std::map<std::string, std::vector<Kept>> kept_;
  // vpc -> host -> membership.
  std::map<std::string, std::map<std::string, Membership>> members_;
  std::map<std::pair<std::string, std::string>, std::map<Source, uint64_t>>
      last_;
  uint64_t delivered_ = 0;
};

}  // namespace kafed::demo
