#include "controller/peer/peer_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "common/log.h"
#include "common/status_macros.h"
#include "kafed/v1/peer.grpc.pb.h"

namespace kafed::controller {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;
// Connections for one snapshot, and the pause before each but the first.
constexpr int kMaxAttempts = 10;
constexpr milliseconds kPause{500};

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status);
}

// The bytes of one snapshot, over as many streams as it takes.
class SnapshotFetch {
 public:
  SnapshotFetch(v1::Peer::Stub* stub, uint64_t min_index)
      : stub_(*stub), min_index_(min_index) {}
  ~SnapshotFetch() {
    if (stream_ == nullptr) return;
    context_->TryCancel();
    stream_->Finish();
  }
  SnapshotFetch(const SnapshotFetch&) = delete;
  SnapshotFetch& operator=(const SnapshotFetch&) = delete;

  // Until it is known which snapshot it is.
  absl::StatusOr<metastore::SnapshotPosition> Begin() {
    RETURN_IF_ERROR(Fill());
    return metastore::SnapshotPosition{
        {position_.incarnation(), position_.nonce()},
        LogIndex(position_.index())};
  }

  absl::StatusOr<size_t> Read(char* buffer, size_t size) {
    if (used_ == chunk_.size()) RETURN_IF_ERROR(Fill());
    const size_t bytes = std::min(size, chunk_.size() - used_);
    std::memcpy(buffer, chunk_.data() + used_, bytes);
    used_ += bytes;
    return bytes;
  }

 private:
  // The next chunk; an empty one at the end.
  absl::Status Fill() {
    chunk_.clear();
    used_ = 0;
    absl::Status ended;
    for (int attempt = 0; attempt < kMaxAttempts && !done_; ++attempt) {
      if (attempt > 0) std::this_thread::sleep_for(kPause * attempt);
      if (stream_ == nullptr) Open();
      v1::FetchSnapshotResponse response;
      while (stream_->Read(&response)) {
        if (response.has_snapshot()) position_ = response.snapshot();
        if (response.data().empty()) continue;
        chunk_ = std::move(*response.mutable_data());
        offset_ += chunk_.size();
        return absl::OkStatus();
      }
      ended = FromGrpc(stream_->Finish());
      stream_.reset();
      done_ = ended.ok();
      if (!done_ && !MayPass(ended)) return ended;
    }
    return ended;
  }

  void Open() {
    context_ = std::make_unique<grpc::ClientContext>();
    v1::FetchSnapshotRequest request;
    request.set_min_index(min_index_);
    request.set_offset(offset_);
    if (position_.index() != 0) *request.mutable_snapshot() = position_;
    stream_ = stub_.FetchSnapshot(context_.get(), request);
  }

  v1::Peer::Stub& stub_;
  const uint64_t min_index_;
  v1::Position position_;
  uint64_t offset_ = 0;
  bool done_ = false;
  std::string chunk_;
  size_t used_ = 0;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReader<v1::FetchSnapshotResponse>> stream_;
};

}  // namespace

struct PeerClient::Connection {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Peer::Stub> stub;
};

PeerClient::PeerClient(const std::string& address)
    : address_(address), connection_(std::make_unique<Connection>()) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  // A peer whose machine is gone does not hang up.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  // Nodes are reached directly, whatever http_proxy says.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  connection_->channel = grpc::CreateCustomChannel(
      address, grpc::InsecureChannelCredentials(), arguments);
  connection_->stub = v1::Peer::NewStub(connection_->channel);
}

PeerClient::~PeerClient() = default;

absl::StatusOr<v1::PeerStateResponse> PeerClient::State(
    milliseconds timeout) const {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  v1::PeerStateResponse response;
  RETURN_IF_ERROR(Annotate(FromGrpc(connection_->stub->State(
                               &context, v1::PeerStateRequest(), &response)),
                           address_));
  return response;
}

absl::StatusOr<metastore::StoredSnapshot> PeerClient::FetchSnapshot(
    uint64_t min_index, metastore::SnapshotStore* snapshots) const {
  SnapshotFetch fetch(connection_->stub.get(), min_index);
  const auto position = fetch.Begin();
  if (!position.ok()) return Annotate(position.status(), address_);
  LogInfo("fetching a snapshot",
          {{"from", address_}, {"index", position->index.value()}});
  return snapshots->Receive(*position, [&fetch](char* buffer, size_t size) {
    return fetch.Read(buffer, size);
  });
}

}  // namespace kafed::controller
