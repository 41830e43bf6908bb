// Agent: what an agent reads, delivers and remembers; no Kafka in it.
//
// It holds the chains of one host and of its VPCs. Records are fed to it; it
// says what to do with each. Everything that changes what is to be read (an
// answer of a node, an in-band marker, the end of a segment) shows in
// Reading().
//
//    Reading() -> where to read, from which offset
//    Receive(record) -> deliver | skip, and whether Reading() changed
//    Commit(ticket) -> the positions that need not be read again
//
// A chain is read by one place at a time: the oldest segment that is not
// finished. A join may lie before what was read already; the chain then starts
// over there, and each key ignores what it has had.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/agent_state.h"
#include "client/message.h"
#include "client/repeat_filter.h"
#include "kafed/v1/markers.pb.h"
#include "kafed/v1/routing.pb.h"

namespace kafed::client {

// One Kafka message as a consumer sees it.
struct Record {
  std::string sub_cluster;
  std::string kafka_topic;
  uint32_t kafka_partition = 0;
  uint64_t offset = 0;
  std::string key;
  std::string payload;
  std::vector<Header> headers;
  std::optional<KafkaHeader> header;
  // Of the ReadPlace it was read for.
  uint64_t round = 0;
};

// A place to read.
struct ReadPlace {
  std::string sub_cluster;
  std::string kafka_topic;
  uint32_t kafka_partition = 0;
  uint64_t offset = 0;
  // Raised when the place must be read from `offset` again.
  uint64_t round = 0;
};

class Agent {
 public:
  Agent(std::string host, size_t filter_entries);

  void Restore(const AgentState& state);
  // What is committed.
  AgentState State() const;

  // A node's answer. Chains it does not name are not the agent's any more.
  void Merge(const v1::SubscriptionsResponse& response);
  // Without a state of its own: the group committed `offset` at a place that
  // Reading() gave.
  void Advance(const ReadPlace& place, uint64_t offset);
  // What a node need not repeat.
  std::vector<v1::KnownChain> Known() const;

  std::vector<ReadPlace> Reading() const;
  const AgentCluster* cluster(const std::string& name) const;
  // A chain goes on where this agent does not know the sub-cluster.
  bool NeedsNode() const;

  struct Received {
    std::optional<Message> message;
    bool reading_changed = false;
    bool repeat = false;
  };
  Received Receive(Record record);

  // Handed over and handled, with everything before it in its chain. False for
  // a ticket that is not known (any more).
  bool Commit(uint64_t ticket);
  bool CommitAll();
  // Next offset of each place being read that is committed, for Kafka.
  std::vector<ReadPlace> Committed() const;

  // The place was cut: reading goes on at `low`. Keys that may miss messages.
  std::vector<std::string> Gap(const ReadPlace& place, uint64_t low);

 private:
  struct Pending {
    ChainPosition at;
    std::string filter_name;  // empty: none
    uint64_t sequence = 0;
  };
  struct Chain {
    AgentChain row;
    ChainPosition next;  // to be read
    uint64_t round = 0;
    std::vector<ChainPosition> delivered;  // by key: nothing before again
    std::map<uint64_t, Pending> pending;   // by ticket
    std::multiset<ChainPosition> pending_at;
  };
  using Id = std::pair<std::string, uint32_t>;

  Chain* FindChain(const std::string& sub_cluster,
                   const std::string& kafka_topic, uint32_t kafka_partition);
  static const ChainSegment* Current(const Chain& chain);
  static void Hop(Chain* chain);
  static ChainPosition CommittedOf(const Chain& chain);
  void Settle(Chain* chain);
  void MergeChain(const v1::Subscription& subscription,
                  const v1::SubscriptionsResponse& response);
  // A restore gave a segment that is known a higher epoch, in place.
  static void Renumber(Chain* chain, const ChainSegment& now);
  void AddKey(Chain* chain, const std::string& key, ChainPosition from,
              uint64_t version);
  bool Join(const v1::MembershipMarker& marker);
  bool Leave(const v1::MembershipMarker& marker);
  bool Moved(Chain* chain, const v1::MovedMarker& marker, uint64_t offset);
  bool Control(Chain* chain, const Record& record);

  const std::string host_;
  RepeatFilter seen_;
  RepeatFilter committed_;
  std::map<Id, Chain> chains_;
  std::vector<AgentCluster> clusters_;
  std::map<std::string, uint64_t> vpcs_;
  uint64_t next_ticket_ = 1;
};

}  // namespace kafed::client
