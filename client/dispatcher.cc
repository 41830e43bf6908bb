#include "client/dispatcher.h"

#include <utility>

#include "client/dispatcher_parts.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace kafed::client {

using federation::PartitionNumber;
using federation::SubClusterId;
using federation::Target;
using federation::TopicId;

namespace {

// Bookkeeping of a message beside its bytes.
constexpr size_t kOverhead = 256;
constexpr milliseconds kSweep{200};
constexpr milliseconds kOutletPause{1'000};
constexpr size_t kMaxId = 128;

absl::Status CheckHeaders(const std::vector<Header>& headers) {
  for (const Header& header : headers) {
    if (header.name.empty() || header.name == kKafkaHeaderName) {
      return absl::InvalidArgumentError(
          "headers: '" + header.name +
          "' is not allowed; expected any name but 'kafed' and the empty one");
    }
  }
  return absl::OkStatus();
}

}  // namespace

Dispatcher::Dispatcher(const ProducerOptions& options, const Source& source,
                       OutletFactory outlets, std::function<LeaseState()> lease)
    : options_(options),
      clock_(*options.mirror.clock),
      source_(source),
      factory_(std::move(outlets)),
      lease_(std::move(lease)),
      view_(std::make_shared<PublishedView>()),
      timeout_(options.message_timeout) {}

Dispatcher::~Dispatcher() { Shutdown(); }

absl::Status Dispatcher::Produce(std::string_view key, std::string payload,
                                 std::vector<Header> headers,
                                 DeliveryCallback done) {
  RETURN_IF_ERROR(CheckHeaders(headers));
  RETURN_IF_ERROR(CheckSize(key, payload, headers));
  auto message = std::make_unique<Message>();
  message->payload = std::move(payload);
  message->headers = std::move(headers);
  message->done = std::move(done);
  {
    MonitorLock lock(&mutex_);
    ASSIGN_OR_RETURN(const Targets targets, Accept(key, message.get()));
    KeyState* state = keys_.find(message->report.key)->second.get();
    const Wait why = WhyWait(*state, targets);
    if (state->queue.empty() && why == Wait::kNone) {
      SendAll(state, targets, message.release());
    } else {
      if (state->queue.empty()) state->why = why;
      state->queue.push_back(std::move(message));
      ++stats_.waiting;
    }
    if (state->waits()) waiting_.insert(state);
  }
  return absl::OkStatus();
}

absl::Status Dispatcher::CheckSize(std::string_view key,
                                   std::string_view payload,
                                   const std::vector<Header>& headers) const {
  size_t bytes = key.size() + payload.size();
  for (const Header& header : headers) {
    bytes += header.name.size() + header.value.size();
  }
  if (bytes <= options_.max_message_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "payload: the message has " + std::to_string(bytes) +
      " bytes with its key and headers, at most " +
      std::to_string(options_.max_message_bytes) +
      " are allowed (max_message_bytes)");
}

absl::StatusOr<Dispatcher::Targets> Dispatcher::Accept(std::string_view key,
                                                       Message* message) {
  if (closed_) {
    return absl::FailedPreconditionError("the producer is closed");
  }
  const size_t slash = key.find('/');
  if (slash == std::string_view::npos || key.size() - slash - 1 > kMaxId) {
    return absl::InvalidArgumentError(
        "key: '" + std::string(key.substr(0, kMaxId)) +
        "' is not TOPIC/ID with an id of at most 128 bytes");
  }
  const std::string_view topic = key.substr(0, slash);
  message->topic = view_->view.FindTopic(topic);
  message->id = std::string(key.substr(slash + 1));
  const v1::TopicRow* row = view_->view.topic(message->topic);
  if (row == nullptr) {
    return absl::NotFoundError("key: no topic is called '" +
                               std::string(topic) + "'");
  }
  if (message->id.empty() && row->kind() != v1::TOPIC_KIND_HASHED) {
    return absl::InvalidArgumentError(
        "key: the id is empty; only topics of kind hashed allow that");
  }
  RETURN_IF_ERROR(CheckLease(*message));
  ASSIGN_OR_RETURN(Targets targets, RouteOf(*message));
  message->bytes = message->payload.size() + message->id.size() + kOverhead;
  RETURN_IF_ERROR(TakeBuffer(targets, message));
  message->accepted = clock_.Steady();
  message->report.key = std::string(key);
  message->report.topic = row->name();
  message->report.source = source_;
  message->report.sequence = ++sequence_;
  ++unfinished_;
  ++stats_.accepted;
  auto& state = keys_[message->report.key];
  if (!state) {
    state = std::make_unique<KeyState>();
    state->name = message->report.key;
    state->keyed = !message->id.empty();
  }
  return targets;
}

absl::StatusOr<Dispatcher::Targets> Dispatcher::RouteOf(
    const Message& message) {
  if (message.id.empty()) return AnyHealthy(message.topic);
  return view_->view.Route(message.topic, message.id);
}

absl::StatusOr<Dispatcher::Targets> Dispatcher::AnyHealthy(TopicId topic) {
  auto& numbers = partitions_[topic.value()];
  if (numbers.empty()) numbers = view_->view.PartitionsOf(topic);
  const milliseconds now = clock_.Steady();
  Targets fallback;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const PartitionNumber number = numbers[++spread_ % numbers.size()];
    Target target;
    if (!view_->view.Resolve(topic, number, &target)) continue;
    if (fallback.empty()) fallback = {target};
    if (target.ready && !target.held() &&
        LaneOf(topic, number).breaker.WouldAllow(now) &&
        WayOf(target.segment.sub_cluster).breaker.WouldAllow(now)) {
      return Targets{target};
    }
  }
  if (fallback.empty()) {
    return absl::NotFoundError("key: the topic has no partition");
  }
  return fallback;
}

