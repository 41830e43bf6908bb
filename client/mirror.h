// Mirror: the route view of a metadata cluster, followed; look-ups are local.
//
//   MirrorOptions options{.nodes = {"kafed:7420"}};
//   options.connector = GrpcConnector();  // client/rpc/grpc_connection.h
//   ASSIGN_OR_RETURN(auto mirror, Mirror::Create(options));
//   RETURN_IF_ERROR(mirror->WaitReady(std::chrono::seconds(5)));
//   ASSIGN_OR_RETURN(auto targets, mirror->view()->Route("nca/host-17"));
//
// It keeps one stream to one of the nodes and goes on with the next one when
// that ends (node_list.h says which), also with nodes that the first one named
// (node_finder.h). It sends no messages (client/producer.h). Where every node
// is down it may start from a snapshot file, and goes on with what it has.
//
// A plain Mirror is a reader: nobody waits for it and it holds no lease. With
// EnableSession (the Producer does) it opens a session, acknowledges every
// position as soon as the listeners have returned, and renews the lease.
//
// Threads: one that reads, one that asks for leases, one that asks for nodes.
// Listeners run on the reading thread and must not wait for the Mirror. All
// calls are thread-safe.
// Invariants: the position never goes backwards; a view is complete (closed
// under reference) at its position.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/backoff.h"
#include "client/lease.h"
#include "client/monitor.h"
#include "client/node_connection.h"
#include "client/node_finder.h"
#include "client/node_list.h"
#include "client/options.h"
#include "client/view_state.h"
#include "common/kafka_header.h"

namespace kafed::client {

// What makes a Mirror's follower a writing session.
struct SessionSpec {
  Source source{};
  std::string name;
  std::string region;
  // Counts of the session so far, for lease requests and the end.
  std::function<std::vector<v1::SegmentCount>()> counts;
  // A session begins: counts restart. Not where another node goes on with the
  // same one.
  std::function<void(const v1::OpenSessionResponse&)> opened;
};

class Mirror {
 public:
  // InvalidArgument for options that cannot work.
  static absl::StatusOr<std::unique_ptr<Mirror>> Create(MirrorOptions options);
  // As a writing session.
  static absl::StatusOr<std::unique_ptr<Mirror>> CreateSession(
      MirrorOptions options, SessionSpec session,
      std::function<void(ViewPointer)> listener);
  ~Mirror();
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;

  // The newest complete view; empty before the first. Never null.
  std::shared_ptr<const federation::RouteView> view() const;
  // View and position that belong together.
  ViewPointer published() const { return state_.current(); }
  Position position() const { return state_.current()->position(); }

  // DeadlineExceeded, with the last error of the stream, after `timeout`.
  absl::Status WaitReady(milliseconds timeout) const;
  absl::Status WaitFor(Position position, milliseconds timeout) const;

  // Called with each published view, before it is acknowledged; at once with
  // the present one if there is one.
  void AddListener(std::function<void(ViewPointer)> listener);

  // Writes the view to a file that Create can start from.
  absl::Status SaveSnapshot(const std::string& path) const;

  // Session mode; zero otherwise.
  LeaseState lease() const { return lease_.state(); }
  uint64_t session_id() const { return session_id_; }
  // Waits until both leases are valid.
  absl::Status WaitLeased(milliseconds timeout) const;

  // Why the last stream ended; ok while none did.
  absl::Status last_error() const;

  // Ends the threads and, in session mode, closes the session. Idempotent.
  void Stop();

 private:
  Mirror(MirrorOptions options, std::unique_ptr<SessionSpec> session);
  absl::Status LoadSnapshot();
  void Start();
  void Run();
  absl::Status Serve(const std::shared_ptr<NodeConnection>& connection);
  absl::Status ReadStream(FollowStream* stream);
  absl::Status OpenSession(NodeConnection* connection);
  void CloseSession();
  // Ends the stream, so that Run takes the next node.
  void LeaveNode();
  // How long a lease request may wait before the node is left.
  milliseconds LeasePatience(bool granted) const;
  bool WriteLocked(FollowStream* stream, const v1::FollowRequest& request);
  v1::FollowRequest LeaseRequest();
  void Notify();
  void Pulse();
  // True: stopping.
  bool Pause(milliseconds time);
  absl::Status Timeout(std::string_view what, milliseconds timeout) const;

  const MirrorOptions options_;
  const std::unique_ptr<SessionSpec> session_;
  const v1::ViewFilter filter_;
  NodeList nodes_;
  ViewState state_;
  LeaseKeeper lease_;
  Backoff backoff_;
  std::atomic<uint64_t> session_id_{0};
  uint64_t opened_session_ = 0;  // told to session_->opened last; the reader's

  Monitor write_mutex_;  // one writer of a stream at a time

  mutable Monitor mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // What Stop cancels, and what lease requests may be written to: the stream
  // once its first message was.
  std::shared_ptr<FollowStream> opening_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<FollowStream> stream_ ABSL_GUARDED_BY(mutex_);
  absl::Status last_error_ ABSL_GUARDED_BY(mutex_);
  // The stream has granted a lease: it is expected to go on with that.
  bool granted_ ABSL_GUARDED_BY(mutex_) = false;
  // Raised by each granted lease, to wake waiters.
  uint64_t grants_ ABSL_GUARDED_BY(mutex_) = 0;

  Monitor listener_mutex_;
  std::vector<std::function<void(ViewPointer)>> listeners_
      ABSL_GUARDED_BY(listener_mutex_);

  Monitor stop_mutex_;
  bool stopped_ ABSL_GUARDED_BY(stop_mutex_) = false;
  std::unique_ptr<NodeFinder> finder_;
  std::thread reader_;
  std::thread pulse_;
};

}  // namespace kafed::client
