#include "controller/peer/peer_watch.h"

#include <atomic>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_join.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "controller/rpc/rpc_context.h"
#include "federation/plan/planners.h"

namespace kafed::controller {

// One registered node and the thread that asks it.
struct PeerWatch::Watched {
  Watched(uint64_t id, const federation::NodeRow& row)
      : address(row.address), client(row.address) {
    info.node_id = id;
    info.row = row;
    info.error = absl::UnavailableError(kNotAskedYet);
  }
  PeerInfo info;  // guarded by the watch's mutex
  const std::string address;
  const PeerClient client;
  std::atomic<bool> leaving{false};
  std::atomic<bool> finished{false};
  std::thread thread;
};

PeerWatch::PeerWatch(PeerWatchOptions options, const Replica* replica,
                     const HashHistory* hashes, const Clock* clock,
                     Differs differs)
    : options_(options),
      replica_(*replica),
      hashes_(*hashes),
      clock_(*clock),
      differs_(std::move(differs)) {
  thread_ = std::thread([this] { Loop(); });
}

PeerWatch::~PeerWatch() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

bool PeerWatch::Sleep(milliseconds time) const {
  absl::MutexLock lock(&mutex_);
  return !mutex_.AwaitWithTimeout(absl::Condition(&stopping_),
                                  absl::Milliseconds(time.count()));
}

void PeerWatch::Loop() {
  do {
    SyncPeers();
    Compare();
  } while (Sleep(options_.interval));
  std::map<uint64_t, std::unique_ptr<Watched>> peers;
  {
    absl::MutexLock lock(&mutex_);
    peers.swap(peers_);
  }
  for (auto& [id, peer] : peers) peer->thread.join();
}

void PeerWatch::SyncPeers() {
  std::map<uint64_t, federation::NodeRow> wanted;
  for (auto& [id, row] : federation::NodesOf(*replica_.image())) {
    if (id != options_.self) wanted.emplace(id, std::move(row));
  }
  std::vector<std::unique_ptr<Watched>> gone;
  {
    absl::MutexLock lock(&mutex_);
    for (auto at = peers_.begin(); at != peers_.end();) {
      const auto row = wanted.find(at->first);
      Watched& peer = *at->second;
      if (row != wanted.end() && row->second.address == peer.address) {
        peer.info.row = row->second;
        wanted.erase(row);
      } else {
        peer.leaving = true;
      }
      if (peer.leaving && peer.finished) {
        gone.push_back(std::move(at->second));
        at = peers_.erase(at);
      } else {
        ++at;
      }
    }
    for (const auto& [id, row] : wanted) {
      if (peers_.contains(id)) continue;  // still leaving
      auto made = std::make_unique<Watched>(id, row);
      made->thread = std::thread([this, peer = made.get()] { Ask(peer); });
      peers_.emplace(id, std::move(made));
    }
  }
  for (const auto& peer : gone) peer->thread.join();
}

void PeerWatch::Ask(Watched* peer) {
  do {
    auto state = peer->address.empty()
                     ? absl::UnavailableError("it has told no address")
                     : peer->client.State(options_.timeout);
    if (state.ok() && state->node_id() != peer->info.node_id) {
      state =
          absl::UnavailableError("node " + std::to_string(state->node_id()) +
                                 " answers at its address");
    }
    absl::MutexLock lock(&mutex_);
    peer->info.error = state.status();
    if (!state.ok()) continue;
    peer->info.state = *std::move(state);
    peer->info.heard_at = clock_.Steady();
  } while (Sleep(options_.interval) && !peer->leaving);
  peer->finished = true;
}

std::vector<PeerInfo> PeerWatch::List() const {
  absl::MutexLock lock(&mutex_);
  std::vector<PeerInfo> list;
  list.reserve(peers_.size());
  for (const auto& [id, peer] : peers_) {
    if (!peer->leaving) list.push_back(peer->info);
  }
  return list;
}

bool PeerWatch::Fresh(const PeerInfo& peer) const {
  return peer.error.ok() && peer.heard_at.count() > 0 &&
         clock_.Steady() - peer.heard_at <= options_.fresh;
}

absl::StatusOr<std::set<uint64_t>> PeerWatch::HeldSessions() const {
  std::set<uint64_t> held;
  std::set<uint64_t> answered{options_.self};
  for (const PeerInfo& peer : List()) {
    if (!Fresh(peer)) continue;
    answered.insert(peer.node_id);
    held.insert(peer.state.sessions().begin(), peer.state.sessions().end());
  }
  for (const auto& [id, row] : federation::NodesOf(*replica_.image())) {
    if (answered.contains(id)) continue;
    return absl::UnavailableError("node " + std::to_string(id) +
                                  " does not answer");
  }
  return held;
}

void PeerWatch::Compare() {
  std::vector<std::vector<v1::IndexHash>> theirs;
  const uint64_t nonce = replica_.image()->head().incarnation.nonce;
  for (const PeerInfo& peer : List()) {
    if (!Fresh(peer) || peer.state.position().nonce() != nonce) continue;
    theirs.emplace_back(peer.state.recent().begin(), peer.state.recent().end());
  }
  HashVerdict verdict = CompareHashes(hashes_.List(), theirs);
  if (verdict.index == 0) return;
  std::set<std::string> tables;
  for (const PeerInfo& peer : List()) {
    for (std::string& name : hashes_.TablesThatDiffer(peer.state)) {
      tables.insert(std::move(name));
    }
  }
  verdict.tables = absl::StrJoin(tables, ",");
  differs_(verdict);
}

}  // namespace kafed::controller