absl::Status Dispatcher::CheckLease(const Message& message) const {
  const v1::TopicRow* row = view_->view.topic(message.topic);
  if (row == nullptr || row->on_lease_end() == v1::ON_LEASE_END_CONTINUE) {
    return absl::OkStatus();
  }
  const LeaseState lease = lease_();
  const bool multicast = row->kind() == v1::TOPIC_KIND_MULTICAST;
  const milliseconds until =
      multicast ? lease.multicast_until : lease.session_until;
  const milliseconds now = clock_.Steady();
  if (until > now) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "lease: the " + std::string(multicast ? "multicast " : "") +
      "lease of this session " +
      (until.count() == 0
           ? "was never granted"
           : "ended " + std::to_string((now - until).count()) + " ms ago") +
      "; topic " + row->name() +
      " stops until a node renews it (on_lease_end: stop)");
}

absl::Status Dispatcher::TakeBuffer(const Targets& targets, Message* message) {
  const size_t each = message->bytes;
  if (bytes_ + each * targets.size() > options_.buffer_bytes) {
    return absl::ResourceExhaustedError(
        "buffer_bytes: " + std::to_string(bytes_) + " of " +
        std::to_string(options_.buffer_bytes) +
        " bytes wait for delivery; slow down or raise it");
  }
  const milliseconds now = clock_.Steady();
  for (const Target& target : targets) {
    const Way& way = WayOf(target.segment.sub_cluster);
    if (way.bytes + each > options_.sub_cluster_buffer_bytes) {
      const auto* row = view_->view.sub_cluster(target.segment.sub_cluster);
      return absl::ResourceExhaustedError(
          "sub_cluster_buffer_bytes: " + std::to_string(way.bytes) + " of " +
          std::to_string(options_.sub_cluster_buffer_bytes) +
          " bytes wait for sub-cluster " + (row ? row->name() : "?"));
    }
    const Lane& lane = LaneOf(target.topic, target.partition);
    const bool open =
        !lane.breaker.WouldAllow(now) || !way.breaker.WouldAllow(now);
    if (open && lane.bytes + each > options_.open_breaker_bytes) {
      return absl::UnavailableError(
          "partition " + LaneName(target.topic, target.partition) +
          ": its breaker is open after repeated failures and its queue of " +
          std::to_string(options_.open_breaker_bytes) + " bytes is full");
    }
  }
  for (const Target& target : targets) {
    bytes_ += each;
    WayOf(target.segment.sub_cluster).bytes += each;
    LaneOf(target.topic, target.partition).bytes += each;
    message->charges.push_back(
        {target.segment.sub_cluster, LaneKey(target.topic, target.partition)});
  }
  return absl::OkStatus();
}

void Dispatcher::ReleaseBuffer(Message* message, const Copy* copy) {
  std::erase_if(message->charges, [&](const Message::Charge& charge) {
    if (copy != nullptr &&
        charge.sub_cluster.value() !=
            message->report.targets[copy->target].sub_cluster_id) {
      return false;
    }
    mutex_.AssertHeld();
    bytes_ -= message->bytes;
    WayOf(charge.sub_cluster).bytes -= message->bytes;
    lanes_[charge.lane].bytes -= message->bytes;
    return true;
  });
}

Dispatcher::Lane& Dispatcher::LaneOf(TopicId topic, PartitionNumber number) {
  const auto [at, added] = lanes_.try_emplace(LaneKey(topic, number));
  if (added) {
    at->second.breaker =
        Breaker(options_.breaker_failures, options_.breaker_pause);
  }
  return at->second;
}

Dispatcher::Way& Dispatcher::WayOf(SubClusterId id) {
  const auto [at, added] = ways_.try_emplace(id.value());
  if (added) {
    at->second.breaker =
        Breaker(2 * options_.breaker_failures, options_.breaker_pause);
  }
  return at->second;
}

