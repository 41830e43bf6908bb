// kafedctl log: the event log and what keeps it.
#include "cli/commands.h"
#include "cli/text.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

std::string SizeOf(const v1::DescribeLogResponse& log) {
  const std::string bytes = std::to_string(log.size_bytes());
  if (log.budget_bytes() == 0) return bytes + " bytes, no limit";
  return bytes + " of " + std::to_string(log.budget_bytes()) + " bytes, " +
         std::to_string(log.size_bytes() * 100 / log.budget_bytes()) + " %";
}

std::string PlaceOf(const v1::DescribeLogResponse& log) {
  if (log.servers().empty()) return log.backend();
  return log.backend() + ", " + log.path() + " at " + log.servers();
}

absl::Status ShowStatus(Invocation* run) {
  v1::DescribeLogResponse log;
  RETURN_IF_ERROR(run->Call(v1::DescribeLogRequest(), &log));
  Printer* printer = &run->printer();
  const std::string incarnation =
      std::to_string(log.position().incarnation()) + ":";
  Fields lines{{"Log", PlaceOf(log)}};
  if (log.error().empty()) {
    lines.insert(
        lines.end(),
        {{"Health", "ok, answered in " +
                        std::to_string(log.answered_us() / 1000) + "." +
                        std::to_string(log.answered_us() / 100 % 10) + " ms"},
         {"Entries", incarnation + std::to_string(log.first_index()) + " to " +
                         incarnation + std::to_string(log.last_index())},
         {"Size", SizeOf(log)}});
  } else {
    lines.emplace_back("Health", "does not answer: " + log.error());
  }
  lines.emplace_back("This node's image", FormatPosition(log.position()));
  if (log.backend() != "local") {
    lines.emplace_back("This node's copy", "up to " + incarnation +
                                               std::to_string(log.copied_to()));
    lines.emplace_back("At the tail", std::to_string(log.lag_ms()) + " ms ago");
  }
  printer->PrintMessage(log, lines);
  std::vector<Cells> rows;
  rows.reserve(static_cast<size_t>(log.links_size()));
  for (int i = 0; i < log.links_size(); ++i) {
    const v1::LogLink& link = log.links(i);
    const bool open = i + 1 == log.links_size();
    rows.push_back(
        {link.loglet(), incarnation + std::to_string(link.first_index()),
         open
             ? ""
             : incarnation + std::to_string(log.links(i + 1).first_index() - 1),
         open ? "open" : "sealed"});
  }
  printer->PrintLine("");
  printer->PrintTable({{"LOGLET"}, {"FIRST"}, {"LAST"}, {"STATE"}}, rows);
  return absl::OkStatus();
}

}  // namespace

void AddLogCommands(Command root) {
  Command log = root.Noun("log", "The event log and what keeps it");
  log.Verb("status",
           "Where the log is kept, whether that answers, how much it keeps, "
           "and how far this node has followed it")
      .Runs(ShowStatus);
}

}  // namespace kafed::cli
