#include "controller/rpc/events_service.h"

#include <deque>
#include <string>
#include <utility>

#include "common/status_macros.h"
#include "controller/rpc/status_conversion.h"
#include "federation/image/entry_codec.h"

namespace kafed::controller {
namespace {

constexpr size_t kReadBytes = 1 << 20;

Position FromProto(const v1::Position& position) {
  return {position.incarnation(), LogIndex(position.index())};
}

// The range against the log: what must not be answered with nothing.
absl::Status CheckRange(const v1::ReadEventsRequest& request,
                        const federation::Image& image) {
  RETURN_IF_ERROR(CheckNonce("from", request.from(), image));
  RETURN_IF_ERROR(CheckNonce("to", request.to(), image));
  const Position newest = image.position();
  const Position from = FromProto(request.from());
  const Position to = FromProto(request.to());
  for (const auto& [field, position] :
       {std::pair("from", from), std::pair("to", to)}) {
    if (position.incarnation > newest.incarnation) {
      return absl::NotFoundError(
          std::string(field) + ": there is no incarnation " +
          std::to_string(position.incarnation) + "; the newest is " +
          std::to_string(newest.incarnation));
    }
  }
  if (to.index.valid()) {
    const bool comparable = from.incarnation != 0 && to.incarnation != 0;
    if (comparable ? to < from : to.index < from.index) {
      return absl::InvalidArgumentError("to: " + ToString(to) +
                                        " is before from, " + ToString(from));
    }
    if (to.index > newest.index && !request.follow()) {
      return absl::OutOfRangeError("to: " + ToString(to) +
                                   " is beyond the newest entry, " +
                                   ToString(newest));
    }
  }
  // The one after the newest is what a reader who has all asks for.
  if (from.index > Next(newest.index)) {
    return absl::OutOfRangeError("from: " + ToString(from) +
                                 " is beyond the newest entry, " +
                                 ToString(newest));
  }
  return absl::OkStatus();
}

}  // namespace

// One entry at a time: reads ahead a little on a worker, writes, is parked at
// the tail. Deletes itself when done.
class EventsReactor final : public grpc::ServerWriteReactor<v1::Entry> {
 public:
  EventsReactor(EventsService* service, const v1::ReadEventsRequest& request)
      : service_(*service),
        context_(service->context_),
        request_(request),
        next_(std::max<uint64_t>(request.from().index(), 1)),
        last_(request.to().index() == 0 ? UINT64_MAX : request.to().index()) {}

