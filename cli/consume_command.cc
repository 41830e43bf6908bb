// kafedctl consume: the messages of one key, from the Kafka partitions that
// hold them.
#include <algorithm>
#include <sstream>

#include "cli/chain_reader.h"
#include "cli/commands.h"
#include "cli/message_format.h"
#include "cli/text.h"
#include "client/mirror.h"
#include "client/rpc/grpc_connection.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "common/uuid.h"

namespace kafed::cli {
namespace {

constexpr milliseconds kPoll{100};

struct ConsumeArguments {
  std::string key;
  MessageFormat format;
  uint64_t count = 0;  // 0: no limit
  bool exit_at_end = false;
  ChainReaderOptions reader;
};

void WriteMessageLine(const KafkaMessage& message, DocumentWriter* writer) {
  const auto text = [writer](std::string_view name, std::string_view value) {
    writer->Key(name);
    writer->Text(value);
  };
  writer->BeginObject();
  text("key", message.key);
  text("kafka_topic", message.kafka_topic);
  writer->Key("kafka_partition");
  writer->Literal(std::to_string(message.kafka_partition));
  text("offset", std::to_string(message.offset));
  text("time_ms", std::to_string(message.time_ms));
  if (message.kafed) {
    text("epoch", std::to_string(message.kafed->epoch));
    text("source", ToHex(AsBytes(message.kafed->source)));
    text("sequence", std::to_string(message.kafed->sequence));
  }
  writer->Key("headers");
  writer->BeginObject();
  for (const auto& [name, value] : message.headers) text(name, value);
  writer->EndObject();
  text("payload", message.payload);
  writer->EndObject();
  writer->EndDocument();
}

// One run: a reader for each partition of the key.
class Consumption {
 public:
  Consumption(const ConsumeArguments& arguments, Invocation* run)
      : arguments_(arguments),
        run_(*run),
        id_(arguments.key.substr(arguments.key.find('/') + 1)) {}

  absl::Status Run() {
    // A node that is not there is told at once, not after the timeout.
    v1::StatusResponse ignored;
    RETURN_IF_ERROR(run_.Call(v1::StatusRequest(), &ignored));
    client::MirrorOptions options;
    options.connector = client::GrpcConnector();
    options.nodes = run_.options().servers;
    options.topics = {arguments_.key.substr(0, arguments_.key.find('/'))};
    ASSIGN_OR_RETURN(mirror_, client::Mirror::Create(options));
    RETURN_IF_ERROR(mirror_->WaitReady(run_.options().timeout));
    writer_ = run_.printer().format() == OutputFormat::kYaml
                  ? MakeYamlWriter(run_.streams().out)
                  : MakeJsonWriter(run_.streams().out, JsonStyle::kOneLine);
    ASSIGN_OR_RETURN(const auto targets,
                     mirror_->view()->Route(arguments_.key));
    for (const federation::Target& target : targets) {
      readers_.push_back(
          {ChainReader(target.topic, target.partition, arguments_.reader)});
    }
    while (!Done()) RETURN_IF_ERROR(Round());
    run_.streams().out->flush();
    return absl::OkStatus();
  }

 private:
  struct Reading {
    ChainReader reader;
    bool at_end = false;
  };

  bool Done() const {
    if (Enough() || !*run_.streams().out) return true;
    return arguments_.exit_at_end &&
           std::all_of(readers_.begin(), readers_.end(),
                       [](const Reading& each) { return each.at_end; });
  }
  bool Enough() const {
    return arguments_.count > 0 && printed_ >= arguments_.count;
  }

  absl::Status Round() {
    const auto view = mirror_->view();
    bool idle = true;
    for (Reading& each : readers_) {
      // Takes what is there before it turns to the next partition.
      milliseconds wait = kPoll / static_cast<int>(readers_.size());
      while (!Enough()) {
        ASSIGN_OR_RETURN(const ChainReader::Step step,
                         each.reader.Next(*view, wait));
        each.at_end = step.at_end;
        if (!step.message) break;
        idle = false;
        wait = milliseconds(0);
        Print(*step.message);
      }
    }
    if (idle) run_.streams().out->flush();
    return absl::OkStatus();
  }

  void Print(const KafkaMessage& message) {
    const bool control =
        message.kafed && message.kafed->kind != MessageKind::kData;
    if (control || message.key != id_) return;
    ++printed_;
    if (run_.printer().structured()) {
      WriteMessageLine(message, writer_.get());
    } else {
      *run_.streams().out << arguments_.format.Format(message);
    }
  }

  const ConsumeArguments& arguments_;
  Invocation& run_;
  const std::string id_;
  std::unique_ptr<client::Mirror> mirror_;
  std::unique_ptr<DocumentWriter> writer_;
  std::vector<Reading> readers_;
  uint64_t printed_ = 0;
};

}  // namespace

void AddConsumeCommand(Command root) {
  auto arguments = std::make_shared<ConsumeArguments>();
  ConsumeArguments* a = arguments.get();
  a->format = *MessageFormat::Parse("%s\\n");
  Command consume = root.Verb(
      "consume", "Print the messages of a key, oldest first, as they come");
  consume.Positional("KEY", "The key as TOPIC/ID", Into(&a->key));
  consume.Option("-f,--format", "FORMAT",
                 "%k key, %s payload, %o offset, %t Kafka topic, %p Kafka "
                 "partition, %T time in ms, %e epoch, %q sequence, %h headers, "
                 "%S and %K sizes, %% (%s\\n)",
                 [a](const std::string& text) -> absl::Status {
                   ASSIGN_OR_RETURN(a->format, MessageFormat::Parse(text));
                   return absl::OkStatus();
                 });
  consume.Option("-c,--count", "N", "Exit after so many messages",
                 Number64From(1, [a](uint64_t n) { a->count = n; }));
  consume.Flag("-e,--exit-at-end", "Exit when all there is was read",
               &a->exit_at_end);
  consume.Option(
      "-o,--offset", "WHERE",
      "Where to begin: beginning or end (beginning); the global option "
      "is only --output here",
      Choice({"beginning", "end"},
             [a](size_t i) { a->reader.from_end = i == 1; }));
  consume.Option("--secrets-dir", "DIR",
                 "Folder of the credentials files that sub-clusters name",
                 Into(&a->reader.secrets_dir));
  consume.Runs([arguments](Invocation* run) -> absl::Status {
    const size_t slash = arguments->key.find('/');
    if (slash == 0 || slash == std::string::npos) {
      return UsageError("KEY: '" + arguments->key +
                        "' is not a key; expected TOPIC/ID, such as "
                        "nca/host-17");
    }
    SetUpLogging(LogLevel::kError, false);
    arguments->reader.timeout = run->options().timeout;
    return Consumption(*arguments, run).Run();
  });
}

}  // namespace kafed::cli
