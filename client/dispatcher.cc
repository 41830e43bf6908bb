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
// Finished messages that are kept to be used again, with payloads up to this.
constexpr size_t kSpareMessages = 16'384;
constexpr size_t kSparePayload = 1'024;

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

absl::Status Dispatcher::Produce(std::string_view key, std::string_view payload,
                                 std::vector<Header> headers,
                                 DeliveryCallback done) {
  RETURN_IF_ERROR(CheckHeaders(headers));
  RETURN_IF_ERROR(CheckSize(key, payload, headers));
  MonitorLock lock(&mutex_);
  std::unique_ptr<Message> message = NewMessage();
  message->payload.assign(payload);
  const milliseconds now = clock_.Steady();
  Routes routes;
  absl::StatusOr<KeyState*> accepted = Accept(key, now, message.get(), &routes);
  if (!accepted.ok()) {
    Recycle(std::move(message));
    return accepted.status();
  }
  message->headers = std::move(headers);
  message->done = std::move(done);
  KeyState* state = *accepted;
  const Wait why = WhyWait(*state, routes, now);
  if (state->queue.empty() && why == Wait::kNone) {
    SendAll(state, routes, now, message.release());
  } else {
    if (state->queue.empty()) state->why = why;
    state->queue.push_back(std::move(message));
    ++stats_.waiting;
  }
  if (state->waits()) waiting_.insert(state);
  return absl::OkStatus();
}

std::unique_ptr<Dispatcher::Message> Dispatcher::NewMessage() {
  if (spare_.empty()) return std::make_unique<Message>();
  std::unique_ptr<Message> message = std::move(spare_.back());
  spare_.pop_back();
  return message;
}

void Dispatcher::Recycle(std::unique_ptr<Message> message) {
  if (spare_.size() >= kSpareMessages ||
      message->payload.capacity() > kSparePayload) {
    return;
  }
  message->headers.clear();
  message->charges.clear();
  message->copies.clear();
  message->report.status = absl::OkStatus();
  message->report.targets.clear();
  spare_.push_back(std::move(message));
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

absl::StatusOr<Dispatcher::KeyState*> Dispatcher::Accept(std::string_view key,
                                                         milliseconds now,
                                                         Message* message,
                                                         Routes* routes) {
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
  const v1::TopicRow* row = view_->view.topic(message->topic);
  if (row == nullptr) {
    return absl::NotFoundError("key: no topic is called '" +
                               std::string(topic) + "'");
  }
  const bool keyed = slash + 1 < key.size();
  if (!keyed && row->kind() != v1::TOPIC_KIND_HASHED) {
    return absl::InvalidArgumentError(
        "key: the id is empty; only topics of kind hashed allow that");
  }
  RETURN_IF_ERROR(CheckLease(row, now));
  message->report.key.assign(key);
  message->report.topic = row->name();
  const auto at = keys_.find(absl::string_view(key.data(), key.size()));
  KeyState* state = at == keys_.end() ? nullptr : at->second.get();
  RETURN_IF_ERROR(RouteOf(*message, state, now, routes));
  message->bytes = message->payload.size() + message->id().size() + kOverhead;
  RETURN_IF_ERROR(TakeBuffer(*routes, now, message));
  message->accepted = now;
  message->report.source = source_;
  message->report.sequence = ++sequence_;
  ++unfinished_;
  ++stats_.accepted;
  if (state == nullptr) {
    auto made = std::make_unique<KeyState>();
    state = made.get();
    state->name = message->report.key;
    state->keyed = keyed;
    state->routes = *routes;
    state->routed_in = views_;
    keys_.emplace(state->name, std::move(made));
  }
  return state;
}

absl::Status Dispatcher::RouteOf(const Message& message, KeyState* key,
                                 milliseconds now, Routes* routes) {
  const std::string_view id = message.id();
  if (id.empty()) return AnyHealthy(message.topic, now, routes);
  if (key != nullptr && key->routed_in == views_) {
    *routes = key->routes;
    return absl::OkStatus();
  }
  if (Target target; view_->view.RouteOne(message.topic, id, &target)) {
    routes->push_back(RouteTo(target));
  } else {
    ASSIGN_OR_RETURN(const std::vector<Target> targets,
                     view_->view.Route(message.topic, id));
    for (const Target& each : targets) routes->push_back(RouteTo(each));
  }
  if (key != nullptr) {
    key->routes = *routes;
    key->routed_in = views_;
  }
  return absl::OkStatus();
}

Dispatcher::Route Dispatcher::RouteTo(const Target& target) {
  return {target, &LaneOf(target.topic, target.partition),
          &WayOf(target.segment.sub_cluster)};
}

absl::Status Dispatcher::AnyHealthy(TopicId topic, milliseconds now,
                                    Routes* routes) {
  auto& numbers = partitions_[topic.value()];
  if (numbers.empty()) numbers = view_->view.PartitionsOf(topic);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const PartitionNumber number = numbers[++spread_ % numbers.size()];
    Target target;
    if (!view_->view.Resolve(topic, number, &target)) continue;
    const Route route = RouteTo(target);
    if (routes->empty()) routes->push_back(route);  // if none is healthy
    if (target.ready && !target.held() && route.lane->breaker.WouldAllow(now) &&
        route.way->breaker.WouldAllow(now)) {
      routes->front() = route;
      return absl::OkStatus();
    }
  }
  if (routes->empty()) {
    return absl::NotFoundError("key: the topic has no partition");
  }
  return absl::OkStatus();
}

