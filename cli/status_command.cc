// kafedctl status: how the metadata cluster is.
#include "cli/commands.h"
#include "cli/text.h"
#include "cli/words.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

void PrintSubClusters(const v1::StatusResponse& status, Printer* printer) {
  std::vector<Cells> rows;
  for (const v1::SubClusterStatus& each : status.sub_clusters()) {
    const auto add = [&](const std::string& topic, const std::string& keys,
                         const std::string& fill, const std::string& ready) {
      rows.push_back({each.spec().name(), each.spec().region(),
                      Word(each.state()), topic, keys, fill, ready});
    };
    for (const v1::TopicShare& share : each.shares()) {
      const uint64_t limit = share.key_limit();
      add(share.topic(),
          limit == 0 ? std::to_string(share.keys()) : Of(share.keys(), limit),
          limit == 0 ? "-" : std::to_string(share.keys() * 100 / limit) + " %",
          Of(share.kafka_topics_ready(), share.kafka_topics()));
    }
    if (each.shares().empty()) add("-", "0", "-", "0/0");
  }
  printer->PrintLine("");
  printer->PrintTable({{"CLUSTER"},
                       {"REGION"},
                       {"STATE"},
                       {"TOPIC"},
                       {"KEYS"},
                       {"FILL"},
                       {"KAFKA-TOPICS-READY"}},
                      rows);
}

void PrintHeadroom(const v1::StatusResponse& status, Printer* printer) {
  std::vector<Cells> rows;
  for (const v1::Headroom& each : status.headroom()) {
    rows.push_back({each.loss(), each.topic(), std::to_string(each.keys()),
                    std::to_string(each.room()),
                    each.room() >= each.keys() ? "yes" : "NO"});
  }
  printer->PrintLine("");
  printer->PrintTable({{"IF-LOST"}, {"TOPIC"}, {"KEYS"}, {"ROOM"}, {"FITS"}},
                      rows);
}

void PrintTables(const v1::StatusResponse& status, Printer* printer) {
  std::vector<Cells> rows;
  for (const v1::TableStatus& each : status.tables()) {
    rows.push_back({each.table(), std::to_string(each.rows())});
  }
  printer->PrintLine("");
  printer->PrintTable({{"TABLE"}, {"ROWS"}}, rows);
}

absl::Status ShowStatus(Invocation* run) {
  v1::StatusResponse it;
  RETURN_IF_ERROR(run->Call(v1::StatusRequest(), &it));
  Printer* printer = &run->printer();
  printer->PrintMessage(
      it,
      {{"Health", it.health()},
       {"Position", FormatPosition(it.position())},
       {"Image hash", it.image_hash()},
       {"Node", std::to_string(it.node_id()) + ", version " + it.version() +
                    ", feature level " + std::to_string(it.feature_level())},
       {"Up", FormatDuration(milliseconds(
                  static_cast<int64_t>(it.uptime_ms() / 1000 * 1000)))},
       {"Log kept from", std::to_string(it.position().incarnation()) + ":" +
                             std::to_string(it.log_first_index())},
       {"Log", it.log_backend() == "local"
                   ? it.log_backend()
                   : it.log_backend() + ", this node was at its tail " +
                         std::to_string(it.lag_ms()) + " ms ago"},
       {"Followers", std::to_string(it.followers())},
       {"Sessions", std::to_string(it.sessions())},
       {"Pending markers", std::to_string(it.pending_markers())},
       {"Memory", std::to_string(it.memory_bytes() >> 20) + " MiB"}});
  if (!it.sub_clusters().empty()) PrintSubClusters(it, printer);
  if (!it.headroom().empty()) PrintHeadroom(it, printer);
  if (printer->wide()) PrintTables(it, printer);
  return absl::OkStatus();
}

}  // namespace

void AddStatusCommand(Command root) {
  root.Verb("status", "Health, position, sub-clusters, fill and headroom")
      .Runs(ShowStatus);
}

}  // namespace kafed::cli
