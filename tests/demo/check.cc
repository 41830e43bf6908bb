// The checker: a process of its own that trusts nobody.
//
// It reads every message with a plain Kafka consumer, what the producers and
// agents wrote down, and nothing of kafed's own counters; prints the one JSON
// line and fails unless all was delivered, nothing lost, doubled or reordered.
#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "common/kafka_header.h"
#include "tests/demo/commands.h"
#include "tests/demo/ledger.h"
#include "tests/demo/plain_consumer.h"

namespace kafed::demo {
namespace {

using MessageId = std::pair<std::string, uint64_t>;  // producer, sequence

struct Sent {
  std::string key;
  uint64_t time_ns = 0;
};

struct Figures {
  uint64_t sent = 0;
  uint64_t expected = 0;
  uint64_t delivered = 0;
  uint64_t repeats_filtered = 0;
  uint64_t duplicated = 0;
  uint64_t reordered = 0;
  uint64_t strays = 0;
  uint64_t missing_in_kafka = 0;
  double foreign_per_own = 0;
  uint64_t route_p99_us = 0;
};

class Checker {
 public:
  explicit Checker(const CheckOptions& options) : options_(options) {}

  int Run() {
    ReadSent();
    ReadMembers();
    const absl::Status read = ReadKafka();
    if (!read.ok()) {
      std::fprintf(stderr, "check: Kafka can't be read: %s\n",
                   std::string(read.message()).c_str());
      return 1;
    }
    Expect();
    ReadGot();
    CountForeign();
    CountRoutes();
    return Print();
  }

 private:
  std::string Path(const std::string& name) const {
    return options_.folder + "/" + name;
  }

  void ReadSent() {
    for (const std::string& path : FindLedgers(options_.folder, "sent.")) {
      const std::string name = path.substr(path.rfind('/') + 1);
      const std::string producer = name.substr(5, name.size() - 5 - 4);
      for (const auto& line : ReadLedger(path)) {
        sent_[{producer, std::stoull(line.at(0))}] = {line.at(1),
                                                      std::stoull(line.at(2))};
      }
    }
    figures_.sent = sent_.size();
  }

  void ReadMembers() {
    for (const auto& line : ReadLedger(Path("members.tsv"))) {
      members_[line.at(0)].push_back(
          {line.at(1), std::stoull(line.at(2)), std::stoull(line.at(3))});
    }
    for (const auto& line : ReadLedger(Path("placement.tsv"))) {
      hosts_on_[{line.at(1), line.at(2), std::stoi(line.at(3))}] += 1;
    }
  }

  // Every message of every partition, to its end.
  absl::Status ReadKafka() {
    std::map<std::string, std::vector<Place>> places;
    for (const auto& line : ReadLedger(Path("places.tsv"))) {
      places[line.at(0)].emplace_back(line.at(1), std::stoi(line.at(2)));
    }
    for (const auto& line : ReadLedger(Path("clusters.tsv"))) {
      auto consumer = PlainConsumer::Create(line.at(1));
      if (!consumer.ok()) return consumer.status();
      const absl::Status added = (*consumer)->Add(places[line.at(0)]);
      if (!added.ok()) return added;
      PlainMessage message;
      int idle = 0;
      while (idle < 3) {
        const auto got = (*consumer)->Poll(300, &message);
        if (!got.ok()) return got.status();
        if (*got) {
          idle = 0;
          TakeKafka(line.at(0), message);
        } else if ((*consumer)->AtEnd()) {
          ++idle;
        }
      }
    }
    for (const auto& [id, sent] : sent_) {
      if (!in_kafka_.contains(id)) ++figures_.missing_in_kafka;
    }
    return absl::OkStatus();
  }

  void TakeKafka(const std::string& cluster, const PlainMessage& message) {
    const auto header = DecodeKafkaHeader(message.kafed_header);
    if (!header.ok() || header->kind != MessageKind::kData) return;
    const auto payload = DecodePayload(message.value);
    if (!payload) return;
    const std::tuple<std::string, std::string, int32_t> place(
        cluster, message.kafka_topic, message.partition);
    if (!copies_[place].insert({payload->producer, payload->sequence}).second) {
      ++figures_.repeats_filtered;
    }
    in_kafka_.insert({payload->producer, payload->sequence});
    if (message.kafka_topic.rfind("nca.", 0) == 0) ++read_on_[place];
  }

  void Expect() {
    for (const auto& [id, sent] : sent_) {
      const size_t slash = sent.key.find('/');
      const std::string topic = sent.key.substr(0, slash);
      const std::string name = sent.key.substr(slash + 1);
      if (topic == "nca") {
        expected_.insert({id, name});
        ++own_;
      } else if (topic != "vpc") {
        expected_.insert({id, topic});  // one reader for all: elb, orders
      } else {
        for (const Member& member : members_[name]) {
          if (member.acknowledged_ns <= sent.time_ns) {
            expected_.insert({id, member.host});
          } else if (member.started_ns <= sent.time_ns) {
            allowed_.insert({id, member.host});  // during the join
          }
        }
      }
    }
    figures_.expected = expected_.size();
  }