absl::Status Dispatcher::CheckLease(const v1::TopicRow* row,
                                    milliseconds now) const {
  if (row == nullptr || row->on_lease_end() == v1::ON_LEASE_END_CONTINUE) {
    return absl::OkStatus();
  }
  const LeaseState lease = lease_();
  const bool multicast = row->kind() == v1::TOPIC_KIND_MULTICAST;
  const milliseconds until =
      multicast ? lease.multicast_until : lease.session_until;
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

absl::Status Dispatcher::TakeBuffer(const Routes& routes, milliseconds now,
                                    Message* message) {
  const size_t each = message->bytes;
  if (bytes_ + each * routes.size() > options_.buffer_bytes) {
    return absl::ResourceExhaustedError(
        "buffer_bytes: " + std::to_string(bytes_) + " of " +
        std::to_string(options_.buffer_bytes) +
        " bytes wait for delivery; slow down or raise it");
  }
  for (const auto& [target, lane, way] : routes) {
    if (way->bytes + each > options_.sub_cluster_buffer_bytes) {
      const auto* row = view_->view.sub_cluster(target.segment.sub_cluster);
      return absl::ResourceExhaustedError(
          "sub_cluster_buffer_bytes: " + std::to_string(way->bytes) + " of " +
          std::to_string(options_.sub_cluster_buffer_bytes) +
          " bytes wait for sub-cluster " + (row ? row->name() : "?"));
    }
    const bool open =
        !lane->breaker.WouldAllow(now) || !way->breaker.WouldAllow(now);
    if (open && lane->bytes + each > options_.open_breaker_bytes) {
      return absl::UnavailableError(
          "partition " + LaneName(target.topic, target.partition) +
          ": its breaker is open after repeated failures and its queue of " +
          std::to_string(options_.open_breaker_bytes) + " bytes is full");
    }
  }
  for (const Route& route : routes) {
    bytes_ += each;
    route.way->bytes += each;
    route.lane->bytes += each;
    message->charges.push_back({route.lane, route.way});
  }
  return absl::OkStatus();
}

void Dispatcher::ReleaseBuffer(Message* message, const Copy* copy) {
  auto& charges = message->charges;
  for (size_t i = charges.size(); i > 0; --i) {
    const Message::Charge charge = charges[i - 1];
    if (copy != nullptr && charge.way != copy->way) continue;
    bytes_ -= message->bytes;
    charge.way->bytes -= message->bytes;
    charge.lane->bytes -= message->bytes;
    charges.erase(charges.begin() + static_cast<std::ptrdiff_t>(i - 1));
    if (copy != nullptr) return;
  }
}

Dispatcher::Lane& Dispatcher::LaneOf(TopicId topic, PartitionNumber number) {
  std::unique_ptr<Lane>& lane = lanes_[LaneKey(topic, number)];
  if (!lane) {
    lane = std::make_unique<Lane>();
    lane->breaker = Breaker(options_.breaker_failures, options_.breaker_pause);
  }
  return *lane;
}

Dispatcher::Way& Dispatcher::WayOf(SubClusterId id) {
  std::unique_ptr<Way>& way = ways_[id.value()];
  if (!way) {
    way = std::make_unique<Way>();
    way->breaker =
        Breaker(2 * options_.breaker_failures, options_.breaker_pause);
  }
  return *way;
}

Outlet* Dispatcher::OutletOf(const Route& route) {
  Way& way = *route.way;
  if (way.outlet && way.checked_in == views_) return way.outlet.get();
  const v1::SubClusterRow* row =
      view_->view.sub_cluster(route.target.segment.sub_cluster);
  if (row == nullptr) return nullptr;
  const std::string from =
      row->bootstrap_servers() + "\n" + row->security_ref();
  if (way.outlet && way.made_from == from) {
    way.checked_in = views_;
    return way.outlet.get();
  }
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
  way.checked_in = views_;
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
    ++views_;
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
  for (auto& [id, lane] : lanes_) lane->counts.clear();
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
  for (const auto& [id, lane] : lanes_) {
    counts.insert(counts.end(), lane->counts.begin(), lane->counts.end());
  }
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
      const absl::Status why = absl::CancelledError(
          Unsent(*key, "the producer was closed before the message was sent")
              .message());
      while (!key->queue.empty()) {
        FailUnsent(std::move(key->queue.front()), why, &finished);
        key->queue.pop_front();
      }
      for (Copy* copy : key->refused) {
        FinishCopy(copy, why, -1, &finished);
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
      if (way->outlet) outlets.push_back(std::move(way->outlet));
    }
  }
  // Outside the lock: their last reports come in while they end.
  outlets.clear();
}

void Dispatcher::Run(Finished* done) {
  if (done->empty()) return;
  for (const std::unique_ptr<Message>& message : *done) {
    if (message->done) message->done(message->report);
    message->done = nullptr;  // may own something that calls Produce
  }
  // Only now, so that Flush returns after the callbacks have.
  MonitorLock lock(&mutex_);
  unfinished_ -= done->size();
  for (std::unique_ptr<Message>& message : *done) Recycle(std::move(message));
  done->clear();
}

}  // namespace kafed::client