  void Advance() {
    if (cancelled_) return Finish(grpc::Status::CANCELLED);
    if (service_.stopped_) return Finish(ToGrpc(ShuttingDown()));
    if (begun_ && next_ > last_) return Finish(grpc::Status::OK);
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
  void OnCancel() override {
    cancelled_ = true;
    service_.Wake(this);
  }
  void OnDone() override {
    service_.readers_.fetch_sub(1);
    delete this;
  }
  bool cancelled() const { return cancelled_; }

 private:
  // Before the first read; finds where "the oldest" is.
  absl::Status Begin() {
    if (std::exchange(begun_, true)) return absl::OkStatus();
    RETURN_IF_ERROR(CheckRange(request_, *context_.replica->image()));
    if (request_.from().index() != 0) return absl::OkStatus();
    ASSIGN_OR_RETURN(const LogIndex first, context_.log->FirstKept());
    next_ = std::max(next_, first.value());
    if (next_ <= last_) return absl::OkStatus();
    return absl::OutOfRangeError("to: " + ToString(FromProto(request_.to())) +
                                 " is before the oldest entry kept, index " +
                                 std::to_string(next_));
  }

  // An index may be there in another incarnation than the one that was asked
  // for: the indexes of a restored node go on behind its backup's.
  absl::Status CheckFirst(const v1::Position& at) const {
    const Position first = FromProto(at);
    const Position from = FromProto(request_.from());
    const Position to = FromProto(request_.to());
    if (from.index.valid() && from.incarnation != 0 && from != first) {
      return absl::OutOfRangeError("from: there is no entry " + ToString(from) +
                                   "; that index is " + ToString(first));
    }
    const uint64_t nonce = request_.from().nonce();
    if (from.index.valid() && from.incarnation != 0 && nonce != 0 &&
        nonce != at.nonce()) {
      return absl::NotFoundError("from: there is no entry " + ToString(from) +
                                 " with nonce " + std::to_string(nonce) +
                                 "; its nonce is " +
                                 std::to_string(at.nonce()));
    }
    if (to.index.valid() && to.incarnation != 0 && to < first) {
      return absl::OutOfRangeError("to: " + ToString(to) +
                                   " is before the oldest entry kept, " +
                                   ToString(first));
    }
    return absl::OkStatus();
  }

  void WriteFront() {
    auto entry = federation::DecodeEntry(ahead_.front().payload);
    if (!entry.ok()) return Finish(ToGrpc(entry.status()));
    const Position position = FromProto(entry->header().position());
    if (std::exchange(first_, false)) {
      const absl::Status checked = CheckFirst(entry->header().position());
      if (!checked.ok()) return Finish(ToGrpc(checked));
    }
    const uint64_t until = request_.to().incarnation();
    if (request_.to().index() != 0 && until != 0 &&
        position.incarnation > until) {
      return Finish(grpc::Status::OK);  // all of that incarnation was sent
    }
    entry_ = *std::move(entry);
    ahead_.pop_front();
    ++next_;
    StartWrite(&entry_);
  }

  void ReadAhead() {
    const absl::Status begun = Begin();
    if (!begun.ok()) return Finish(ToGrpc(begun));
    const auto entries = context_.log->Read(LogIndex(next_), kReadBytes);
    if (!entries.ok()) return Finish(ToGrpc(entries.status()));
    ahead_.assign(entries->begin(), entries->end());
    if (ahead_.empty()) {
      if (!request_.follow()) return Finish(grpc::Status::OK);
      return service_.Park(this, next_);
    }
    Advance();
  }

  EventsService& service_;
  const RpcContext& context_;
  const v1::ReadEventsRequest request_;
  uint64_t next_;
  const uint64_t last_;
  bool begun_ = false;
  bool first_ = true;
  std::deque<metastore::LogEntry> ahead_;
  v1::Entry entry_;
  std::atomic<bool> cancelled_{false};
};

EventsService::EventsService(const RpcContext* context) : context_(*context) {
  context_.replica->AddListener([this] { WakeAll(); });
}

void EventsService::Park(EventsReactor* reader, uint64_t next) {
  bool late = false;
  {
    absl::MutexLock lock(&mutex_);
    parked_.insert(reader);
    // What came before it was parked woke nobody. Looked at with the lock: once
    // it is woken by another, the reader may be gone.
    late = reader->cancelled() || stopped_ ||
           context_.replica->position().index.value() >= next;
  }
  if (late) Wake(reader);
}

void EventsService::Resume(EventsReactor* reader) {
  if (context_.workers->Run([reader] { reader->Advance(); })) return;
  reader->Finish({grpc::StatusCode::RESOURCE_EXHAUSTED,
                  "the node has too many calls waiting; try again later"});
}

void EventsService::Wake(EventsReactor* reader) {
  {
    absl::MutexLock lock(&mutex_);
    if (parked_.erase(reader) == 0) return;
  }
  Resume(reader);
}

void EventsService::WakeAll() {
  std::set<EventsReactor*> woken;
  {
    absl::MutexLock lock(&mutex_);
    woken.swap(parked_);
  }
  for (EventsReactor* reader : woken) Resume(reader);
}

void EventsService::Stop() {
  stopped_ = true;
  WakeAll();
}

grpc::ServerWriteReactor<v1::Entry>* EventsService::Read(
    grpc::CallbackServerContext*, const v1::ReadEventsRequest* request) {
  auto* reactor = new EventsReactor(this, *request);
  if (readers_.fetch_add(1) >= kMaxReaders) {
    reactor->Finish({grpc::StatusCode::RESOURCE_EXHAUSTED,
                     "the node has its maximum of " +
                         std::to_string(kMaxReaders) + " readers of events"});
  } else {
    reactor->Advance();
  }
  return reactor;
}

}  // namespace kafed::controller
