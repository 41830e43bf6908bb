#include "controller/rpc/events_service.h"

#include <deque>
#include <utility>

#include "controller/rpc/status_conversion.h"
#include "federation/image/entry_codec.h"

namespace kafed::controller {
namespace {

constexpr size_t kReadBytes = 1 << 20;
// How often a follower at the tail looks whether the client is still there.
constexpr milliseconds kTailWait{500};

// One entry at a time: reads ahead a little, writes, waits at the tail on a
// worker. Deletes itself when done.
class EventsReactor final : public grpc::ServerWriteReactor<v1::Entry> {
 public:
  EventsReactor(const RpcContext& context, const v1::ReadEventsRequest& request)
      : context_(context),
        next_(std::max<uint64_t>(request.from().index(), 1)),
        last_(request.to().index() == 0 ? UINT64_MAX : request.to().index()),
        follow_(request.follow()),
        from_oldest_(request.from().index() == 0) {}

  void Advance() {
    if (cancelled_) return Finish(grpc::Status::CANCELLED);
    if (next_ > last_) return Finish(grpc::Status::OK);
    if (!ahead_.empty()) return WriteFront();
    const bool taken = context_.workers->Run([this] { ReadAhead(); });
    if (!taken) {
      Finish({grpc::StatusCode::RESOURCE_EXHAUSTED,
              "the node has too many calls waiting; try again later"});
    }
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    Advance();
  }
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override { delete this; }

 private:
  void WriteFront() {
    auto entry = federation::DecodeEntry(ahead_.front().payload);
    if (!entry.ok()) return Finish(ToGrpc(entry.status()));
    entry_ = *std::move(entry);
    ahead_.pop_front();
    ++next_;
    StartWrite(&entry_);
  }

  void ReadAhead() {
    if (from_oldest_) {
      const auto first = context_.log->FirstKept();
      if (!first.ok()) return Finish(ToGrpc(first.status()));
      next_ = std::max(next_, first->value());
      from_oldest_ = false;
    }
    const auto entries = context_.log->Read(LogIndex(next_), kReadBytes);
    if (!entries.ok()) return Finish(ToGrpc(entries.status()));
    ahead_.assign(entries->begin(), entries->end());
    if (ahead_.empty()) {
      if (!follow_) return Finish(grpc::Status::OK);
      // A timeout here only means that nothing is new.
      (void)context_.log->WaitFor(LogIndex(next_),
                                  context_.clock->Steady() + kTailWait);
    }
    Advance();
  }

  const RpcContext& context_;
  uint64_t next_;
  const uint64_t last_;
  const bool follow_;
  bool from_oldest_;
  std::deque<metastore::LogEntry> ahead_;
  v1::Entry entry_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace

grpc::ServerWriteReactor<v1::Entry>* EventsService::Read(
    grpc::CallbackServerContext*, const v1::ReadEventsRequest* request) {
  auto* reactor = new EventsReactor(context_, *request);
  reactor->Advance();
  return reactor;
}

}  // namespace kafed::controller
