#include "tests/demo/shared_reader.h"

#include "kafed/v1/markers.pb.h"

namespace kafed::demo {

SharedReader::SharedReader(const std::set<std::string>* hosts,
                           LedgerWriter* got)
    : hosts_(*hosts), got_(*got) {}

bool SharedReader::IsNew(const std::string& agent, const std::string& key,
                         const KafkaHeader& header) {
  uint64_t& last = last_[{agent, key}][header.source];
  if (header.sequence <= last) return false;
  last = header.sequence;
  return true;
}

void SharedReader::Deliver(const std::string& agent, const std::string& value) {
  const auto payload = DecodePayload(value);
  if (!payload) return;
  got_.Add({agent, payload->producer, std::to_string(payload->sequence),
            payload->key});
  ++delivered_;
}

void SharedReader::TakeUnicast(const PlainMessage& message) {
  if (!hosts_.contains(message.key)) return;
  const auto header = DecodeKafkaHeader(message.kafed_header);
  if (!header.ok()) return;
  switch (header->kind) {
    case MessageKind::kSubscribe:
      return Join(message.value, true);
    case MessageKind::kUnsubscribe:
      return Join(message.value, false);
    case MessageKind::kMoved:
      return;
    case MessageKind::kData:
      break;
  }
  if (IsNew(message.key, message.key, *header)) {
    Deliver(message.key, message.value);
  }
}

void SharedReader::Join(const std::string& value, bool joins) {
  v1::MembershipMarker marker;
  if (!marker.ParseFromString(value)) return;
  Membership& membership = members_[marker.vpc()][marker.host()];
  if (marker.membership_version() <= membership.version) return;
  membership.version = marker.membership_version();
  membership.member = joins;
  membership.from.clear();
  for (const v1::MembershipChain& chain : marker.chains()) {
    membership.from[{chain.kafka_topic(),
                     static_cast<int32_t>(chain.kafka_partition())}] =
        static_cast<int64_t>(chain.from_offset());
  }
  if (!joins) return;
  for (const Kept& kept : kept_[marker.vpc()]) {
    const auto from = membership.from.find(kept.place);
    if (from != membership.from.end() && kept.offset >= from->second &&
        IsNew(marker.host(), marker.vpc(), kept.header)) {
      Deliver(marker.host(), kept.value);
    }
  }
}

void SharedReader::TakeMulticast(const PlainMessage& message) {
  const auto header = DecodeKafkaHeader(message.kafed_header);
  if (!header.ok() || header->kind != MessageKind::kData) return;
  const Place place(message.kafka_topic, message.partition);
  kept_[message.key].push_back({place, message.offset, message.value, *header});
  for (auto& [host, membership] : members_[message.key]) {
    if (!membership.member) continue;
    const auto from = membership.from.find(place);
    if (from != membership.from.end() && message.offset >= from->second &&
        IsNew(host, message.key, *header)) {
      Deliver(host, message.value);
    }
  }
}

void SharedReader::TakeHashed(const PlainMessage& message) {
  const auto header = DecodeKafkaHeader(message.kafed_header);
  if (!header.ok() || header->kind != MessageKind::kData) return;
  if (IsNew("orders", message.key, *header)) Deliver("orders", message.value);
}

}  // namespace kafed::demo