Outlet* Dispatcher::OutletOf(SubClusterId id) {
  Way& way = WayOf(id);
  const v1::SubClusterRow* row = view_->view.sub_cluster(id);
  if (row == nullptr) return nullptr;
  const std::string from =
      row->bootstrap_servers() + "\n" + row->security_ref();
  if (way.outlet && way.made_from == from) return way.outlet.get();
  if (clock_.Steady() < way.retry_at || closed_) return nullptr;
  auto made = factory_(
      *row, timeout_,
      [this](std::span<const OutletReport> reports) { OnReports(reports); });
  if (!made.ok()) {
    if (way.error.ok()) {
      LogWarning("no Kafka producer for a sub-cluster",
                 {{"sub_cluster", row->name()}, {"error", made.status()}});
    }
    way.error = made.status();
    way.retry_at = clock_.Steady() + kOutletPause;
    return nullptr;
  }
  if (way.outlet) replaced_.push_back(std::move(way.outlet));
  way.outlet = *std::move(made);
  way.made_from = from;
  way.error = absl::OkStatus();
  return way.outlet.get();
}

const std::string& Dispatcher::KafkaTopicName(federation::KafkaTopicId id) {
  std::string& name = kafka_topics_[id.value()];
  if (name.empty()) {
    // Physical names are never used twice, so this one is right for ever.
    if (const auto row = view_->view.kafka_topic(id)) name = row->name();
  }
  return name;
}

std::string Dispatcher::LaneName(TopicId topic, PartitionNumber number) const {
  const v1::TopicRow* row = view_->view.topic(topic);
  return (row ? row->name() : std::to_string(topic.value())) + "/" +
         std::to_string(number.value());
}

void Dispatcher::SetView(ViewPointer view) {
  Finished finished;
  {
    MonitorLock lock(&mutex_);
    view_ = std::move(view);
    partitions_.clear();
    PumpAll(&finished);
  }
  Run(&finished);
}

void Dispatcher::Tick() {
  Finished finished;
  {
    MonitorLock lock(&mutex_);
    const milliseconds now = clock_.Steady();
    if (!pump_wanted_ && now < next_sweep_) return;
    pump_wanted_ = false;
    next_sweep_ = now + kSweep;
    PumpAll(&finished);
  }
  Run(&finished);
}

void Dispatcher::StartSession(milliseconds message_timeout) {
  MonitorLock lock(&mutex_);
  counts_.clear();
  if (message_timeout.count() > 0) {
    timeout_ = std::min(options_.message_timeout, message_timeout);
  }
}

milliseconds Dispatcher::message_timeout() const {
  MonitorLock lock(&mutex_);
  return timeout_;
}

std::vector<v1::SegmentCount> Dispatcher::Counts() const {
  MonitorLock lock(&mutex_);
  std::vector<v1::SegmentCount> counts;
  counts.reserve(counts_.size());
  for (const auto& [key, count] : counts_) counts.push_back(count);
  return counts;
}

ProducerStats Dispatcher::stats() const {
  MonitorLock lock(&mutex_);
  ProducerStats stats = stats_;
  stats.buffered_bytes = bytes_;
  return stats;
}

absl::Status Dispatcher::Flush(milliseconds timeout) {
  MonitorLock lock(&mutex_);
  const auto done = [this] {
    mutex_.AssertHeld();
    return unfinished_ == 0;
  };
  if (mutex_.AwaitFor(timeout, done)) return absl::OkStatus();
  return absl::DeadlineExceededError(std::to_string(unfinished_) +
                                     " messages are not delivered after " +
                                     std::to_string(timeout.count()) + " ms");
}

void Dispatcher::Close() {
  Finished finished;
  {
    MonitorLock lock(&mutex_);
    closed_ = true;
    for (KeyState* key : waiting_) {
      while (!key->queue.empty()) {
        FailUnsent(std::move(key->queue.front()),
                   absl::CancelledError("the producer was closed before the "
                                        "message could be sent"),
                   &finished);
        key->queue.pop_front();
      }
      for (Copy* copy : key->refused) {
        FinishCopy(copy, absl::CancelledError("the producer was closed"), -1,
                   &finished);
      }
      key->refused.clear();
    }
    waiting_.clear();
  }
  Run(&finished);
}

void Dispatcher::Shutdown() {
  std::vector<std::shared_ptr<Outlet>> outlets;
  {
    MonitorLock lock(&mutex_);
    closed_ = true;
    outlets.swap(replaced_);
    for (auto& [id, way] : ways_) {
      if (way.outlet) outlets.push_back(std::move(way.outlet));
    }
  }
  // Outside the lock: their last reports come in while they end.
  outlets.clear();
}

void Dispatcher::Run(Finished* done) {
  if (done->empty()) return;
  for (auto& [callback, report] : *done) {
    if (callback) callback(report);
  }
  // Only now, so that Flush returns after the callbacks have.
  MonitorLock lock(&mutex_);
  unfinished_ -= done->size();
  done->clear();
}

}  // namespace kafed::client
