#include "tests/bench/fleet_model.h"

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>

#include "federation/image/incarnation.h"
#include "federation/plan/planners.h"

namespace kafed::bench {
namespace {

constexpr uint32_t kSubClusters = 10;
constexpr uint32_t kPartitionsPerTopic = 50;
// Rows that a node sends in one message, about.
constexpr size_t kBatch = 10'000;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "fleet model: %s\n", what.c_str());
  std::_Exit(1);
}

uint64_t Mix(uint64_t value) {  // splitmix64
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

std::string Zone(uint32_t sub_cluster) {
  return "z" + std::to_string(sub_cluster < 3 ? 1 : sub_cluster < 6 ? 2 : 3);
}

v1::Row KafkaTopicRow(uint32_t topic, uint32_t topics) {
  v1::Row row;
  v1::KafkaTopicRow* out = row.mutable_kafka_topic();
  out->set_id(topic + 1);
  const uint32_t sub_cluster = topic * kSubClusters / topics;
  out->set_sub_cluster_id(sub_cluster + 1);
  out->set_name("nca.g1." + std::to_string(topic));
  out->set_ready(true);
  return row;
}

v1::Row PartitionRow(uint32_t number, const FleetShape& shape) {
  v1::Row row;
  v1::PartitionRow* out = row.mutable_partition();
  out->set_topic_id(kTopic.value());
  out->set_partition(number);
  v1::Segment* segment = out->add_chain();
  const uint32_t topics = shape.partitions / kPartitionsPerTopic;
  const uint32_t topic = number / kPartitionsPerTopic;
  segment->set_sub_cluster_id(topic * kSubClusters / topics + 1);
  segment->set_kafka_topic_id(topic + 1);
  segment->set_kafka_partition(number % kPartitionsPerTopic);
  segment->set_epoch((uint64_t{1} << 32) + 1);
  segment->set_state(v1::SEGMENT_STATE_OPEN);
  return row;
}

void ForEachRow(const FleetShape& shape,
                const std::function<void(const v1::Row&)>& visit) {
  for (uint32_t i = 0; i < kSubClusters; ++i) {
    v1::Row row;
    v1::SubClusterRow* out = row.mutable_sub_cluster();
    out->set_id(i + 1);
    out->set_name("eu-" + std::to_string(i));
    out->set_region("eu");
    out->add_zones(Zone(i));
    out->set_bootstrap_servers("broker-" + std::to_string(i) + ":9092");
    out->set_kafka_cluster_id("cluster-" + std::to_string(i));
    out->set_state(v1::SUB_CLUSTER_STATE_ACTIVE);
    visit(row);
  }
  v1::Row topic_row;
  topic_row.mutable_topic()->set_id(kTopic.value());
  topic_row.mutable_topic()->set_name("nca");
  topic_row.mutable_topic()->set_kind(v1::TOPIC_KIND_UNICAST);
  topic_row.mutable_topic()->set_lease_ttl_ms(10'000);
  visit(topic_row);
  const uint32_t topics = shape.partitions / kPartitionsPerTopic;
  for (uint32_t i = 0; i < topics; ++i) visit(KafkaTopicRow(i, topics));
  for (uint32_t i = 0; i < shape.partitions; ++i) visit(PartitionRow(i, shape));
  const uint32_t keys = shape.hosts / shape.partitions;
  for (uint32_t i = 0; i < shape.hosts; ++i) {
    v1::Row row;
    row.mutable_key()->set_topic_id(kTopic.value());
    row.mutable_key()->set_key(HostName(i, shape.uuid));
    row.mutable_key()->add_partitions(i / keys);
    visit(row);
  }
}

// In the child: a view made from the rows, then its rows in the order of its
// tables, each after its length.
void SendRows(const FleetShape& shape, std::FILE* out) {
  federation::RouteView view;
  ForEachRow(shape, [&](const v1::Row& row) {
    if (!view.Apply(row).ok()) Die("a row does not apply");
  });
  std::string bytes;
  view.ForEachRow([&](const v1::Row& row) {
    row.SerializeToString(&bytes);
    const auto size = static_cast<uint32_t>(bytes.size());
    std::fwrite(&size, sizeof(size), 1, out);
    std::fwrite(bytes.data(), 1, bytes.size(), out);
  });
}

}  // namespace

std::string HostName(uint32_t index, bool uuid) {
  char text[40];
  if (!uuid) {
    std::snprintf(text, sizeof(text), "host-%06u", index);
    return text;
  }
  const uint64_t a = Mix(2 * uint64_t{index});
  const uint64_t b = Mix(2 * uint64_t{index} + 1);
  std::snprintf(
      text, sizeof(text), "%08x-%04x-4%03x-a%03x-%012llx",
      static_cast<unsigned>(a >> 32), static_cast<unsigned>(a >> 16) & 0xffff,
      static_cast<unsigned>(a) & 0xfff, static_cast<unsigned>(b >> 52),
      static_cast<unsigned long long>(b & 0xffff'ffff'ffff));
  return text;
}

federation::RouteView MakeView(const FleetShape& shape) {
  int ends[2];
  if (pipe(ends) != 0) Die("no pipe");
  const pid_t child = fork();
  if (child < 0) Die("no process");
  if (child == 0) {
    close(ends[0]);
    std::FILE* out = fdopen(ends[1], "w");
    SendRows(shape, out);
    std::_Exit(std::fclose(out) == 0 ? 0 : 1);
  }
  close(ends[1]);
  std::FILE* in = fdopen(ends[0], "r");
  federation::RouteView view;
  federation::RouteView published;
  std::string bytes;
  v1::Row row;
  uint32_t size = 0;
  for (size_t rows = 0; std::fread(&size, sizeof(size), 1, in) == 1; ++rows) {
    bytes.resize(size);
    if (std::fread(bytes.data(), 1, size, in) != size ||
        !row.ParseFromString(bytes) || !view.Apply(row).ok()) {
      Die("a row does not apply");
    }
    if (rows % kBatch == 0) published = view;
  }
  std::fclose(in);
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0 ||
      view.keys() != shape.hosts) {
    Die("the rows did not all come");
  }
  return view;
}

KeyStream::KeyStream(const FleetShape& shape, size_t count) {
  std::mt19937_64 random(42);
  std::vector<size_t> ends(count);
  for (size_t i = 0; i < count; ++i) {
    bytes_ +=
        HostName(static_cast<uint32_t>(random() % shape.hosts), shape.uuid);
    ends[i] = bytes_.size();
  }
  keys_.reserve(count);
  for (size_t i = 0, begin = 0; i < count; begin = ends[i], ++i) {
    keys_.emplace_back(bytes_.data() + begin, ends[i] - begin);
  }
}

void Commit(federation::Image* image,
            const std::function<absl::Status(federation::Draft*)>& plan,
            std::vector<federation::ChangedRow>* changes) {
  v1::EntryHeader header;
  header.set_entry_id("0123456789abcdef");
  header.mutable_position()->set_incarnation(1);
  header.mutable_position()->set_nonce(7);
  header.mutable_position()->set_index(image->head().index.value() + 1);
  header.set_feature_level(federation::kFeatureLevel);
  header.set_predecessor_hash(image->head().header_hash);
  header.set_time_ms(1'700'000'000'000 + image->head().index.value());
  federation::Draft draft(*image, header);
  const absl::Status status = plan(&draft);
  if (!status.ok()) Die(std::string(status.message()));
  *image = draft.image();
  if (changes != nullptr) *changes = draft.changes();
}

v1::HostSpec HostOf(const std::string& id, uint32_t index) {
  v1::HostSpec host;
  host.set_id(id);
  host.set_region("eu");
  host.set_zone(Zone(index % kSubClusters));
  return host;
}

federation::Image MakeImage(const FleetShape& shape) {
  federation::Image image;
  Commit(&image, [](federation::Draft* draft) {
    v1::Record record;
    record.mutable_incarnation_began()->set_reason(
        std::string(federation::kReasonNew));
    draft->Add(record);
    return absl::OkStatus();
  });
  const uint32_t topics = shape.partitions / kPartitionsPerTopic / kSubClusters;
  for (uint32_t i = 0; i < kSubClusters; ++i) {
    v1::AddSubClusterRequest request;
    v1::SubClusterSpec* spec = request.mutable_spec();
    spec->set_name("eu-" + std::to_string(i));
    spec->set_region("eu");
    spec->add_zones(Zone(i));
    spec->set_bootstrap_servers("127.0.0.1:9092");
    spec->mutable_profile()->set_topics(2 * topics + 50);
    spec->mutable_profile()->set_partitions_per_topic(kPartitionsPerTopic);
    spec->mutable_profile()->set_keys_per_partition(shape.hosts /
                                                    shape.partitions);
    Commit(&image, [&](federation::Draft* draft) {
      return federation::PlanAddSubCluster(request, draft).status();
    });
  }
  v1::CreateTopicRequest topic;
  topic.mutable_spec()->set_name("nca");
  topic.mutable_spec()->set_kind(v1::TOPIC_KIND_UNICAST);
  Commit(&image, [&](federation::Draft* draft) {
    return federation::PlanCreateTopic(topic, draft).status();
  });
  constexpr uint32_t kPart = 2'000;
  for (uint32_t from = 0; from < shape.hosts; from += kPart) {
    std::vector<v1::HostSpec> hosts;
    for (uint32_t i = from; i < std::min(from + kPart, shape.hosts); ++i) {
      hosts.push_back(HostOf(HostName(i, shape.uuid), i));
    }
    Commit(&image, [&](federation::Draft* draft) {
      return federation::PlanAddHosts(hosts, false, draft);
    });
  }
  return image;
}

}  // namespace kafed::bench
