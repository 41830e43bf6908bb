// VPCs, their members and owners, and southbound instances.
#include <algorithm>
#include <string>

#include "common/status_macros.h"
#include "federation/image/apply_family.h"
#include "federation/image/spec_fields.h"

namespace kafed::federation {
namespace {

void CountMember(SubClusterId home, int delta, Vpc* vpc) {
  const auto at = std::find_if(
      vpc->homes.begin(), vpc->homes.end(),
      [&](const Vpc::Home& each) { return each.sub_cluster == home; });
  if (at == vpc->homes.end()) {
    vpc->homes.push_back({home, 1});
    return;
  }
  at->members =
      static_cast<uint32_t>(static_cast<int64_t>(at->members) + delta);
  if (at->members == 0) vpc->homes.erase(at);
}

// Appends a host to the member list; returns its chunk.
uint32_t AppendMember(const std::string& vpc_id, const std::string& host,
                      Vpc* vpc, Editor* editor) {
  VpcChunk chunk;
  if (vpc->chunks > 0) {
    chunk = editor->image().GetOr<VpcChunk>(Table::kVpcChunks,
                                            KeyOf(vpc_id, vpc->chunks - 1));
  }
  if (vpc->chunks == 0 || chunk.hosts.size() >= VpcChunk::kMaxHosts) {
    chunk.hosts.clear();
    ++vpc->chunks;
  }
  chunk.hosts.push_back(host);
  editor->Put(Table::kVpcChunks, KeyOf(vpc_id, vpc->chunks - 1), chunk);
  return vpc->chunks - 1;
}

// Takes a host out of the member list: the last member fills its place.
void RemoveFromChunks(const std::string& vpc_id, const std::string& host,
                      uint32_t chunk_number, Vpc* vpc, Editor* editor) {
  const Image& image = editor->image();
  const uint32_t last_number = vpc->chunks - 1;
  auto last =
      image.GetOr<VpcChunk>(Table::kVpcChunks, KeyOf(vpc_id, last_number));
  const std::string filler = last.hosts.back();
  last.hosts.pop_back();
  if (last.hosts.empty()) {
    editor->Erase(Table::kVpcChunks, KeyOf(vpc_id, last_number));
    --vpc->chunks;
  } else {
    editor->Put(Table::kVpcChunks, KeyOf(vpc_id, last_number), last);
  }
  if (filler == host) return;
  auto chunk =
      image.GetOr<VpcChunk>(Table::kVpcChunks, KeyOf(vpc_id, chunk_number));
  std::replace(chunk.hosts.begin(), chunk.hosts.end(), host, filler);
  editor->Put(Table::kVpcChunks, KeyOf(vpc_id, chunk_number), chunk);
  const std::string member_key = KeyOf(vpc_id, filler);
  auto member = image.GetOr<VpcMember>(Table::kVpcMembers, member_key);
  member.chunk = chunk_number;
  editor->Put(Table::kVpcMembers, member_key, member);
}

// The offsets that are for members at home in `home`.
std::vector<VpcMember::From> OffsetsFor(const v1::VpcHostsAdded& record,
                                        SubClusterId home, const Image& image) {
  std::vector<VpcMember::From> from;
  for (const v1::JoinOffset& offset : record.offsets()) {
    const TopicId topic(offset.topic_id());
    const auto binding = image.binding(topic, record.vpc());
    if (!binding) continue;
    for (const Binding::Target& target : binding->targets) {
      if (target.partition.value() == offset.partition() &&
          target.home == home) {
        from.push_back({topic, target.partition, Epoch(offset.epoch()),
                        offset.from_offset()});
      }
    }
  }
  return from;
}

void PutMarker(const std::string& vpc, const std::string& host,
               uint64_t version, bool join, Editor* editor) {
  PendingMarker marker;
  marker.version = version;
  marker.join = join;
  editor->Put(Table::kPendingMarkers, KeyOf(vpc, host), marker);
}

}  // namespace

absl::Status Apply(const v1::VpcCreated& record, Editor* editor) {
  if (editor->image().vpc(record.id())) {
    return DoesNotApply("VpcCreated", record.id() + " exists already");
  }
  Vpc row;
  row.region = record.region();
  editor->Put(Table::kVpcs, record.id(), row);
  return absl::OkStatus();
}

absl::Status Apply(const v1::VpcDeleted& record, Editor* editor) {
  const auto row = editor->image().vpc(record.id());
  if (!row || row->members != 0 || !row->owner.empty()) {
    return DoesNotApply("VpcDeleted", "no such VPC, or it is not empty");
  }
  editor->Erase(Table::kVpcs, record.id());
  return absl::OkStatus();
}

absl::Status Apply(const v1::VpcHostsAdded& record, Editor* editor) {
  const Image& image = editor->image();
  auto vpc = image.vpc(record.vpc());
  if (!vpc) return DoesNotApply("VpcHostsAdded", "no such VPC");
  if (record.membership_version() != vpc->membership_version + 1) {
    return DoesNotApply("VpcHostsAdded", "the version is not the next one");
  }
  vpc->membership_version = record.membership_version();
  for (int i = 0; i < record.hosts_size(); ++i) {
    const std::string& id = record.hosts(i);
    auto host = image.host(id);
    const std::string member_key = KeyOf(record.vpc(), id);
    if (!host || !host->home.valid() ||
        image.table(Table::kVpcMembers).Find(member_key)) {
      return DoesNotApply("VpcHostsAdded",
                          id + " is no host, has no home or is a member");
    }
    VpcMember member;
    member.chunk = AppendMember(record.vpc(), id, &*vpc, editor);
    member.version = record.membership_version();
    member.from = OffsetsFor(record, host->home, image);
    if (i < record.vms_size()) {
      const auto& vms = record.vms(i).ids();
      member.vms.assign(vms.begin(), vms.end());
    }
    editor->Put(Table::kVpcMembers, member_key, member);
    host->vpcs.push_back(record.vpc());
    editor->Put(Table::kHosts, id, *host);
    ++vpc->members;
    CountMember(host->home, 1, &*vpc);
    PutMarker(record.vpc(), id, record.membership_version(), true, editor);
  }
  editor->Put(Table::kVpcs, record.vpc(), *vpc);
  return absl::OkStatus();
}

absl::Status Apply(const v1::VpcHostsRemoved& record, Editor* editor) {
  const Image& image = editor->image();
  auto vpc = image.vpc(record.vpc());
  if (!vpc) return DoesNotApply("VpcHostsRemoved", "no such VPC");
  if (record.membership_version() != vpc->membership_version + 1) {
    return DoesNotApply("VpcHostsRemoved", "the version is not the next one");
  }
  vpc->membership_version = record.membership_version();
  for (const std::string& id : record.hosts()) {
    auto host = image.host(id);
    const std::string member_key = KeyOf(record.vpc(), id);
    const auto member = image.Get<VpcMember>(Table::kVpcMembers, member_key);
    if (!host || !member) {
      return DoesNotApply("VpcHostsRemoved", id + " is not a member");
    }
    RemoveFromChunks(record.vpc(), id, member->chunk, &*vpc, editor);
    editor->Erase(Table::kVpcMembers, member_key);
    std::erase(host->vpcs, record.vpc());
    editor->Put(Table::kHosts, id, *host);
    --vpc->members;
    CountMember(host->home, -1, &*vpc);
    PutMarker(record.vpc(), id, record.membership_version(), false, editor);
  }
  editor->Put(Table::kVpcs, record.vpc(), *vpc);
  return absl::OkStatus();
}

absl::Status Apply(const v1::MarkersWritten& record, Editor* editor) {
  for (const std::string& host : record.hosts()) {
    const std::string key = KeyOf(record.vpc(), host);
    const auto marker =
        editor->image().Get<PendingMarker>(Table::kPendingMarkers, key);
    // A later change of the membership needs a marker of its own.
    if (marker && marker->version <= record.membership_version()) {
      editor->Erase(Table::kPendingMarkers, key);
    }
  }
  return absl::OkStatus();
}

absl::Status Apply(const v1::InstanceAdded& record, Editor* editor) {
  Instance row;
  SetSpec(record.spec(), &row);
  editor->Put(Table::kInstances, record.spec().id(), row);
  return absl::OkStatus();
}

absl::Status Apply(const v1::InstanceRemoved& record, Editor* editor) {
  const auto row =
      editor->image().Get<Instance>(Table::kInstances, record.id());
  if (!row || row->vpcs != 0) {
    return DoesNotApply("InstanceRemoved", "no such instance, or it owns VPCs");
  }
  editor->Erase(Table::kInstances, record.id());
  return absl::OkStatus();
}

absl::Status Apply(const v1::VpcOwnerChanged& record, Editor* editor) {
  const Image& image = editor->image();
  auto vpc = image.vpc(record.vpc());
  if (!vpc || record.epoch() <= vpc->owner_epoch) {
    return DoesNotApply("VpcOwnerChanged", "no such VPC or an older epoch");
  }
  const auto count = [&](const std::string& id, int64_t delta) {
    auto instance = image.Get<Instance>(Table::kInstances, id);
    if (!instance) return false;
    instance->vpcs =
        static_cast<uint64_t>(static_cast<int64_t>(instance->vpcs) + delta);
    editor->Put(Table::kInstances, id, *instance);
    return true;
  };
  if ((!vpc->owner.empty() && !count(vpc->owner, -1)) ||
      (!record.instance().empty() && !count(record.instance(), 1))) {
    return DoesNotApply("VpcOwnerChanged", "no such instance");
  }
  vpc->owner = record.instance();
  vpc->owner_epoch = record.epoch();
  editor->Put(Table::kVpcs, record.vpc(), *vpc);
  return absl::OkStatus();
}

}  // namespace kafed::federation