  void ReadGot() {
    std::set<std::pair<MessageId, std::string>> seen;
    std::map<std::tuple<std::string, std::string, std::string>, uint64_t> last;
    for (const std::string& path : FindLedgers(options_.folder, "got.")) {
      for (const auto& line : ReadLedger(path)) {
        const std::string& agent = line.at(0);
        const MessageId id(line.at(1), std::stoull(line.at(2)));
        const std::pair<MessageId, std::string> delivery(id, agent);
        const bool wanted = expected_.contains(delivery);
        if (!wanted && !allowed_.contains(delivery)) {
          if (++figures_.strays == 1) {
            std::fprintf(stderr, "check: agent %s got %s %lu, not for it\n",
                         agent.c_str(), id.first.c_str(), id.second);
          }
          continue;
        }
        if (!seen.insert(delivery).second) {
          ++figures_.duplicated;
          continue;
        }
        if (wanted) ++figures_.delivered;
        uint64_t& newest = last[{id.first, line.at(3), agent}];
        if (id.second < newest) ++figures_.reordered;
        newest = std::max(newest, id.second);
      }
    }
    uint64_t shown = 0;
    for (const auto& [id, agent] : expected_) {
      if (seen.contains({id, agent}) || ++shown > 3) continue;
      std::fprintf(stderr, "check: agent %s missed %s %lu (%s)\n",
                   agent.c_str(), id.first.c_str(), id.second,
                   sent_[id].key.c_str());
    }
  }

  // Each host on a partition reads all of it.
  void CountForeign() {
    uint64_t read = 0;
    for (const auto& [place, messages] : read_on_) {
      read += messages * hosts_on_[place];
    }
    if (own_ > 0) {
      figures_.foreign_per_own =
          static_cast<double>(read - std::min(read, own_)) /
          static_cast<double>(own_);
    }
  }

  void CountRoutes() {
    std::vector<uint64_t> times;
    for (const std::string& path : FindLedgers(options_.folder, "route.")) {
      for (const auto& line : ReadLedger(path)) {
        times.push_back(std::stoull(line.at(0)));
      }
    }
    if (times.empty()) return;
    std::sort(times.begin(), times.end());
    figures_.route_p99_us = times[times.size() * 99 / 100];
  }

  int Print() const {
    const uint64_t lost = figures_.expected - figures_.delivered;
    std::printf(
        "{\"kafka\":\"%s\",\"sub_clusters\":%d,\"hosts\":%d,\"agents_real\":%d,"
        "\"agents_shared\":%d,\"sent\":%lu,\"expected\":%lu,\"delivered\":%lu,"
        "\"repeats_filtered\":%lu,\"lost\":%lu,\"duplicated\":%lu,"
        "\"reordered\":%lu,\"foreign_per_own\":%.2f,\"route_p99_us\":%lu}\n",
        options_.kafka.c_str(), options_.sub_clusters, options_.hosts,
        options_.agents_real, options_.agents_shared, figures_.sent,
        figures_.expected, figures_.delivered, figures_.repeats_filtered, lost,
        figures_.duplicated, figures_.reordered, figures_.foreign_per_own,
        figures_.route_p99_us);
    if (figures_.missing_in_kafka > 0) {
      std::fprintf(stderr, "check: %lu accepted messages are not in Kafka\n",
                   figures_.missing_in_kafka);
    }
    const bool good = figures_.sent > 0 && lost == 0 &&
                      figures_.duplicated == 0 && figures_.reordered == 0 &&
                      figures_.strays == 0 && figures_.missing_in_kafka == 0;
    return good ? 0 : 1;
  }

  struct Member {
    std::string host;
    uint64_t started_ns;
    uint64_t acknowledged_ns;
  };
  using PlaceOfCluster = std::tuple<std::string, std::string, int32_t>;
  const CheckOptions options_;
  Figures figures_;
  std::map<MessageId, Sent> sent_;
  std::map<std::string, std::vector<Member>> members_;
  std::map<PlaceOfCluster, uint64_t> hosts_on_;
  std::map<PlaceOfCluster, uint64_t> read_on_;
  std::map<PlaceOfCluster, std::set<MessageId>> copies_;
  std::set<MessageId> in_kafka_;
  std::set<std::pair<MessageId, std::string>> expected_;
  std::set<std::pair<MessageId, std::string>> allowed_;
  uint64_t own_ = 0;
};

}  // namespace

int Check(const CheckOptions& options) { return Checker(options).Run(); }

}  // namespace kafed::demo
