// The Events service: entries as stored, in order, without gaps.
//
// A range that can't be answered is refused, never answered with nothing: an
// incarnation that there is not, an index beyond the tail, an end before the
// beginning. A reader at the tail holds no thread: the next commit wakes it.
// Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <set>

#include "controller/rpc/rpc_context.h"
#include "kafed/v1/events.grpc.pb.h"

namespace kafed::controller {

class EventsReactor;

class EventsService final : public v1::Events::CallbackService {
 public:
  // Outlives the service, and no commit comes after it.
  explicit EventsService(const RpcContext* context);

  grpc::ServerWriteReactor<v1::Entry>* Read(
      grpc::CallbackServerContext* call,
      const v1::ReadEventsRequest* request) override;

  // Ends streams that wait at the tail, soon, with Unavailable.
  void Stop();

  // Streams beyond it are refused.
  static constexpr size_t kMaxReaders = 1'000;

 private:
  friend class EventsReactor;
  // Until the log goes on behind `next`, the reader is gone or the node stops.
  void Park(EventsReactor* reader, uint64_t next);
  void Wake(EventsReactor* reader);
  void WakeAll();
  void Resume(EventsReactor* reader);

  const RpcContext& context_;
  std::atomic<bool> stopped_{false};
  std::atomic<size_t> readers_{0};
  absl::Mutex mutex_;
  std::set<EventsReactor*> parked_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kafed::controller
