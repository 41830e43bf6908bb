#include "client/mirror.h"

#include <algorithm>
#include <utility>

#include "client/view_snapshot.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace kafed::client {
namespace {

v1::ViewFilter FilterOf(const MirrorOptions& options) {
  v1::ViewFilter filter;
  for (const std::string& topic : options.topics) filter.add_topics(topic);
  for (const std::string& region : options.regions) filter.add_regions(region);
  return filter;
}

// A lease request that waits longer than this means a node that hangs.
constexpr milliseconds kSilence{10'000};
// What an answer may take all the same.
constexpr milliseconds kLeastPatience{1'000};
constexpr milliseconds kLongestPulse{5'000};
// A node that served for this long is one to return to without a pause.
constexpr milliseconds kServed{1'000};
// Bound of all attempts to close a session.
constexpr milliseconds kCloseTime{10'000};

}  // namespace

Mirror::Mirror(MirrorOptions options, std::unique_ptr<SessionSpec> session)
    : options_(std::move(options)),
      session_(std::move(session)),
      filter_(FilterOf(options_)),
      nodes_(options_.nodes, options_.region, options_.clock),
      lease_(options_.clock),
      backoff_(options_.backoff_min, options_.backoff_max) {}

absl::StatusOr<std::unique_ptr<Mirror>> Mirror::Create(MirrorOptions options) {
  std::unique_ptr<Mirror> mirror(new Mirror(std::move(options), nullptr));
  RETURN_IF_ERROR(mirror->LoadSnapshot());
  mirror->Start();
  return mirror;
}

absl::StatusOr<std::unique_ptr<Mirror>> Mirror::CreateSession(
    MirrorOptions options, SessionSpec session,
    std::function<void(ViewPointer)> listener) {
  std::unique_ptr<Mirror> mirror(new Mirror(
      std::move(options), std::make_unique<SessionSpec>(std::move(session))));
  RETURN_IF_ERROR(mirror->LoadSnapshot());
  mirror->AddListener(std::move(listener));
  mirror->Start();
  return mirror;
}

Mirror::~Mirror() { Stop(); }

absl::Status Mirror::LoadSnapshot() {
  if (nodes_.empty() && options_.snapshot_path.empty()) {
    return absl::InvalidArgumentError(
        "nodes: none given; expected HOST:PORT of at least one node, or a "
        "snapshot_path");
  }
  if (!nodes_.empty() && !options_.connector) {
    return absl::InvalidArgumentError(
        "connector: none given; GrpcConnector() is the one for real nodes");
  }
  if (options_.snapshot_path.empty()) return absl::OkStatus();
  absl::StatusOr<LoadedView> loaded = LoadView(options_.snapshot_path);
  if (!loaded.ok()) {
    if (nodes_.empty()) {
      return Annotate(loaded.status(), "snapshot_path");
    }
    if (!absl::IsNotFound(loaded.status())) {
      LogWarning("the snapshot of the route view is not usable",
                 {{"error", loaded.status()}});
    }
    return absl::OkStatus();
  }
  // What another filter left out, a node would not send as a change.
  const bool same =
      loaded->filter.SerializeAsString() == filter_.SerializeAsString();
  state_.Load(std::move(loaded->view), same);
  return absl::OkStatus();
}

void Mirror::Start() {
  if (nodes_.empty()) return;
  finder_ = std::make_unique<NodeFinder>(&nodes_, options_.nodes_interval,
                                         [this] { LeaveNode(); });
  reader_ = std::thread([this] { Run(); });
  if (session_) pulse_ = std::thread([this] { Pulse(); });
}

void Mirror::Stop() {
  MonitorLock stop_lock(&stop_mutex_);
  if (stopped_) return;
  stopped_ = true;
  {
    MonitorLock lock(&mutex_);
    stopping_ = true;
    if (opening_) opening_->Cancel();
  }
  if (reader_.joinable()) reader_.join();
  if (pulse_.joinable()) pulse_.join();
  finder_.reset();
  CloseSession();
}

std::shared_ptr<const federation::RouteView> Mirror::view() const {
  ViewPointer now = state_.current();
  const federation::RouteView* view = &now->view;
  return {std::move(now), view};
}

void Mirror::AddListener(std::function<void(ViewPointer)> listener) {
  MonitorLock lock(&listener_mutex_);
  if (state_.ready()) listener(state_.current());
  listeners_.push_back(std::move(listener));
}

void Mirror::Notify() {
  MonitorLock lock(&listener_mutex_);
  for (const auto& listener : listeners_) listener(state_.current());
}

absl::Status Mirror::SaveSnapshot(const std::string& path) const {
  if (!state_.ready()) {
    return absl::FailedPreconditionError(
        "the mirror has no view yet; WaitReady first");
  }
  return SaveView(*state_.current(), filter_, options_.clock->Wall(), path);
}

absl::Status Mirror::last_error() const {
  MonitorLock lock(&mutex_);
  return last_error_;
}

absl::Status Mirror::Timeout(std::string_view what,
                             milliseconds timeout) const {
  const absl::Status error = last_error();
  return absl::DeadlineExceededError(
      "no " + std::string(what) + " after " + std::to_string(timeout.count()) +
      " ms" + (error.ok() ? "" : "; last error: " + error.ToString()));
}

absl::Status Mirror::WaitReady(milliseconds timeout) const {
  if (state_.WaitReady(timeout)) return absl::OkStatus();
  return Timeout("route view", timeout);
}

absl::Status Mirror::WaitFor(Position position, milliseconds timeout) const {
  if (state_.WaitFor(position, timeout)) return absl::OkStatus();
  return Timeout("view at " + ToString(position), timeout);
}

absl::Status Mirror::WaitLeased(milliseconds timeout) const {
  const auto leased = [this] {
    mutex_.AssertHeld();
    const LeaseState state = lease_.state();
    const milliseconds now = options_.clock->Steady();
    return state.session_until > now && state.multicast_until > now;
  };
  {
    MonitorLock lock(&mutex_);
    if (mutex_.AwaitFor(timeout, leased)) return absl::OkStatus();
  }
  return Timeout("lease", timeout);
}

bool Mirror::Pause(milliseconds time) {
  MonitorLock lock(&mutex_);
  const auto stopping = [this] {
    mutex_.AssertHeld();
    return stopping_;
  };
  return mutex_.AwaitFor(time, stopping);
}

void Mirror::LeaveNode() {
  MonitorLock lock(&mutex_);
  if (stream_) stream_->Cancel();
}

void Mirror::Run() {
  std::shared_ptr<NodeConnection> connection;
  std::string connected;
  milliseconds pause(0);
  while (!Pause(pause)) {
    const std::string address = nodes_.Next();
    // The only node keeps its connection: what a slow one has begun goes on.
    if (nodes_.size() > 1 || connected != address) {
      connection = options_.connector(address);
      connected = address;
    }
    const absl::Status status = Serve(connection);
    lease_.Disconnected();
    {
      MonitorLock lock(&mutex_);
      if (stopping_) return;
      last_error_ = Annotate(status, address);
    }
    LogInfo("the stream of the route view ended at this node; trying the next",
            {{"address", address}, {"error", status}});
    pause = nodes_.AllAsked() ? backoff_.Next() : milliseconds(0);
  }
}

absl::Status Mirror::Serve(const std::shared_ptr<NodeConnection>& connection) {
  if (session_ && session_id_ == 0) {
    RETURN_IF_ERROR(OpenSession(connection.get()));
  }
  const std::shared_ptr<FollowStream> stream = connection->Follow();
  {
    MonitorLock lock(&mutex_);
    opening_ = stream;
    if (stopping_) stream->Cancel();
  }
  v1::FollowRequest first = session_ ? LeaseRequest() : v1::FollowRequest();
  *first.mutable_filter() = filter_;
  if (auto position = state_.Begin()) *first.mutable_position() = *position;
  first.set_session_id(session_id_);
  first.set_client_time_ms(
      static_cast<uint64_t>(options_.clock->Wall().count()));
  absl::Status broken;
  if (WriteLocked(stream.get(), first)) {
    {
      MonitorLock lock(&mutex_);
      stream_ = stream;
      granted_ = false;
    }
    finder_->Follow(connection);
    const milliseconds begun = options_.clock->Steady();
    broken = ReadStream(stream.get());
    finder_->Follow(nullptr);
    if (options_.clock->Steady() - begun >= kServed) nodes_.Answered();
  }
  stream->Cancel();
  absl::Status ended = broken;
  {
    MonitorLock write_lock(&write_mutex_);
    MonitorLock lock(&mutex_);
    stream_.reset();
    opening_.reset();
    const absl::Status finished = stream->Finish();
    if (broken.ok()) ended = finished;
  }
  if (session_ && absl::IsNotFound(ended)) {
    // The session is over: begin a new one. Or this node has not heard of it
    // yet: opening it gives the same one.
    session_id_ = 0;
    lease_.Reset();
  }
  return ended.ok() ? absl::UnavailableError("the node ended the stream")
                    : ended;
}

absl::Status Mirror::ReadStream(FollowStream* stream) {
  v1::FollowResponse response;
  while (stream->Read(&response)) {
    ASSIGN_OR_RETURN(const bool completed, state_.Apply(response));
    if (!completed) continue;
    backoff_.Reset();
    // The listeners use the new routes from here on, so it may be said.
    Notify();
    if (!session_) continue;
    v1::FollowRequest acknowledgement;
    *acknowledgement.mutable_position() = response.position();
    if (response.lease_request() != 0) {
      lease_.Granted(response.lease_request(),
                     milliseconds(response.lease_ms()),
                     milliseconds(response.multicast_lease_ms()));
      MonitorLock lock(&mutex_);
      granted_ = true;
      ++grants_;
    }
    if (!WriteLocked(stream, acknowledgement)) break;
  }
  return absl::OkStatus();
}

bool Mirror::WriteLocked(FollowStream* stream,
                         const v1::FollowRequest& request) {
  MonitorLock lock(&write_mutex_);
  return stream->Write(request);
}

v1::FollowRequest Mirror::LeaseRequest() {
  v1::FollowRequest request;
  request.set_lease_request(lease_.Sent());
  request.set_client_time_ms(
      static_cast<uint64_t>(options_.clock->Wall().count()));
  if (session_->counts) {
    for (v1::SegmentCount& count : session_->counts()) {
      *request.add_counts() = std::move(count);
    }
  }
  return request;
}

milliseconds Mirror::LeasePatience(bool granted) const {
  if (!granted || nodes_.size() < 2) return kSilence;
  // Where there are others, one request in vain is enough: at the third the
  // lease would be over.
  return std::clamp(lease_.interval() * 9 / 10, kLeastPatience, kSilence);
}

void Mirror::Pulse() {
  while (!Pause(std::min(lease_.interval(), kLongestPulse))) {
    MonitorLock write_lock(&write_mutex_);
    std::shared_ptr<FollowStream> stream;
    bool granted = false;
    {
      MonitorLock lock(&mutex_);
      stream = stream_;
      granted = granted_;
    }
    if (!stream) continue;
    if (lease_.Waiting() > LeasePatience(granted)) {
      // Connected, but it does not answer, or is cut off from the log: another
      // node may do better.
      stream->Cancel();
      continue;
    }
    stream->Write(LeaseRequest());
  }
}

absl::Status Mirror::OpenSession(NodeConnection* connection) {
  v1::OpenSessionRequest request;
  request.set_source(std::string(AsBytes(session_->source)));
  request.set_name(session_->name);
  request.set_region(session_->region);
  request.set_client_time_ms(
      static_cast<uint64_t>(options_.clock->Wall().count()));
  ASSIGN_OR_RETURN(const v1::OpenSessionResponse response,
                   connection->OpenSession(request));
  if (session_->opened && response.session_id() != opened_session_) {
    session_->opened(response);
  }
  opened_session_ = response.session_id();
  session_id_ = response.session_id();
  LogInfo("session opened", {{"session", response.session_id()}});
  return absl::OkStatus();
}

void Mirror::CloseSession() {
  if (!session_ || session_id_ == 0) return;
  v1::CloseSessionRequest request;
  request.set_session_id(session_id_);
  request.set_source(std::string(AsBytes(session_->source)));
  if (session_->counts) {
    for (v1::SegmentCount& count : session_->counts()) {
      *request.add_counts() = std::move(count);
    }
  }
  const milliseconds end = options_.clock->Steady() + kCloseTime;
  nodes_.Answered();
  std::string address = nodes_.current();
  absl::Status status;
  while (true) {
    status = options_.connector(address)->CloseSession(request);
    if (status.ok() || absl::IsNotFound(status)) return;
    if (nodes_.AllAsked() || options_.clock->Steady() >= end) break;
    address = nodes_.Next();
  }
  LogWarning("the session could not be closed; it expires with its lease",
             {{"session", session_id_.load()}, {"error", status}});
}

}  // namespace kafed::client
