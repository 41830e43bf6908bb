// Invocation: what one run of kafedctl has at hand: the global options, the
// connection, the printer, and the questions asked before something is ended.
//
// A command's body gets it, makes its calls and returns a status; main turns
// the status into text and an exit code. One thread at a time.
#pragma once

#include <google/protobuf/message.h>

#include <istream>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "cli/connection.h"
#include "cli/printer.h"
#include "kafed/v1/admin.pb.h"

namespace kafed::cli {

struct GlobalOptions {
  std::vector<std::string> servers{"127.0.0.1:7420"};
  OutputFormat output = OutputFormat::kTable;
  milliseconds timeout{30'000};
  // Of commands that change something.
  bool dry_run = false;
  bool yes = false;
  std::string request_id;  // 16 bytes; empty: a new one
};

// The outside world, so that tests can be one.
struct Streams {
  std::istream* in = nullptr;
  std::ostream* out = nullptr;
  std::ostream* error = nullptr;
  bool asks = false;      // a person sits at `in` and `error`
  bool progress = false;  // a person looks at `error`
  int in_file = -1;       // file descriptor of `in`; -1: none
};

// The caller's mistake in the command line: exit code 2.
absl::Status UsageError(std::string_view message);
bool IsUsageError(const absl::Status& status);

class Invocation {
 public:
  Invocation(const GlobalOptions& options, const Streams& streams);

  const GlobalOptions& options() const { return options_; }
  const Streams& streams() const { return streams_; }
  Printer& printer() { return printer_; }
  // Connects at the first call, not before.
  Connection& connection();

  absl::Status Call(const Message& request, Message* response) {
    return connection().Call(request, response);
  }

  // Request id and dry run. The same for every call of one run.
  v1::MutationOptions MutationOptions();

  // Asks on a terminal; without one --yes is demanded. Ok: go on.
  absl::Status Confirm(std::string_view what);

  // Sends a change with its options filled in and prints the outcome.
  template <typename Request>
  absl::Status Change(Request* request) {
    *request->mutable_options() = MutationOptions();
    v1::MutationResponse response;
    absl::Status status = CallChange(*request, &response);
    if (status.ok()) PrintChange(response);
    return status;
  }
  // Call for a change: an unknown outcome is told with the request id.
  absl::Status CallChange(const Message& request, Message* response);
  void PrintChange(const v1::MutationResponse& response);
  // Adds to an error with an unknown outcome how to find out.
  absl::Status WithRequestId(const absl::Status& status);

 private:
  const GlobalOptions options_;
  const Streams streams_;
  Printer printer_;
  std::unique_ptr<Connection> connection_;
  std::string request_id_;
};

}  // namespace kafed::cli
