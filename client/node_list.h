// NodeList: which node of the metadata cluster is asked next.
//
// It knows the addresses an application configured, for good, and those that a
// node named last (Routing.Nodes). It asks nobody itself: the Mirror and the
// Subscriber (node_asker.h) do, and tell it how that went.
//
//         Next --> ask --> it answers: Answered
//          ^        |
//          |        +----> it does not:  AllAsked? pause
//          +----------------------------------+
//
// A round asks each node once: those of the own region first, in random order
// among equals. Nobody waits within a round, so one node that is down costs no
// pause; a pause comes between rounds.
//
// Thread-safe. Invariant: a configured address is never dropped.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/monitor.h"
#include "common/clock.h"
#include "kafed/v1/routing.pb.h"

namespace kafed::client {

class NodeList {
 public:
  // `configured`: HOST:PORT each. `region`: the one to prefer; empty: none.
  NodeList(const std::vector<std::string>& configured, std::string region,
           const Clock* clock);

  bool empty() const { return size() == 0; }
  size_t size() const;
  // What Next said last; empty before.
  std::string current() const;

  // The node to ask. Begins a round where the last one is over.
  // REQUIRES: !empty().
  std::string Next();
  // Every node was asked in this round: pause before Next.
  bool AllAsked() const;
  // The node of the last Next did what it was asked for: a round begins, with
  // it as asked.
  void Answered();

  // What a node said about all of them. Nodes without an address are ignored,
  // and so is an answer that is older than one before.
  void Learn(const v1::NodesResponse& response);

  // True: the last Next was not known as a node of the own region, and there is
  // one; a round begins, so that Next says it. At most once in kHomeInterval:
  // the node at home may be down.
  bool ShouldGoHome();

  static constexpr milliseconds kHomeInterval{5 * 60 * 1000};

 private:
  struct Node {
    std::string address;
    bool configured = false;
    bool home = false;
  };
  const Node* Find(const std::string& address) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<const Node*> Unasked() const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string region_;
  const Clock& clock_;
  mutable Monitor mutex_;
  std::vector<Node> nodes_ ABSL_GUARDED_BY(mutex_);
  std::string current_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> asked_ ABSL_GUARDED_BY(mutex_);
  v1::Position learnt_at_ ABSL_GUARDED_BY(mutex_);
  std::optional<milliseconds> went_home_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kafed::client
