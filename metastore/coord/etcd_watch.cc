#include "metastore/coord/etcd_watch.h"

#include <chrono>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "metastore/coord/etcd_servers.h"

namespace kafed::metastore {
namespace {

// How long the thread looks for a server before it looks whether to end, and
// its pauses before another attempt: after a lost connection, after a refusal.
constexpr milliseconds kConnectTime{200};
constexpr milliseconds kLostPause{100};
constexpr milliseconds kRefusedPause{1'000};

}  // namespace

struct EtcdWatch::Stream {
  grpc::ClientContext context;
};

EtcdWatch::EtcdWatch(EtcdSession* session, std::string from, std::string to,
                     Functions functions)
    : servers_(session->servers()),
      from_(std::move(from)),
      to_(std::move(to)),
      functions_(std::move(functions)),
      thread_([this] { Run(); }) {}

EtcdWatch::~EtcdWatch() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    if (stream_ != nullptr) stream_->context.TryCancel();
  }
  wake_.notify_all();
  thread_.join();
}

void EtcdWatch::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    const milliseconds pause = Follow();
    lock.lock();
    wake_.wait_for(lock, pause, [&] { return stopping_; });
  }
}

milliseconds EtcdWatch::Follow() {
  const auto server = servers_.Connected(kConnectTime);
  if (!server.ok()) return kLostPause;
  Stream stream;
  // A server that has no leader ends the watch instead of being silent.
  stream.context.AddMetadata("hasleader", "true");
  absl::Status begun = servers_.AddToken(**server, &stream.context);
  if (!begun.ok()) {
    LogWarning("can't watch etcd", {{"why", begun}});
    return kRefusedPause;
  }
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return kLostPause;
    stream_ = &stream;
  }
  const auto calls = (*server)->watch->Watch(&stream.context);
  etcdserverpb::WatchRequest request;
  auto* create = request.mutable_create_request();
  create->set_key(from_);
  create->set_range_end(to_);
  create->add_filters(etcdserverpb::WatchCreateRequest::NODELETE);
  calls->Write(request);
  bool canceled = false;
  std::string why;
  for (etcdserverpb::WatchResponse response; calls->Read(&response);) {
    if (response.canceled()) {
      canceled = true;
      why = response.cancel_reason();
      stream.context.TryCancel();
      break;
    }
    if (response.created()) functions_.on_set();
    for (const etcdserverpb::Event& event : response.events()) {
      functions_.on_put(event.kv().key(), event.kv().value());
    }
    if (response.events_size() > 0) functions_.on_told();
  }
  grpc::Status status = calls->Finish();
  {
    std::lock_guard lock(mutex_);
    stream_ = nullptr;
    if (stopping_) return kLostPause;
  }
  if (canceled) {
    // What etcd says to a watch it ends, it says only there.
    status = grpc::Status(grpc::StatusCode::UNAVAILABLE, why);
  }
  const absl::Status judged = servers_.Judge(**server, status);
  if (!canceled && absl::IsUnavailable(judged)) return kLostPause;
  LogWarning("etcd has ended a watch, it is set again", {{"why", judged}});
  return kRefusedPause;
}

}  // namespace kafed::metastore
