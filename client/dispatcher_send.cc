// The Dispatcher's way of a message: out, back, and out again.
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
}  // namespace

Dispatcher::Wait Dispatcher::WhyWait(const KeyState& key,
                                     const Targets& targets) {
  if (key.keyed && !key.refused.empty()) return Wait::kDraining;
  const milliseconds now = clock_.Steady();
  for (size_t i = 0; i < targets.size(); ++i) {
    const Target& target = targets[i];
    if (!target.ready) return Wait::kNotReady;
    if (target.held()) return Wait::kHeld;
    const Outlet* outlet = OutletOf(target.segment.sub_cluster);
    if (outlet == nullptr) return Wait::kOutlet;
    const KeyState::Place place{target.partition, target.segment.epoch, outlet};
    if (key.keyed && key.under_way > 0 &&
        (key.places.size() != targets.size() || key.places[i] != place)) {
      return Wait::kDraining;
    }
    if (!LaneOf(target.topic, target.partition).breaker.WouldAllow(now) ||
        !WayOf(target.segment.sub_cluster).breaker.WouldAllow(now)) {
      return Wait::kBreaker;
    }
  }
  return Wait::kNone;
}

void Dispatcher::SendAll(KeyState* key, const Targets& targets,
                         Message* message) {
  message->copies = targets.size();
  if (key->under_way == 0) {
    key->places.clear();
    for (const Target& target : targets) {
      key->places.push_back({target.partition, target.segment.epoch,
                             OutletOf(target.segment.sub_cluster)});
    }
  }
  for (const Target& target : targets) {
    auto* copy = new Copy;
    copy->message = message;
    copy->key = key;
    copy->target = message->report.targets.size();
    message->report.targets.emplace_back();
    if (!SendCopy(target, copy)) key->refused.push_back(copy);
  }
}

bool Dispatcher::SendCopy(const Target& target, Copy* copy) {
  Message& message = *copy->message;
  DeliveredTo& to = message.report.targets[copy->target];
  to.partition = target.partition.value();
  to.epoch = target.segment.epoch.value();
  to.sub_cluster_id = target.segment.sub_cluster.value();
  to.kafka_topic = KafkaTopicName(target.segment.kafka_topic);
  to.kafka_partition = target.segment.kafka_partition;
  copy->kafed_header = EncodeKafkaHeader(
      {MessageKind::kData, to.epoch, source_, message.report.sequence});
  Outlet* outlet = OutletOf(target.segment.sub_cluster);
  if (outlet == nullptr) return false;
  const milliseconds now = clock_.Steady();
  Breaker& lane = LaneOf(target.topic, target.partition).breaker;
  Breaker& way = WayOf(target.segment.sub_cluster).breaker;
  lane.Allow(now);
  way.Allow(now);
  const absl::Status sent =
      outlet->Send({target.segment.kafka_topic.value(), to.kafka_topic,
                    to.kafka_partition, message.id, message.payload,
                    copy->kafed_header, &message.headers, copy});
  if (!sent.ok()) {
    lane.Return();
    way.Return();
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
    Targets targets;
    if (const absl::Status lease = CheckLease(message); !lease.ok()) {
      // A lease may be renewed in time.
      key->why = Wait::kLease;
      if (!late) break;
      why = lease;
    } else if (auto route = RouteOf(message); !route.ok()) {
      why = route.status();
    } else {
      targets = *std::move(route);
      key->why = WhyWait(*key, targets);
      if (key->why != Wait::kNone && !late) break;
      if (late) why = TimedOut(*key);
    }
    std::unique_ptr<Message> first = std::move(key->queue.front());
    key->queue.pop_front();
    if (why.ok()) {
      --stats_.waiting;
      SendAll(key, targets, first.release());
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
    const auto newest = key->acknowledged.find(to.partition);
    Target target;
    if (key->keyed && newest != key->acknowledged.end() &&
        newest->second > message.report.sequence) {
      FinishCopy(copy,
                 absl::AbortedError("refused by the broker, and a later "
                                    "message of the key was written since"),
                 -1, done);
    } else if (now - message.accepted >= timeout_ ||
               copy->attempts >= kMaxAttempts) {
      FinishCopy(copy, to.status.ok() ? TimedOut(*key) : to.status, -1, done);
    } else if (!key->refused.empty() || !CheckLease(message).ok() ||
               !view_->view.Resolve(message.topic, number, &target) ||
               !target.ready || target.held() || !SendCopy(target, copy)) {
      key->refused.push_back(copy);
    } else {
      const KeyState::Place place{number, target.segment.epoch,
                                  OutletOf(target.segment.sub_cluster)};
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
  const std::string name = key->name;
  keys_.erase(name);
}

absl::Status Dispatcher::TimedOut(const KeyState& key) const {
  const std::string text =
      "'" + key.name + "': the message was not sent in time: ";
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
    for (const OutletReport& report : reports) OnReport(report, &finished);
    if (reports.empty()) pump_wanted_ = true;
  }
  Run(&finished);
}

void Dispatcher::OnReport(const OutletReport& report, Finished* done) {
  auto* copy = static_cast<Copy*>(report.token);
  KeyState* key = copy->key;
  DeliveredTo& to = copy->message->report.targets[copy->target];
  const TopicId topic = copy->message->topic;
  --key->under_way;
  Breaker& lane = LaneOf(topic, PartitionNumber(to.partition)).breaker;
  Breaker& way = WayOf(SubClusterId(to.sub_cluster_id)).breaker;
  if (report.unhealthy) {
    lane.Failed(clock_.Steady());
    way.Failed(clock_.Steady());
  } else {
    // It answered, if only with a refusal.
    if (lane.open() || way.open()) pump_wanted_ = true;
    lane.Succeeded();
    way.Succeeded();
  }
  if (report.outcome == Outcome::kAcknowledged ||
      report.outcome == Outcome::kPossiblyPersisted) {
    v1::SegmentCount& count =
        counts_[{LaneKey(topic, PartitionNumber(to.partition)), to.epoch}];
    count.set_topic_id(topic.value());
    count.set_partition(to.partition);
    count.set_epoch(to.epoch);
    if (report.outcome == Outcome::kAcknowledged) {
      count.set_acknowledged(count.acknowledged() + 1);
      uint64_t& newest = key->acknowledged[to.partition];
      newest = std::max(newest, copy->message->report.sequence);
    } else {
      count.set_possibly_persisted(count.possibly_persisted() + 1);
    }
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

void Dispatcher::FinishCopy(Copy* copy, const absl::Status& status,
                            int64_t offset, Finished* done) {
  Message* message = copy->message;
  DeliveredTo& to = message->report.targets[copy->target];
  to.status = status;
  to.offset = offset;
  if (message->report.status.ok()) message->report.status = status;
  ReleaseBuffer(message, copy);
  delete copy;
  if (--message->copies == 0) Complete(message, done);
}

void Dispatcher::Complete(Message* message, Finished* done) {
  ReleaseBuffer(message, nullptr);
  ++(message->report.status.ok() ? stats_.acknowledged : stats_.failed);
  done->emplace_back(std::move(message->done), std::move(message->report));
  delete message;
}

void Dispatcher::FailUnsent(std::unique_ptr<Message> message,
                            const absl::Status& why, Finished* done) {
  --stats_.waiting;
  message->report.status = why;
  Complete(message.release(), done);
}

}  // namespace kafed::client
