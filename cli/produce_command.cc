// kafedctl produce: one message for each line of stdin, to one key.
//
// A signal is an end of the input: what was sent is finished and the session
// closed, so that nobody waits for it until its lease is over.
#include <string>

#include "absl/synchronization/mutex.h"
#include "cli/commands.h"
#include "cli/line_source.h"
#include "cli/text.h"
#include "client/producer.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

constexpr milliseconds kBufferWait{100};

struct ProduceArguments {
  std::string key;
  std::vector<client::Header> headers;
  std::string secrets_dir;
};

// What became of the messages; reports come from other threads.
class Tally {
 public:
  void Accepted() {
    absl::MutexLock lock(&mutex_);
    ++sent_;
  }
  void Take(const client::DeliveryReport& report) {
    absl::MutexLock lock(&mutex_);
    if (report.status.ok()) {
      ++acknowledged_;
      copies_ += report.targets.size();
    } else {
      ++failed_;
      if (first_.ok()) first_ = report.status;
    }
  }

  bool any() {
    absl::MutexLock lock(&mutex_);
    return sent_ > 0;
  }

  absl::Status Print(Invocation* run) {
    absl::MutexLock lock(&mutex_);
    if (run->printer().structured()) {
      const auto document = run->printer().NewDocument();
      document->BeginObject();
      const auto number = [&](std::string_view name, uint64_t value) {
        document->Key(name);
        document->Literal(std::to_string(value));
      };
      number("sent", sent_);
      number("acknowledged", acknowledged_);
      number("failed", failed_);
      number("kafka_messages", copies_);
      document->EndObject();
      document->EndDocument();
    }
    *run->streams().error << acknowledged_ << " of " << sent_
                          << " messages acknowledged, as " << copies_
                          << " Kafka messages\n";
    if (failed_ == 0) return absl::OkStatus();
    return absl::Status(
        first_.code(),
        std::to_string(failed_) + " of " + std::to_string(sent_) +
            " messages failed: " + std::string(first_.message()));
  }

 private:
  absl::Mutex mutex_;
  uint64_t sent_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t acknowledged_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t failed_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t copies_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status first_ ABSL_GUARDED_BY(mutex_);
};

// Waits while the buffer is full; other refusals end the run.
absl::Status ProduceLine(const ProduceArguments& arguments,
                         const std::string& line, const LineSource& lines,
                         milliseconds timeout, client::Producer* producer,
                         Tally* tally) {
  const milliseconds end = RealClock().Steady() + timeout;
  while (true) {
    absl::Status status = producer->Produce(
        arguments.key, line, arguments.headers,
        [tally](const client::DeliveryReport& report) { tally->Take(report); });
    if (status.ok()) {
      tally->Accepted();
      return status;
    }
    const bool may_pass =
        absl::IsResourceExhausted(status) || absl::IsUnavailable(status);
    if (!may_pass || lines.interrupted() || RealClock().Steady() >= end) {
      return status;
    }
    // A timeout here only means that the buffer is not empty yet.
    (void)producer->Flush(kBufferWait);
  }
}

absl::Status Produce(const ProduceArguments& arguments, Invocation* run) {
  SetUpLogging(LogLevel::kError, false);
  LineSource lines(run->streams());
  // A node that is not there is told at once, not after the timeout.
  v1::StatusResponse ignored;
  RETURN_IF_ERROR(run->Call(v1::StatusRequest(), &ignored));
  client::ProducerOptions options;
  options.mirror.nodes = run->options().servers;
  options.mirror.topics = {arguments.key.substr(0, arguments.key.find('/'))};
  options.name = "kafedctl-produce";
  options.start_timeout = run->options().timeout;
  options.secrets_dir = arguments.secrets_dir;
  ASSIGN_OR_RETURN(auto producer, client::Producer::Create(options));
  Tally tally;
  absl::Status refused;
  for (std::string line; lines.Next(&line);) {
    refused = ProduceLine(arguments, line, lines, run->options().timeout,
                          producer.get(), &tally);
    if (!refused.ok()) break;
  }
  absl::Status closed = producer->Close(run->options().timeout);
  if (refused.ok() || tally.any()) RETURN_IF_ERROR(tally.Print(run));
  RETURN_IF_ERROR(Annotate(refused, "not sent"));
  return closed;
}

}  // namespace

void AddProduceCommand(Command root) {
  auto arguments = std::make_shared<ProduceArguments>();
  Command produce =
      root.Verb("produce",
                "Send each line of stdin as a message to a key. The first "
                "SIGINT or SIGTERM ends the input: what was sent is finished "
                "within the timeout, and 1 is the exit code if not all of it "
                "was acknowledged");
  produce.Positional("KEY", "The key as TOPIC/ID", Into(&arguments->key));
  produce.Option(
      "-H,--header", "NAME=VALUE",
      "Header of the messages; several times for several",
      [a = arguments.get()](const std::string& text) -> absl::Status {
        ASSIGN_OR_RETURN(auto pair, ParsePair(text));
        a->headers.push_back({std::move(pair.first), std::move(pair.second)});
        return absl::OkStatus();
      });
  produce.Option("--secrets-dir", "DIR",
                 "Folder of the credentials files that sub-clusters name",
                 Into(&arguments->secrets_dir));
  produce.Runs([arguments](Invocation* run) -> absl::Status {
    const size_t slash = arguments->key.find('/');
    if (slash == 0 || slash == std::string::npos) {
      return UsageError("KEY: '" + arguments->key +
                        "' is not a key; expected TOPIC/ID, such as "
                        "nca/host-17");
    }
    return Produce(*arguments, run);
  });
}

}  // namespace kafed::cli
