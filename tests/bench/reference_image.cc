// reference_image FILE: a snapshot of the whole reference federation, for
// `kafed restore`: the fleet with 100,000 VPCs, most of 10 hosts, 100 of 1,000
// and one of 100,000, whose markers were all written. Prints one JSON line:
// "memberships", "vpcs", "image_bytes", and microseconds that the join of one
// more host takes, "join_large_us" for the largest VPC and "join_small_us".
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "common/snapshot_file.h"
#include "federation/image/image_io.h"
#include "federation/plan/planners.h"
#include "tests/bench/fleet_model.h"

namespace kafed::bench {
namespace {

using federation::Draft;
using federation::Image;

constexpr uint32_t kVpcs = 100'000;
constexpr uint32_t kHosts = 1'000'000;
constexpr uint32_t kSubClusters = 10;
constexpr uint32_t kJoin = 1'000;  // hosts of one call

uint32_t SizeOf(uint32_t vpc) {
  return vpc == 0 ? 100'000 : vpc <= 100 ? 1'000 : 10;
}

// Members of a VPC are of one zone, as hosts of one tenant mostly are; those of
// the largest are everywhere.
uint32_t MemberOf(uint32_t vpc, uint32_t number) {
  if (vpc == 0) return number;
  const uint64_t column = (uint64_t{vpc} * 17 + number) % (kHosts / 10);
  return static_cast<uint32_t>(column * kSubClusters + vpc % kSubClusters);
}

std::string VpcName(uint32_t vpc) { return "vpc-" + std::to_string(vpc); }

absl::Status Create(uint32_t vpc, Draft* draft) {
  v1::CreateVpcRequest request;
  request.set_id(VpcName(vpc));
  request.set_region("eu");
  return federation::PlanCreateVpc(request, draft).status();
}

absl::Status Join(uint32_t vpc, uint32_t from, uint32_t to, Draft* draft) {
  v1::AddVpcHostsRequest request;
  request.set_vpc(VpcName(vpc));
  for (uint32_t i = from; i < to; ++i) {
    request.add_hosts(HostName(MemberOf(vpc, i), false));
  }
  const auto plan = federation::PlanAddVpcHosts(request, {}, draft);
  if (!plan.ok()) return plan.status();
  v1::Record record;
  v1::MarkersWritten& written = *record.mutable_markers_written();
  written.set_vpc(request.vpc());
  *written.mutable_hosts() = request.hosts();
  written.set_membership_version(plan->membership_version);
  draft->Add(std::move(record));
  return absl::OkStatus();
}

void CreateTopic(Image* image) {
  v1::CreateTopicRequest topic;
  topic.mutable_spec()->set_name("vpc");
  topic.mutable_spec()->set_kind(v1::TOPIC_KIND_MULTICAST);
  Commit(image, [&](Draft* draft) {
    return federation::PlanCreateTopic(topic, draft).status();
  });
}

size_t AddVpcs(Image* image) {
  size_t memberships = 0;
  constexpr uint32_t kGroup = 50;  // VPCs of one entry
  for (uint32_t begin = 0; begin < kVpcs; begin += kGroup) {
    Commit(image, [&](Draft* draft) {
      absl::Status status;
      for (uint32_t vpc = begin; vpc < begin + kGroup && status.ok(); ++vpc) {
        status = Create(vpc, draft);
        if (status.ok() && SizeOf(vpc) < kJoin) {
          memberships += SizeOf(vpc);
          status = Join(vpc, 0, SizeOf(vpc), draft);
        }
      }
      return status;
    });
    for (uint32_t vpc = begin; vpc < begin + kGroup; ++vpc) {
      if (SizeOf(vpc) < kJoin) continue;
      for (uint32_t from = 0; from < SizeOf(vpc); from += kJoin) {
        memberships += kJoin;
        Commit(image, [&](Draft* draft) {
          return Join(vpc, from, from + kJoin, draft);
        });
      }
    }
  }
  return memberships;
}

// Microseconds of one more host's joining the VPC, an entry each; median.
double JoinCost(const Image& image, uint32_t vpc) {
  std::vector<double> times;
  for (uint32_t i = 0; i < 200; ++i) {
    const auto begun = std::chrono::steady_clock::now();
    Image next = image;
    const uint32_t member = SizeOf(vpc) + i;
    Commit(&next,
           [&](Draft* draft) { return Join(vpc, member, member + 1, draft); });
    times.push_back(std::chrono::duration<double, std::micro>(
                        std::chrono::steady_clock::now() - begun)
                        .count());
  }
  std::nth_element(times.begin(), times.begin() + 100, times.end());
  return times[100];
}

int Main(const char* path) {
  Image image = MakeImage({.hosts = kHosts});
  CreateTopic(&image);
  const size_t bound = image.table(federation::Table::kBindings).size();
  const size_t memberships = AddVpcs(&image);
  const auto written = WriteSnapshotFile(
      path, federation::HeaderOf(image), [&](SnapshotWriter& writer) {
        return federation::AddRows(image, &writer);
      });
  if (!written.ok()) {
    std::fprintf(stderr, "reference_image: %s\n",
                 std::string(written.status().message()).c_str());
    return 1;
  }
  std::printf(
      "{\"memberships\": %zu, \"vpcs\": %zu, \"image_bytes\": %zu, "
      "\"join_large_us\": %.1f, \"join_small_us\": %.1f}\n",
      memberships, image.table(federation::Table::kBindings).size() - bound,
      image.MemoryBytes(), JoinCost(image, 0), JoinCost(image, kVpcs - 1));
  return 0;
}

}  // namespace
}  // namespace kafed::bench

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: reference_image FILE\n");
    return 2;
  }
  return kafed::bench::Main(argv[1]);
}
