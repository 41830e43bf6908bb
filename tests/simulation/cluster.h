// A simulated cluster: nodes of the real parts of a controller over a quorum
// in memory, clients, what they saw, and what happens to them.
//
//   client --rpc--> node: writer, replica, leases, fences, follower, prover
//                     |
//                     +--> MemoryQuorumLoglet --> MemoryServers
//
// Every node is a domain of the scheduler; clients, the network and whoever
// breaks things are domain 0.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/position.h"
#include "controller/session/fence_queue.h"
#include "controller/session/lease_table.h"
#include "controller/write/follower.h"
#include "controller/write/tail_prover.h"
#include "controller/write/writer.h"
#include "metastore/log/memory_quorum.h"
#include "tests/simulation/scheduler.h"

namespace kafed::simulation {

// A fault of kafed that is built in on purpose, to see that it is found.
enum class Plant {
  kNone,
  kAckEarly,           // an append is acknowledged before it stands
  kSkipChecks,         // the servers check neither gate nor predecessor
  kLeaseWithoutProof,  // a node takes for granted that it is at the tail
  kApplyTwice,         // a request that is sent again is carried out again
};

// One node: what server/node.cc puts together, without gRPC and disk.
struct Node {
  int domain = 0;
  std::unique_ptr<metastore::SharedLog> log;
  std::unique_ptr<controller::Replica> replica;
  std::unique_ptr<controller::LeaseTable> leases;
  std::unique_ptr<controller::FenceQueue> fences;
  std::unique_ptr<controller::Writer> writer;
  std::unique_ptr<controller::Follower> follower;
  std::unique_ptr<controller::TailProver> prover;
};

// What a client did, from its own point of view.
struct Operation {
  enum class Kind { kCreate, kDelete, kJoin, kRead, kRoute };
  Kind kind = Kind::kRead;
  std::string vpc;
  std::string request_id;
  nanoseconds invoked{0};
  nanoseconds returned{0};
  // Newest index that anybody was told of before it was invoked.
  uint64_t known = 0;
  // Of its answer.
  bool ok = false;
  int attempts = 0;
  bool found = false;        // kRead: whether the VPC is there
  bool fenced = false;       // kJoin: waited until no older route is in use
  uint64_t index = 0;        // position of the answer; 0: it has none
  nanoseconds lease_end{0};  // kRoute; 0: unleased
  std::string error;
};

std::string Describe(const Operation& operation);

// What went on in one run.
struct History {
  std::vector<Operation> operations;
  uint64_t told = 0;  // newest index that a client was told of
};

class Cluster {
 public:
  Cluster(Scheduler* scheduler, Plant plant);

  // Three nodes, two sub-clusters, hosts and topics.
  void Begin();
  // Clients and faults for a while; afterwards all is well again, and every
  // node that lives is at the tail.
  void Play();
  const History& history() const { return history_; }
  // What is wrong, one line each.
  std::vector<std::string> Check();

 private:
  struct Reply {
    bool given_up = false;  // nobody waits for it any more
    absl::Status status;
    std::string response;
    Position position;
    Event event;
  };
  using ReplyPtr = std::shared_ptr<Reply>;

  std::shared_ptr<Node> StartNode();
  void OpenParts(Node* node);
  metastore::MemoryServers::Fault FaultNow();
  // Runs `work` at a node; whether its reply came in time.
  bool Ask(const std::shared_ptr<Node>& node,
           const std::function<void(Node*, const ReplyPtr&)>& work,
           ReplyPtr* reply);
  void Client(int operations);
  Operation Invoke();
  void Carry(Operation* operation);
  void SubmitTo(Node* node, const Operation& operation, const ReplyPtr& reply);
  void RouteAt(Node* node, const Operation& operation, const ReplyPtr& reply);
  void Break();  // one fault, from its beginning to its end
  void Heal();
  void Sleep(nanoseconds time) const;
  uint64_t Dice(uint64_t sides) const { return scheduler_.Random() % sides; }

  Scheduler& scheduler_;
  const Plant plant_;
  metastore::MemoryServers servers_;
  std::vector<std::shared_ptr<Node>> nodes_;
  std::vector<std::shared_ptr<Node>> crashed_;  // their threads stand still
  int domains_ = 0;
  int playing_ = 0;        // clients
  std::set<int> cut_off_;  // from the servers
  bool servers_away_ = false;
  uint64_t lossy_ = 2;  // of 100 calls to the servers, so many go wrong
  History history_;
};

}  // namespace kafed::simulation
