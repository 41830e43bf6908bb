// The Dispatcher's way of a message: out, back, and out again.
#include <algorithm>
#include <utility>

#include "client/dispatcher.h"
#include "client/dispatcher_parts.h"
#include "common/status_macros.h"

namespace kafed::client {

using federation::PartitionNumber;
using federation::SubClusterId;
using federation::Target;
using federation::TopicId;

namespace {
// A copy whose batches are refused again and again is given up.
constexpr int kMaxAttempts = 5;
constexpr std::string_view kTooLate = "the message was not sent in time";
}  // namespace

Dispatcher::Wait Dispatcher::WhyWait(const KeyState& key, const Routes& routes,
                                     milliseconds now) {
  if (key.keyed && !key.refused.empty()) return Wait::kDraining;
  for (size_t i = 0; i < routes.size(); ++i) {
    const Target& target = routes[i].target;
    if (!target.ready) return Wait::kNotReady;
    if (target.held()) return Wait::kHeld;
    const Outlet* outlet = OutletOf(routes[i]);
    if (outlet == nullptr) return Wait::kOutlet;
    const KeyState::Place place{target.partition, target.segment.epoch, outlet};
    if (key.keyed && key.under_way > 0 &&
        (key.places.size() != routes.size() || key.places[i] != place)) {
      return Wait::kDraining;
    }
    if (!routes[i].lane->breaker.WouldAllow(now) ||
        !routes[i].way->breaker.WouldAllow(now)) {
      return Wait::kBreaker;
    }
  }
  return Wait::kNone;
}

void Dispatcher::SendAll(KeyState* key, const Routes& routes, milliseconds now,
                         Message* message) {
  message->unfinished = routes.size();
  message->copies.resize(routes.size());
  message->report.targets.resize(routes.size());
  if (key->under_way == 0) {
    key->places.clear();
    for (const Route& route : routes) {
      key->places.push_back({route.target.partition, route.target.segment.epoch,
                             OutletOf(route)});
    }
  }
  for (size_t i = 0; i < routes.size(); ++i) {
    Copy& copy = message->copies[i];
    copy.message = message;
    copy.key = key;
    copy.target = i;
    if (!SendCopy(routes[i], now, &copy)) key->refused.push_back(&copy);
  }
}

bool Dispatcher::SendCopy(const Route& route, milliseconds now, Copy* copy) {
  const Target& target = route.target;
  Message& message = *copy->message;
  copy->lane = route.lane;
  copy->way = route.way;
  DeliveredTo& to = message.report.targets[copy->target];
  to.partition = target.partition.value();
  to.epoch = target.segment.epoch.value();
  to.sub_cluster_id = target.segment.sub_cluster.value();
  to.kafka_topic = KafkaTopicName(target.segment.kafka_topic);
  to.kafka_partition = target.segment.kafka_partition;
  WriteKafkaHeader(
      {MessageKind::kData, to.epoch, source_, message.report.sequence},
      copy->kafed_header.data());
  Outlet* outlet = OutletOf(route);
  if (outlet == nullptr) return false;
  route.lane->breaker.Allow(now);
  route.way->breaker.Allow(now);
  const absl::Status sent =
      outlet->Send({target.segment.kafka_topic.value(),
                    to.kafka_topic,
                    to.kafka_partition,
                    message.id(),
                    message.payload,
                    {copy->kafed_header.data(), copy->kafed_header.size()},
                    &message.headers,
                    copy});
  if (!sent.ok()) {
    route.lane->breaker.Return();
    route.way->breaker.Return();
    to.status = sent;
    return false;
  }
  ++copy->attempts;
  ++copy->key->under_way;
  return true;
}

void Dispatcher::PumpAll(Finished* done) {
  // Pump may drop keys from the set.
  const std::vector<KeyState*> keys(waiting_.begin(), waiting_.end());
  for (KeyState* key : keys) Pump(key, done);
}

void Dispatcher::Pump(KeyState* key, Finished* done) {
  const milliseconds now = clock_.Steady();
  while (PumpRefused(key, done) && !key->queue.empty()) {
    Message& message = *key->queue.front();
    const bool late = now - message.accepted >= timeout_;
    absl::Status why;
    Routes routes;
    const v1::TopicRow* topic = view_->view.topic(message.topic);
    if (const absl::Status lease = CheckLease(topic, now); !lease.ok()) {
      // A lease may be renewed in time.
      key->why = Wait::kLease;
      if (!late) break;
      why = lease;
    } else if (why = RouteOf(message, key, now, &routes); why.ok()) {
      key->why = WhyWait(*key, routes, now);
      if (key->why != Wait::kNone && !late) break;
      if (late) why = Unsent(*key, kTooLate);
    }
    std::unique_ptr<Message> first = std::move(key->queue.front());
    key->queue.pop_front();
    if (why.ok()) {
      --stats_.waiting;
      SendAll(key, routes, now, first.release());
    } else {
      FailUnsent(std::move(first), why, done);
    }
  }
  if (!key->waits()) waiting_.erase(key);
  DropIfIdle(key);
}

bool Dispatcher::PumpRefused(KeyState* key, Finished* done) {
  if (key->refused.empty()) return true;
  if (key->keyed && key->under_way > 0) return false;
  std::vector<Copy*> copies;
  copies.swap(key->refused);
  std::sort(copies.begin(), copies.end(), [](const Copy* a, const Copy* b) {
    return a->message->report.sequence < b->message->report.sequence;
  });
  const milliseconds now = clock_.Steady();
  key->places.clear();
  for (Copy* copy : copies) {
    const Message& message = *copy->message;
    const DeliveredTo& to = message.report.targets[copy->target];
    const PartitionNumber number(to.partition);
    Target target;
    if (key->keyed &&
        key->Acknowledged(to.partition) > message.report.sequence) {
      FinishCopy(copy,
                 absl::AbortedError("refused by the broker, and a later "
                                    "message of the key was written since"),
                 -1, done);
    } else if (now - message.accepted >= timeout_ ||
               copy->attempts >= kMaxAttempts) {
      FinishCopy(copy, to.status.ok() ? Unsent(*key, kTooLate) : to.status, -1,
                 done);
    } else if (!key->refused.empty() ||
               !CheckLease(view_->view.topic(message.topic), now).ok() ||
               !view_->view.Resolve(message.topic, number, &target) ||
               !target.ready || target.held() ||
               !SendCopy(RouteTo(target), now, copy)) {
      key->refused.push_back(copy);
    } else {
      const KeyState::Place place{number, target.segment.epoch,
                                  copy->way->outlet.get()};
      if (std::find(key->places.begin(), key->places.end(), place) ==
          key->places.end()) {
        key->places.push_back(place);
      }
      ++stats_.retried;
    }
  }
  return key->refused.empty();
}

void Dispatcher::DropIfIdle(KeyState* key) {
  if (key->under_way > 0 || key->waits()) return;
  keys_.erase(keys_.find(key->name));
}

absl::Status Dispatcher::Unsent(const KeyState& key,
                                std::string_view what) const {
  const std::string context = "'" + key.name + "': " + std::string(what);
  const std::string text = context + ": ";
  switch (key.why) {
    case Wait::kNotReady:
      return absl::DeadlineExceededError(
          text + "its Kafka topic is still being created");
    case Wait::kHeld:
      return absl::DeadlineExceededError(text + "its partition is being moved");
    case Wait::kBreaker:
      return absl::UnavailableError(
          text + "the breaker of its partition or sub-cluster is open");
    case Wait::kOutlet:
      for (const Route& route : key.routes) {
        if (!route.way->error.ok()) return Annotate(route.way->error, context);
      }
      return absl::UnavailableError(
          text + "there is no Kafka producer for its sub-cluster");
    case Wait::kLease:
      return absl::FailedPreconditionError(text + "lease: it is over");
    case Wait::kDraining:
    case Wait::kNone:
      break;
  }
  return absl::DeadlineExceededError(
      text + "earlier messages of the key were still under way");
}

void Dispatcher::OnReports(std::span<const OutletReport> reports) {
  Finished finished;
  {
    MonitorLock lock(&mutex_);
    const milliseconds now = clock_.Steady();
    finished.reserve(reports.size());
    for (const OutletReport& report : reports) {
      OnReport(report, now, &finished);
    }
    if (reports.empty()) pump_wanted_ = true;
  }
  Run(&finished);
}

void Dispatcher::OnReport(const OutletReport& report, milliseconds now,
                          Finished* done) {
  auto* copy = static_cast<Copy*>(report.token);
  KeyState* key = copy->key;
  DeliveredTo& to = copy->message->report.targets[copy->target];
  --key->under_way;
  Breaker& lane = copy->lane->breaker;
  Breaker& way = copy->way->breaker;
  if (report.unhealthy) {
    lane.Failed(now);
    way.Failed(now);
  } else {
    // It answered, if only with a refusal.
    if (lane.open() || way.open()) pump_wanted_ = true;
    lane.Succeeded();
    way.Succeeded();
  }
  Count(*copy, report.outcome);
  if (report.outcome == Outcome::kAcknowledged) {
    uint64_t& newest = key->Acknowledged(to.partition);
    newest = std::max(newest, copy->message->report.sequence);
  }
  if (report.outcome == Outcome::kRefused && !closed_) {
    to.status = report.status;
    key->refused.push_back(copy);
    waiting_.insert(key);
  } else {
    FinishCopy(copy, report.status, report.offset, done);
  }
  if (key->waits() && (key->under_way == 0 || !key->keyed) && !closed_) {
    Pump(key, done);
  } else {
    DropIfIdle(key);
  }
}

void Dispatcher::Count(const Copy& copy, Outcome outcome) {
  if (outcome != Outcome::kAcknowledged &&
      outcome != Outcome::kPossiblyPersisted) {
    return;
  }
  const DeliveredTo& to = copy.message->report.targets[copy.target];
  std::vector<v1::SegmentCount>& counts = copy.lane->counts;
  auto count = std::find_if(
      counts.rbegin(), counts.rend(),
      [&](const v1::SegmentCount& each) { return each.epoch() == to.epoch; });
  if (count == counts.rend()) {
    counts.emplace_back();
    count = counts.rbegin();
    count->set_topic_id(copy.message->topic.value());
    count->set_partition(to.partition);
    count->set_epoch(to.epoch);
  }
  if (outcome == Outcome::kAcknowledged) {
    count->set_acknowledged(count->acknowledged() + 1);
  } else {
    count->set_possibly_persisted(count->possibly_persisted() + 1);
  }
}

void Dispatcher::FinishCopy(Copy* copy, const absl::Status& status,
                            int64_t offset, Finished* done) {
  Message* message = copy->message;
  DeliveredTo& to = message->report.targets[copy->target];
  to.status = status;
  to.offset = offset;
  if (message->report.status.ok()) message->report.status = status;
  ReleaseBuffer(message, copy);
  if (--message->unfinished == 0) Complete(message, done);
}

void Dispatcher::Complete(Message* message, Finished* done) {
  ReleaseBuffer(message, nullptr);
  ++(message->report.status.ok() ? stats_.acknowledged : stats_.failed);
  done->emplace_back(message);
}

void Dispatcher::FailUnsent(std::unique_ptr<Message> message,
                            const absl::Status& why, Finished* done) {
  --stats_.waiting;
  message->report.status = why;
  Complete(message.release(), done);
}

}  // namespace kafed::client
