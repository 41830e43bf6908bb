// What must be true of a run, whatever happened to it.
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "common/uuid.h"
#include "federation/image/apply.h"
#include "federation/image/entry_codec.h"
#include "federation/image/invariants.h"
#include "tests/simulation/cluster.h"

namespace kafed::simulation {
namespace {

using Kind = Operation::Kind;

// The log, entry by entry.
struct Facts {
  federation::Image image;                                // at the tail
  std::map<std::string, std::vector<uint64_t>> requests;  // id -> entries
  // VPC -> in the order of the log, also within an entry: from which index on,
  // and whether it is there from then on.
  std::map<std::string, std::vector<std::pair<uint64_t, bool>>> vpcs;
  std::map<Kind, uint64_t> changes;

  bool Has(const std::string& vpc, uint64_t index) const {
    bool there = false;
    const auto at = vpcs.find(vpc);
    if (at == vpcs.end()) return there;
    for (const auto& [from, then] : at->second) {
      if (from <= index) there = then;
    }
    return there;
  }
  // Whether it was so at some time in [from, to].
  bool WasSo(const std::string& vpc, bool there, uint64_t from,
             uint64_t to) const {
    if (Has(vpc, from) == there) return true;
    const auto at = vpcs.find(vpc);
    if (at == vpcs.end()) return false;
    return std::any_of(at->second.begin(), at->second.end(),
                       [&](const auto& change) {
                         return change.first > from && change.first <= to &&
                                change.second == there;
                       });
  }
};

void Learn(const v1::Entry& entry, Facts* facts) {
  const uint64_t index = entry.header().position().index();
  for (const v1::Record& record : entry.records()) {
    if (record.has_vpc_created()) {
      facts->vpcs[record.vpc_created().id()].emplace_back(index, true);
      ++facts->changes[Kind::kCreate];
    }
    if (record.has_vpc_deleted()) {
      facts->vpcs[record.vpc_deleted().id()].emplace_back(index, false);
      ++facts->changes[Kind::kDelete];
    }
    if (record.has_vpc_hosts_added()) ++facts->changes[Kind::kJoin];
    if (record.has_request_completed()) {
      facts->requests[record.request_completed().request_id()].push_back(index);
    }
  }
}

std::string Read(metastore::SharedLog* log, Facts* facts) {
  const auto tail = log->Tail();
  if (!tail.ok()) return tail.status().ToString();
  for (LogIndex next(1); next <= *tail;) {
    const auto some = log->Read(next, 1 << 20);
    if (!some.ok() || some->empty()) return "the log has a gap";
    for (const metastore::LogEntry& stored : *some) {
      const auto entry = federation::DecodeEntry(stored.payload);
      if (!entry.ok()) return entry.status().ToString();
      const auto applied =
          federation::ApplyEntry(*entry, &facts->image, nullptr);
      if (!applied.ok()) {
        return "entry " + std::to_string(stored.index.value()) + ": " +
               applied.ToString();
      }
      Learn(*entry, facts);
      next = Next(stored.index);
    }
  }
  return "";
}

}  // namespace

std::string Describe(const Operation& operation) {
  static constexpr const char* kNames[] = {"create", "delete", "join", "read",
                                           "route"};
  return std::string(kNames[static_cast<int>(operation.kind)]) + " " +
         operation.vpc + " at " +
         std::to_string(operation.invoked.count() / 1'000'000) + "-" +
         std::to_string(operation.returned.count() / 1'000'000) +
         " ms, after " + std::to_string(operation.known) + ", answered " +
         (operation.ok ? "ok" : operation.error) + " at " +
         std::to_string(operation.index) +
         ", attempts: " + std::to_string(operation.attempts);
}

namespace {

// A refusal of a retry says nothing of the attempt before it, which may still
// be under way at another node: docs/concepts/failure-model.md.
bool RefusedOnlyAgain(const Operation& operation) {
  return !operation.ok && operation.attempts > 1;
}

// One answer against the log.
std::string CheckOne(const Operation& operation, const Facts& facts) {
  const uint64_t tail = facts.image.head().index.value();
  switch (operation.kind) {
    case Kind::kRoute:
      return "";
    case Kind::kRead:
      if (operation.index < operation.known) return "is stale";
      if (operation.index > tail) return "is of nothing";
      if (facts.Has(operation.vpc, operation.index) != operation.found) {
        return "is not what the log says";
      }
      return "";
    default:
      break;
  }
  if (operation.ok) {
    const auto found = facts.requests.find(operation.request_id);
    if (found == facts.requests.end()) return "was acknowledged and is lost";
    if (found->second.front() < operation.known) return "is before its time";
    return "";
  }
  if (facts.requests.contains(operation.request_id)) {
    return RefusedOnlyAgain(operation) ? "" : "was refused and is carried out";
  }
  const bool there = operation.kind == Kind::kCreate;
  if (operation.error.find("all hosts") != std::string::npos) return "";
  // Refused for what was so at some time while it ran.
  if (!facts.WasSo(operation.vpc, there, operation.known, tail)) {
    return "was refused for what never was so";
  }
  return "";
}

// No route is in use once a fence behind it is acknowledged.
void CheckLeases(const std::vector<Operation>& operations,
                 std::vector<std::string>* wrong) {
  for (const Operation& join : operations) {
    if (join.kind != Kind::kJoin || !join.ok || !join.fenced) continue;
    for (const Operation& route : operations) {
      if (route.kind == Kind::kRoute && route.index < join.index &&
          route.lease_end > join.returned) {
        wrong->push_back(Describe(route) + " may be used until " +
                         std::to_string(route.lease_end.count() / 1'000'000) +
                         " ms, after the fence of " + Describe(join));
      }
    }
  }
}

}  // namespace

std::vector<std::string> Cluster::Check() {
  std::vector<std::string> wrong;
  const auto log = metastore::MemoryQuorumLoglet::Open(&servers_, {"/log"});
  if (!log.ok()) return {log.status().ToString()};
  Facts facts;
  if (const std::string bad = Read(log->get(), &facts); !bad.empty()) {
    return {bad};
  }
  for (std::string& violation : federation::FindViolations(facts.image)) {
    wrong.push_back(std::move(violation));
  }
  for (const auto& node : nodes_) {
    const auto image = node->replica->image();
    if (image->position() != facts.image.position() ||
        image->Hash() != facts.image.Hash()) {
      wrong.push_back("node " + std::to_string(node->domain) +
                      " has another image at " + ToString(image->position()) +
                      " than the log at " + ToString(facts.image.position()));
    }
  }
  for (const auto& [id, entries] : facts.requests) {
    if (entries.size() > 1) {
      wrong.push_back("request " + ToHex(id) + " is carried out " +
                      std::to_string(entries.size()) + " times");
    }
  }
  std::map<Kind, uint64_t> acknowledged;
  for (const Operation& operation : history_.operations) {
    if (operation.ok || (RefusedOnlyAgain(operation) &&
                         facts.requests.contains(operation.request_id))) {
      ++acknowledged[operation.kind];
    }
    if (plant_ == Plant::kApplyTwice) continue;  // there are no ids to check
    if (const std::string bad = CheckOne(operation, facts); !bad.empty()) {
      wrong.push_back(Describe(operation) + " " + bad);
    }
  }
  // All were answered in the end, so each change is somebody's.
  for (const Kind kind : {Kind::kCreate, Kind::kDelete, Kind::kJoin}) {
    if (acknowledged[kind] == facts.changes[kind]) continue;
    wrong.push_back(std::to_string(facts.changes[kind]) + " changes of kind " +
                    std::to_string(static_cast<int>(kind)) + " stand, " +
                    std::to_string(acknowledged[kind]) + " were acknowledged");
  }
  CheckLeases(history_.operations, &wrong);
  return wrong;
}

}  // namespace kafed::simulation
