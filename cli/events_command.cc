// kafedctl events: the records of the event log, as stored.
#include <sstream>

#include "cli/commands.h"
#include "cli/text.h"
#include "common/position.h"
#include "common/status_macros.h"
#include "kafed/v1/events.pb.h"

namespace kafed::cli {
namespace {

struct EventsArguments {
  std::string from;
  std::string to;
  bool follow = false;
};

// A bare index means the node's present incarnation.
absl::StatusOr<v1::Position> PositionOf(const std::string& name,
                                        const std::string& text,
                                        Invocation* run) {
  v1::Position position;
  if (text.empty()) return position;
  uint64_t current = 0;
  const absl::Status shape = ParsePosition(text, 0).status();
  if (!shape.ok()) {
    return UsageError(name + ": " + std::string(shape.message()));
  }
  if (text.find(':') == std::string::npos) {
    v1::StatusResponse status;
    RETURN_IF_ERROR(run->Call(v1::StatusRequest(), &status));
    current = status.position().incarnation();
  }
  ASSIGN_OR_RETURN(const Position parsed, ParsePosition(text, current));
  position.set_incarnation(parsed.incarnation);
  position.set_index(parsed.index.value());
  return position;
}

// The name of the fact, such as "host_added"; empty: of a newer version.
const google::protobuf::FieldDescriptor* FactOf(const v1::Record& record) {
  return v1::Record::GetReflection()->GetOneofFieldDescriptor(
      record, v1::Record::descriptor()->oneof_decl(0));
}

void WriteRecord(const v1::EntryHeader& header, const v1::Record& record,
                 DocumentWriter* writer) {
  const auto* fact = FactOf(record);
  writer->BeginObject();
  writer->Key("position");
  writer->Text(FormatPosition(header.position()));
  writer->Key("time");
  writer->Text(FormatTime(header.time_ms()));
  writer->Key("time_ms");
  writer->Text(std::to_string(header.time_ms()));
  writer->Key("writer_node_id");
  writer->Text(std::to_string(header.writer_node_id()));
  writer->Key("record");
  writer->Text(fact == nullptr ? "unknown" : fact->name());
  if (fact != nullptr) {
    writer->Key(fact->name());
    WriteMessage(v1::Record::GetReflection()->GetMessage(record, fact),
                 Defaults::kWrite, writer);
  }
  writer->EndObject();
  writer->EndDocument();
}

void PrintRecord(const v1::EntryHeader& header, const v1::Record& record,
                 std::ostream* out) {
  const auto* fact = FactOf(record);
  *out << FormatPosition(header.position()) << "  "
       << FormatTime(header.time_ms()) << "  "
       << (fact == nullptr ? "unknown" : fact->name());
  if (fact != nullptr) {
    *out << "  "
         << ToJsonLine(v1::Record::GetReflection()->GetMessage(record, fact));
  }
  *out << '\n';
}

absl::Status ReadEvents(const EventsArguments& arguments, Invocation* run) {
  v1::ReadEventsRequest request;
  ASSIGN_OR_RETURN(*request.mutable_from(),
                   PositionOf("--from", arguments.from, run));
  ASSIGN_OR_RETURN(*request.mutable_to(),
                   PositionOf("--to", arguments.to, run));
  request.set_follow(arguments.follow);
  ASSIGN_OR_RETURN(
      auto stream,
      run->connection().Open(request, arguments.follow ? StepTime::kUnlimited
                                                       : StepTime::kTimeout));
  std::ostream* out = run->streams().out;
  // One line for each record, also in JSON: they may never end.
  const auto writer = run->printer().format() == OutputFormat::kYaml
                          ? MakeYamlWriter(out)
                          : MakeJsonWriter(out, JsonStyle::kOneLine);
  v1::Entry entry;
  bool ok = stream->Write(request) && stream->WritesDone();
  while (ok && (ok = stream->Read(&entry)) && *out) {
    for (const v1::Record& record : entry.records()) {
      if (run->printer().structured()) {
        WriteRecord(entry.header(), record, writer.get());
      } else {
        PrintRecord(entry.header(), record, out);
      }
    }
    if (arguments.follow) out->flush();
  }
  return ok ? absl::OkStatus() : stream->Finish();
}

}  // namespace

void AddEventsCommand(Command root) {
  auto arguments = std::make_shared<EventsArguments>();
  Command events =
      root.Verb("events", "The records of the event log, one a line");
  events.Option("--from", "POSITION",
                "First position, as COUNTER:INDEX or INDEX (the oldest kept)",
                Into(&arguments->from));
  events.Option("--to", "POSITION", "Last position (the newest)",
                Into(&arguments->to));
  events.Flag("-f,--follow", "Go on with new records as they come",
              &arguments->follow);
  events.Runs(
      [arguments](Invocation* run) { return ReadEvents(*arguments, run); });
}

}  // namespace kafed::cli
