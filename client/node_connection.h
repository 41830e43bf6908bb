// NodeConnection: what the client asks of one node, without gRPC in sight.
//
// client/rpc implements it over gRPC; tests implement it in memory. Calls block
// up to their deadline. Thread-safe, except that a FollowStream has one reader
// and one writer at a time.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/options.h"
#include "kafed/v1/routing.pb.h"

namespace kafed::client {

class FollowStream {
 public:
  virtual ~FollowStream() = default;
  // False: the stream is over; Finish says why.
  virtual bool Write(const v1::FollowRequest& request) = 0;
  virtual bool Read(v1::FollowResponse* response) = 0;
  // Ends pending and later Reads and Writes. From any thread.
  virtual void Cancel() = 0;
  // Once, after a Read or Write said false.
  virtual absl::Status Finish() = 0;
};

class NodeConnection {
 public:
  virtual ~NodeConnection() = default;
  virtual std::shared_ptr<FollowStream> Follow() = 0;
  virtual absl::StatusOr<v1::OpenSessionResponse> OpenSession(
      const v1::OpenSessionRequest& request) = 0;
  virtual absl::Status CloseSession(const v1::CloseSessionRequest& request) = 0;
  virtual absl::StatusOr<v1::SubscriptionsResponse> Subscriptions(
      const v1::SubscriptionsRequest& request) = 0;
  // Unimplemented: a node of a version that knows of no others.
  virtual absl::StatusOr<v1::NodesResponse> Nodes() = 0;
};

}  // namespace kafed::client
