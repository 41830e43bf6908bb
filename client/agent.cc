#include "client/agent.h"

#include <algorithm>

#include "common/log.h"

namespace kafed::client {
namespace {

bool Seals(v1::SegmentState state) {
  return state == v1::SEGMENT_STATE_SEALED ||
         state == v1::SEGMENT_STATE_RETIRED;
}

const ChainSegment* SegmentAt(const AgentChain& chain, uint64_t epoch) {
  for (const ChainSegment& segment : chain.segments) {
    if (segment.epoch >= epoch) return &segment;
  }
  return nullptr;
}

}  // namespace

Agent::Agent(std::string host, size_t filter_entries)
    : host_(std::move(host)),
      seen_(filter_entries),
      committed_(filter_entries) {}

void Agent::Restore(const AgentState& state) {
  clusters_ = state.clusters;
  vpcs_ = {state.vpcs.begin(), state.vpcs.end()};
  for (const auto& [name, sequence] : state.filter) {
    seen_.Take(name, sequence);
    committed_.Take(name, sequence);
  }
  for (const AgentChain& row : state.chains) {
    Chain& chain = chains_[{row.topic, row.partition}];
    chain.row = row;
    chain.delivered.clear();
    for (const ChainKey& key : row.keys) chain.delivered.push_back(key.done);
    if (!chain.delivered.empty()) {
      chain.next =
          *std::min_element(chain.delivered.begin(), chain.delivered.end());
    }
    Hop(&chain);
  }
}

AgentState Agent::State() const {
  AgentState state;
  state.host = host_;
  for (const auto& [id, chain] : chains_) {
    state.chains.push_back(chain.row);
  }
  state.clusters = clusters_;
  state.vpcs.assign(vpcs_.begin(), vpcs_.end());
  state.filter = committed_.Entries();
  return state;
}

void Agent::Advance(const ReadPlace& place, uint64_t offset) {
  Chain* chain =
      FindChain(place.sub_cluster, place.kafka_topic, place.kafka_partition);
  if (chain == nullptr || offset <= chain->next.offset) return;
  chain->next.offset = offset;
  ++chain->round;
  for (size_t i = 0; i < chain->row.keys.size(); ++i) {
    ChainKey& key = chain->row.keys[i];
    key.done = std::max(key.done, chain->next);
    chain->delivered[i] = std::max(chain->delivered[i], chain->next);
  }
  Hop(chain);
}

std::vector<v1::KnownChain> Agent::Known() const {
  std::vector<v1::KnownChain> known;
  for (const auto& [id, chain] : chains_) {
    if (chain.row.segments.empty()) continue;
    v1::KnownChain& each = known.emplace_back();
    each.set_topic(id.first);
    each.set_partition(id.second);
    each.set_epoch(chain.row.segments.back().epoch);
  }
  return known;
}

void Agent::Merge(const v1::SubscriptionsResponse& response) {
  for (const v1::SubClusterRow& row : response.sub_clusters()) {
    std::erase_if(clusters_, [&](const AgentCluster& cluster) {
      return cluster.name == row.name();
    });
    clusters_.push_back(
        {row.id(), row.name(), row.bootstrap_servers(), row.security_ref()});
  }
  std::set<Id> named;
  for (const v1::Subscription& each : response.subscriptions()) {
    named.insert({each.topic(), each.partition()});
    MergeChain(each, response);
  }
  std::erase_if(
      chains_, [&](const auto& entry) { return !named.contains(entry.first); });
}

void Agent::MergeChain(const v1::Subscription& subscription,
                       const v1::SubscriptionsResponse& response) {
  Chain& chain = chains_[{subscription.topic(), subscription.partition()}];
  AgentChain& row = chain.row;
  row.topic = subscription.topic();
  row.partition = subscription.partition();
  row.kind = static_cast<uint32_t>(subscription.kind());
  for (const v1::Segment& segment : subscription.chain()) {
    const AgentCluster* cluster = nullptr;
    for (const AgentCluster& each : clusters_) {
      if (each.id == segment.sub_cluster_id()) cluster = &each;
    }
    std::string kafka_topic;
    for (const v1::KafkaTopicRow& each : response.kafka_topics()) {
      // What Kafka does not have yet must not be asked for.
      if (each.id() == segment.kafka_topic_id() && each.ready()) {
        kafka_topic = each.name();
      }
    }
    if (cluster == nullptr || kafka_topic.empty()) continue;
    const ChainSegment now = {segment.epoch(),
                              cluster->name,
                              kafka_topic,
                              segment.kafka_partition(),
                              segment.start_offset(),
                              segment.end_offset(),
                              Seals(segment.state()) ? 1u : 0u};
    Renumber(&chain, now);
    auto at = std::find_if(
        row.segments.begin(), row.segments.end(),
        [&](const ChainSegment& s) { return s.epoch >= segment.epoch(); });
    if (at == row.segments.end() || at->epoch != segment.epoch()) {
      at = row.segments.insert(at, ChainSegment());
    }
    *at = now;
  }
  if (row.segments.empty()) return;
  std::set<std::string> keys;
  for (const v1::SubscribedKey& key : subscription.keys()) {
    keys.insert(key.key());
    const auto known = vpcs_.find(key.key());
    if (row.kind == v1::TOPIC_KIND_MULTICAST) {
      // A marker may have said something newer.
      if (known != vpcs_.end() && known->second > key.membership_version()) {
        continue;
      }
      vpcs_[key.key()] = key.membership_version();
    }
    AddKey(&chain, key.key(), {key.from_epoch(), key.from_offset()},
           key.membership_version());
  }
  for (size_t i = row.keys.size(); i > 0; --i) {
    if (keys.contains(row.keys[i - 1].key)) continue;
    row.keys.erase(row.keys.begin() + static_cast<long>(i) - 1);
    chain.delivered.erase(chain.delivered.begin() + static_cast<long>(i) - 1);
  }
  Hop(&chain);
}

void Agent::Renumber(Chain* chain, const ChainSegment& now) {
  for (ChainSegment& known : chain->row.segments) {
    if (known.epoch >= now.epoch || known.sub_cluster != now.sub_cluster ||
        known.kafka_topic != now.kafka_topic ||
        known.kafka_partition != now.kafka_partition) {
      continue;
    }
    const auto move = [from = known.epoch, &now](ChainPosition* position) {
      if (position->epoch == from) position->epoch = now.epoch;
    };
    move(&chain->next);
    for (ChainPosition& delivered : chain->delivered) move(&delivered);
    for (ChainKey& key : chain->row.keys) {
      move(&key.from);
      move(&key.done);
    }
    chain->pending_at.clear();
    for (auto& [ticket, pending] : chain->pending) {
      move(&pending.at);
      chain->pending_at.insert(pending.at);
    }
    known.epoch = now.epoch;
  }
}

void Agent::AddKey(Chain* chain, const std::string& key, ChainPosition from,
                   uint64_t version) {
  const ChainSegment& oldest = chain->row.segments.front();
  from = std::max(from, {oldest.epoch, oldest.start});
  for (ChainKey& each : chain->row.keys) {
    if (each.key != key) continue;
    if (each.version >= version) return;
    // Left and joined again: what lay between is not for this agent.
    each.version = version;
    each.from = std::max(each.from, from);
    return;
  }
  const bool first = chain->row.keys.empty();
  chain->row.keys.push_back({key, from, from, version});
  chain->delivered.push_back(from);
  if (first || from < chain->next) {
    chain->next = from;
    ++chain->round;
  }
}

const AgentCluster* Agent::cluster(const std::string& name) const {
  for (const AgentCluster& each : clusters_) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

const ChainSegment* Agent::Current(const Chain& chain) {
  return SegmentAt(chain.row, chain.next.epoch);
}

void Agent::Hop(Chain* chain) {
  while (true) {
    const ChainSegment* segment = Current(*chain);
    if (segment == nullptr) return;
    if (segment->epoch > chain->next.epoch) {
      chain->next = {segment->epoch, segment->start};
    }
    if (!segment->sealed || chain->next.offset < segment->end) return;
    const ChainSegment* following = SegmentAt(chain->row, segment->epoch + 1);
    if (following == nullptr) return;
    chain->next = {following->epoch, following->start};
  }
}

std::vector<ReadPlace> Agent::Reading() const {
  std::vector<ReadPlace> places;
  for (const auto& [id, chain] : chains_) {
    const ChainSegment* segment = Current(chain);
    if (segment == nullptr || chain.row.keys.empty()) continue;
    if (segment->sealed && chain.next.offset >= segment->end) continue;
    if (cluster(segment->sub_cluster) == nullptr) continue;
    places.push_back({segment->sub_cluster, segment->kafka_topic,
                      segment->kafka_partition, chain.next.offset,
                      chain.round});
  }
  return places;
}

bool Agent::NeedsNode() const {
  if (chains_.empty()) return true;
  for (const auto& [id, chain] : chains_) {
    const ChainSegment* segment = Current(chain);
    if (segment == nullptr || cluster(segment->sub_cluster) == nullptr ||
        (segment->sealed && chain.next.offset >= segment->end)) {
      return true;
    }
  }
  return false;
}

Agent::Chain* Agent::FindChain(const std::string& sub_cluster,
                               const std::string& kafka_topic,
                               uint32_t kafka_partition) {
  for (auto& [id, chain] : chains_) {
    const ChainSegment* segment = Current(chain);
    if (segment != nullptr && segment->sub_cluster == sub_cluster &&
        segment->kafka_topic == kafka_topic &&
        segment->kafka_partition == kafka_partition) {
      return &chain;
    }
  }
  return nullptr;
}

Agent::Received Agent::Receive(Record record) {
  Received received;
  Chain* chain =
      FindChain(record.sub_cluster, record.kafka_topic, record.kafka_partition);
  // A record that was fetched before the reading changed.
  if (chain == nullptr || record.round != chain->round ||
      record.offset < chain->next.offset) {
    return received;
  }
  const ChainSegment segment = *Current(*chain);
  const ChainPosition at{segment.epoch, record.offset};
  chain->next = {segment.epoch, record.offset + 1};
  if (record.header && record.header->kind != MessageKind::kData) {
    received.reading_changed = Control(chain, record);
    // The chain may be gone, or may have been moved back.
    return received;
  }
  for (size_t i = 0; i < chain->row.keys.size(); ++i) {
    const ChainKey& key = chain->row.keys[i];
    if (key.key != record.key) continue;
    if (at < key.from || at < chain->delivered[i]) break;
    chain->delivered[i] = chain->next;
    Pending pending{at, {}, 0};
    if (record.header) {
      pending.filter_name = RepeatFilter::NameOf(
          record.header->source, chain->row.topic + "/" + record.key);
      pending.sequence = record.header->sequence;
      if (!seen_.Take(pending.filter_name, pending.sequence)) {
        received.repeat = true;
        break;
      }
    }
    Message& message = received.message.emplace();
    message.topic = chain->row.topic;
    message.key = chain->row.topic + "/" + record.key;
    message.payload = std::move(record.payload);
    message.headers = std::move(record.headers);
    message.partition = chain->row.partition;
    message.offset = record.offset;
    message.epoch = segment.epoch;
    if (record.header) {
      message.source = record.header->source;
      message.sequence = record.header->sequence;
      message.late = record.header->epoch < segment.epoch;
    }
    message.ticket = next_ticket_++;
    chain->pending_at.insert(at);
    chain->pending.emplace(message.ticket, std::move(pending));
    break;
  }
  const uint64_t before = chain->next.epoch;
  Hop(chain);
  received.reading_changed = chain->next.epoch != before;
  if (!received.message) Settle(chain);
  return received;
}

bool Agent::Control(Chain* chain, const Record& record) {
  bool changed = false;
  if (record.header->kind == MessageKind::kMoved) {
    v1::MovedMarker marker;
    if (marker.ParseFromString(record.payload)) {
      changed = Moved(chain, marker, record.offset);
    }
  } else {
    v1::MembershipMarker marker;
    // They stand in the host's own partition, nowhere else.
    if (chain->row.kind == v1::TOPIC_KIND_UNICAST &&
        marker.ParseFromString(record.payload) && marker.host() == host_) {
      changed = record.header->kind == MessageKind::kSubscribe ? Join(marker)
                                                               : Leave(marker);
    }
  }
  Settle(chain);
  return changed;
}

bool Agent::Moved(Chain* chain, const v1::MovedMarker& marker,
                  uint64_t offset) {
  if (marker.topic() != chain->row.topic ||
      marker.partition() != chain->row.partition) {
    return false;
  }
  for (ChainSegment& segment : chain->row.segments) {
    // The first marker with the right epoch counts.
    if (segment.epoch != marker.epoch() || segment.sealed) continue;
    segment.sealed = 1;
    segment.end = offset;
    if (marker.next_epoch() != 0 &&
        SegmentAt(chain->row, marker.next_epoch()) == nullptr) {
      chain->row.segments.push_back(
          {marker.next_epoch(), marker.next_sub_cluster(),
           marker.next_kafka_topic(), marker.next_kafka_partition(), 0, 0, 0});
    }
    Hop(chain);
    return true;
  }
  return false;
}

bool Agent::Join(const v1::MembershipMarker& marker) {
  uint64_t& version = vpcs_[marker.vpc()];
  if (marker.membership_version() < version) return false;
  version = marker.membership_version();
  for (const v1::MembershipChain& each : marker.chains()) {
    Chain& chain = chains_[{each.topic(), each.partition()}];
    chain.row.topic = each.topic();
    chain.row.partition = each.partition();
    chain.row.kind = v1::TOPIC_KIND_MULTICAST;
    const ChainSegment now = {each.epoch(), each.sub_cluster(),
                              each.kafka_topic(), each.kafka_partition()};
    Renumber(&chain, now);
    if (SegmentAt(chain.row, now.epoch) == nullptr) {
      chain.row.segments.push_back(now);
    }
    AddKey(&chain, marker.vpc(), {each.epoch(), each.from_offset()}, version);
    Hop(&chain);
  }
  return true;
}

bool Agent::Leave(const v1::MembershipMarker& marker) {
  uint64_t& version = vpcs_[marker.vpc()];
  if (marker.membership_version() < version) return false;
  version = marker.membership_version();
  for (auto& [id, chain] : chains_) {
    if (chain.row.kind != v1::TOPIC_KIND_MULTICAST) continue;
    for (size_t i = chain.row.keys.size(); i > 0; --i) {
      if (chain.row.keys[i - 1].key != marker.vpc()) continue;
      chain.row.keys.erase(chain.row.keys.begin() + static_cast<long>(i) - 1);
      chain.delivered.erase(chain.delivered.begin() + static_cast<long>(i) - 1);
    }
  }
  std::erase_if(chains_, [](const auto& entry) {
    return entry.second.row.kind == v1::TOPIC_KIND_MULTICAST &&
           entry.second.row.keys.empty();
  });
  return true;
}

ChainPosition Agent::CommittedOf(const Chain& chain) {
  if (chain.pending_at.empty()) return chain.next;
  return std::min(*chain.pending_at.begin(), chain.next);
}

void Agent::Settle(Chain* chain) {
  const ChainPosition committed = CommittedOf(*chain);
  for (ChainKey& key : chain->row.keys) {
    key.done = std::max(key.done, committed);
  }
}

bool Agent::Commit(uint64_t ticket) {
  for (auto& [id, chain] : chains_) {
    if (!chain.pending.contains(ticket)) continue;
    while (!chain.pending.empty() && chain.pending.begin()->first <= ticket) {
      const Pending& pending = chain.pending.begin()->second;
      if (!pending.filter_name.empty()) {
        committed_.Take(pending.filter_name, pending.sequence);
      }
      chain.pending_at.erase(chain.pending_at.find(pending.at));
      chain.pending.erase(chain.pending.begin());
    }
    Settle(&chain);
    return true;
  }
  return false;
}

bool Agent::CommitAll() {
  bool any = false;
  for (auto& [id, chain] : chains_) {
    if (chain.pending.empty()) continue;
    any = true;
    Commit(chain.pending.rbegin()->first);
  }
  return any;
}

std::vector<ReadPlace> Agent::Committed() const {
  std::vector<ReadPlace> places;
  for (const auto& [id, chain] : chains_) {
    const ChainPosition at = CommittedOf(chain);
    const ChainSegment* segment = SegmentAt(chain.row, at.epoch);
    if (segment == nullptr || segment->epoch != at.epoch) continue;
    places.push_back({segment->sub_cluster, segment->kafka_topic,
                      segment->kafka_partition, at.offset, 0});
  }
  return places;
}

std::vector<std::string> Agent::Gap(const ReadPlace& place, uint64_t low) {
  Chain* chain =
      FindChain(place.sub_cluster, place.kafka_topic, place.kafka_partition);
  std::vector<std::string> keys;
  if (chain == nullptr || place.round != chain->round) return keys;
  for (const ChainKey& key : chain->row.keys) {
    keys.push_back(chain->row.topic + "/" + key.key);
  }
  chain->next.offset = low;
  ++chain->round;
  Hop(chain);
  return keys;
}

}  // namespace kafed::client
