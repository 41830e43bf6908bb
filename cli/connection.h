// Connection: calls to the first node of a list that answers.
//
// The rpc is found by the type of its request, so a command only names the
// messages. A call goes to the next node where one cannot be reached or answers
// that it is unavailable, or late; when all were asked, it is repeated as
// cli/retry.h says. A repeated change carries the same request id, because it
// is the same message. The node that answered is asked first from then on, and
// no read is answered from before what another answer showed
// (seen_position.h).
//
// Streams have no deadline as a whole: each step may take the timeout, so that
// a long import is not cut short while it makes progress.
//
// The only gRPC includes of the CLI are in the .cc file. One thread at a time.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/retry.h"
#include "cli/seen_position.h"

namespace kafed::cli {

using google::protobuf::Message;

// One call with a stream in at least one direction.
class CallStream {
 public:
  virtual ~CallStream() = default;
  // False: the call is over; Finish says why.
  virtual bool Write(const Message& request) = 0;
  virtual bool WritesDone() = 0;
  virtual bool Read(Message* response) = 0;
  // Once, after a call above said false; an end without error is ok.
  virtual absl::Status Finish() = 0;
};

// How long a step of a stream may take.
enum class StepTime { kTimeout, kUnlimited };

class Connection {
 public:
  // `servers`: HOST:PORT each, tried in turn. REQUIRES: one at least.
  Connection(std::vector<std::string> servers, RetryPolicy policy);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // One answer. Errors are the node's; Unavailable names the servers that were
  // tried, DeadlineExceeded says what to do about the unknown outcome.
  absl::Status Call(const Message& request, Message* response);

  // Opens the streaming rpc whose request type is that of `prototype`, at the
  // first node that can be reached. Tried once: what is to be sent again, only
  // the caller knows. A node whose stream was unavailable is the last to be
  // tried by the next Open. The stream must not outlive the Connection.
  absl::StatusOr<std::unique_ptr<CallStream>> Open(const Message& prototype,
                                                   StepTime step);

  const RetryPolicy& policy() const { return policy_; }

 private:
  struct Node;
  // The first node whose connection stands within `left`; those that were
  // tried before it are the last from then on.
  absl::StatusOr<Node*> Reach(milliseconds left);
  // Asks each node once, until one neither is unavailable nor late.
  absl::Status CallEach(const std::string& method, const Message& request,
                        milliseconds left, Message* response);
  // What was wrong with each server that was tried.
  std::string Troubles() const;
  // The last to be tried.
  void Defer(const Node* node);

  const RetryPolicy policy_;
  std::vector<std::unique_ptr<Node>> nodes_;  // as they are to be tried
  SeenPosition seen_;
};

// "/kafed.v1.Admin/ListHosts" of a ListHostsRequest; empty: of no rpc.
std::string MethodOf(const Message& request);

}  // namespace kafed::cli
