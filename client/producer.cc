#include "client/producer.h"

#include <utility>

#include "absl/time/time.h"
#include "client/dispatcher.h"
#include "client/kafka/kafka_outlet.h"
#include "client/rpc/grpc_connection.h"
#include "common/status_macros.h"
#include "common/uuid.h"

namespace kafed::client {
namespace {
constexpr absl::Duration kTick = absl::Milliseconds(20);
}  // namespace

Producer::Producer(ProducerOptions options)
    : options_(std::move(options)), source_(RandomBytes16()) {}

absl::StatusOr<std::unique_ptr<Producer>> Producer::Create(
    ProducerOptions options) {
  if (options.message_timeout.count() <= 0) {
    return absl::InvalidArgumentError("message_timeout: must be above 0");
  }
  options.mirror.connector = ConnectorOr(options.mirror.connector);
  if (options.mirror.region.empty()) options.mirror.region = options.region;
  std::unique_ptr<Producer> producer(new Producer(std::move(options)));
  Producer* self = producer.get();
  const ProducerOptions& kept = producer->options_;
  producer->dispatcher_ = std::make_unique<Dispatcher>(
      kept, producer->source_,
      [self](const v1::SubClusterRow& row, milliseconds timeout,
             OutletSink sink) {
        return MakeKafkaOutlet(row, self->options_, timeout, std::move(sink));
      },
      [self] {
        const Mirror* mirror = self->leases_.load();
        return mirror ? mirror->lease() : LeaseState();
      });
  Dispatcher* dispatcher = producer->dispatcher_.get();
  SessionSpec session;
  session.source = producer->source_;
  session.name = kept.name;
  session.region = kept.region;
  session.counts = [dispatcher] { return dispatcher->Counts(); };
  session.opened = [dispatcher](const v1::OpenSessionResponse& response) {
    dispatcher->StartSession(milliseconds(response.message_timeout_ms()));
  };
  ASSIGN_OR_RETURN(producer->mirror_,
                   Mirror::CreateSession(kept.mirror, std::move(session),
                                         [dispatcher](ViewPointer view) {
                                           dispatcher->SetView(std::move(view));
                                         }));
  producer->leases_ = producer->mirror_.get();
  producer->ticker_ = std::thread([self] { self->TickLoop(); });
  RETURN_IF_ERROR(producer->mirror_->WaitReady(kept.start_timeout));
  const absl::Status leased = producer->mirror_->WaitLeased(
      kept.mirror.snapshot_path.empty() ? kept.start_timeout : milliseconds(0));
  if (!leased.ok() && kept.mirror.snapshot_path.empty()) return leased;
  return producer;
}

Producer::~Producer() { static_cast<void>(Close(milliseconds(0))); }

void Producer::TickLoop() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kTick)) return;
    }
    dispatcher_->Tick();
  }
}

absl::Status Producer::Produce(std::string_view key, std::string_view payload,
                               std::vector<Header> headers,
                               DeliveryCallback done) {
  return dispatcher_->Produce(key, payload, std::move(headers),
                              std::move(done));
}

absl::Status Producer::Flush(milliseconds timeout) {
  return dispatcher_->Flush(timeout);
}

absl::Status Producer::Close(milliseconds timeout) {
  absl::Status flushed = dispatcher_->Flush(timeout);
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return flushed;
    stopping_ = true;
  }
  if (ticker_.joinable()) ticker_.join();
  dispatcher_->Close();
  // The outlets first: their last reports belong to the session's counts.
  dispatcher_->Shutdown();
  if (mirror_) mirror_->Stop();
  return flushed;
}

ProducerStats Producer::stats() const { return dispatcher_->stats(); }

}  // namespace kafed::client
