#include "controller/peer/peer_service.h"

#include <algorithm>
#include <utility>

#include "common/status_macros.h"
#include "controller/rpc/chunk_reactor.h"
#include "controller/rpc/status_conversion.h"
#include "controller/version.h"
#include "federation/image/image.h"

namespace kafed::controller {
namespace {

constexpr size_t kChunkBytes = 256 << 10;

v1::Position ToProto(const metastore::SnapshotPosition& at) {
  v1::Position position;
  position.set_incarnation(at.incarnation.counter);
  position.set_nonce(at.incarnation.nonce);
  position.set_index(at.index.value());
  return position;
}

class SnapshotStream final : public ChunkReactor<v1::FetchSnapshotResponse> {
 public:
  SnapshotStream(const RpcContext& context, grpc::CallbackServerContext* call,
                 const v1::FetchSnapshotRequest& request,
                 const metastore::SnapshotStore& snapshots,
                 PeerService::SaveSnapshot save, std::atomic<int>* streams)
      : ChunkReactor(context, call),
        request_(request),
        snapshots_(snapshots),
        save_(std::move(save)),
        streams_(*streams) {
    ++streams_;
  }
  ~SnapshotStream() override { --streams_; }

 private:
  absl::Status Produce() override {
    if (streams_ > PeerService::kMaxStreams) {
      return absl::ResourceExhaustedError(
          "the node is sending snapshots already; try again later");
    }
    ASSIGN_OR_RETURN(const metastore::SnapshotPosition position, Choose());
    ASSIGN_OR_RETURN(const SnapshotSource source,
                     snapshots_.OpenBytes(position));
    v1::FetchSnapshotResponse first;
    *first.mutable_snapshot() = ToProto(position);
    RETURN_IF_ERROR(Send(std::move(first)));
    RETURN_IF_ERROR(Skip(source, request_.offset()));
    while (true) {
      ASSIGN_OR_RETURN(std::string data, Take(source, kChunkBytes));
      if (data.empty()) return absl::OkStatus();
      v1::FetchSnapshotResponse chunk;
      chunk.set_data(std::move(data));
      RETURN_IF_ERROR(Send(std::move(chunk)));
    }
  }

  absl::StatusOr<metastore::SnapshotPosition> Choose() {
    if (request_.has_snapshot()) {
      const v1::Position& wanted = request_.snapshot();
      return metastore::SnapshotPosition{{wanted.incarnation(), wanted.nonce()},
                                         LogIndex(wanted.index())};
    }
    auto newest = snapshots_.Newest();
    if (!newest || newest->position.index.value() < request_.min_index()) {
      RETURN_IF_ERROR(save_());
      newest = snapshots_.Newest();
    }
    if (!newest || newest->position.index.value() < request_.min_index()) {
      return absl::UnavailableError("min_index: this node is not at " +
                                    std::to_string(request_.min_index()) +
                                    " yet; try another");
    }
    return newest->position;
  }

  static absl::StatusOr<std::string> Take(const SnapshotSource& source,
                                          size_t bytes) {
    std::string data(bytes, '\0');
    size_t used = 0;
    while (used < bytes) {
      ASSIGN_OR_RETURN(const size_t more,
                       source(data.data() + used, bytes - used));
      if (more == 0) break;
      used += more;
    }
    data.resize(used);
    return data;
  }

  static absl::Status Skip(const SnapshotSource& source, uint64_t bytes) {
    while (bytes > 0) {
      ASSIGN_OR_RETURN(const std::string data,
                       Take(source, std::min<uint64_t>(bytes, kChunkBytes)));
      if (data.empty()) {
        return absl::InvalidArgumentError(
            "offset: is beyond the end of the snapshot");
      }
      bytes -= data.size();
    }
    return absl::OkStatus();
  }

  const v1::FetchSnapshotRequest request_;
  const metastore::SnapshotStore& snapshots_;
  const PeerService::SaveSnapshot save_;
  std::atomic<int>& streams_;
};

}  // namespace

grpc::ServerUnaryReactor* PeerService::State(grpc::CallbackServerContext* call,
                                             const v1::PeerStateRequest*,
                                             v1::PeerStateResponse* response) {
  const auto image = context_.replica->image();
  response->set_node_id(context_.node_id);
  response->set_version(kVersion);
  response->set_feature_level(federation::kFeatureLevel);
  *response->mutable_position() = PositionOf(*image);
  for (int i = 0; i < federation::kTables; ++i) {
    const BlockTable& table = image->table(static_cast<federation::Table>(i));
    v1::TableHash& hash = *response->add_hashes();
    hash.set_table(static_cast<uint32_t>(i));
    hash.set_low(table.digest().low);
    hash.set_high(table.digest().high);
    hash.set_rows(table.size());
  }
  const milliseconds now = context_.clock->Steady();
  response->set_lag_ms(LagMs(context_));
  response->set_uptime_ms(
      static_cast<uint64_t>((now - context_.started_at).count()));
  response->set_health(context_.health());
  response->set_followers(context_.followers());
  if (const auto newest = snapshots_.Newest()) {
    *response->mutable_snapshot() = ToProto(newest->position);
  }
  for (const uint64_t id : context_.leases->Unexpired())
    response->add_sessions(id);
  for (v1::IndexHash& hash : hashes_.List()) {
    *response->add_recent() = std::move(hash);
  }
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerWriteReactor<v1::FetchSnapshotResponse>* PeerService::FetchSnapshot(
    grpc::CallbackServerContext* call,
    const v1::FetchSnapshotRequest* request) {
  auto* stream = new SnapshotStream(context_, call, *request, snapshots_, save_,
                                    &streams_);
  stream->Start();
  return stream;
}

}  // namespace kafed::controller
