#include "client/agent_subscriber.h"

#include <filesystem>
#include <set>
#include <utility>

#include "absl/time/time.h"
#include "client/rpc/grpc_connection.h"
#include "common/log.h"
#include "common/row_codec.h"

namespace kafed::client {
namespace {

constexpr absl::Duration kStep = absl::Milliseconds(50);
// How long what was merely skipped may stay unwritten.
constexpr milliseconds kIdleWrite{60'000};
constexpr milliseconds kCommittedWait{5'000};

// A file name for any host id.
std::string FileNameOf(const std::string& host) {
  std::string name;
  for (const char c : host) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                       c == '-' || c == '_';
    name += plain ? std::string(1, c) : "%" + ToHex(std::string_view(&c, 1));
  }
  return name + ".agent";
}

}  // namespace

AgentSubscriber::AgentSubscriber(SubscriberOptions options,
                                 SubscriberHandlers handlers)
    : options_(std::move(options)),
      handlers_(std::move(handlers)),
      clock_(*options_.clock),
      state_path_(options_.state_dir.empty()
                      ? ""
                      : options_.state_dir + "/" + FileNameOf(options_.host)),
      nodes_(options_, ConnectorOr(options_.connector)),
      backoff_(options_.backoff_min, options_.backoff_max),
      agent_(options_.host, options_.filter_entries) {}

absl::StatusOr<std::unique_ptr<Subscriber>> AgentSubscriber::Create(
    SubscriberOptions options, SubscriberHandlers handlers) {
  std::unique_ptr<AgentSubscriber> subscriber(
      new AgentSubscriber(std::move(options), std::move(handlers)));
  RETURN_IF_ERROR(subscriber->LoadState());
  subscriber->thread_ =
      std::thread([self = subscriber.get()] { self->Loop(); });
  return std::unique_ptr<Subscriber>(std::move(subscriber));
}

AgentSubscriber::~AgentSubscriber() { Stop(); }

absl::Status AgentSubscriber::LoadState() {
  absl::MutexLock lock(&mutex_);
  fresh_ = true;
  next_commit_ = clock_.Steady() + options_.recommit_interval;
  if (state_path_.empty()) return absl::OkStatus();
  std::error_code error;
  std::filesystem::create_directories(options_.state_dir, error);
  if (error) {
    return absl::UnavailableError("state_dir: cannot create '" +
                                  options_.state_dir + "': " + error.message());
  }
  const auto state = LoadAgentState(state_path_);
  if (absl::IsNotFound(state.status())) return absl::OkStatus();
  if (!state.ok()) {
    LogWarning("the agent starts without its state",
               {{"host", options_.host}, {"error", state.status()}});
    return absl::OkStatus();
  }
  agent_.Restore(*state);
  fresh_ = false;
  ready_ = !state->chains.empty();
  Distribute();
  return absl::OkStatus();
}

void AgentSubscriber::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  const absl::Status written = WriteDown(state_path_.empty(), true);
  if (!written.ok()) {
    LogWarning("the agent's last commit is not in Kafka",
               {{"host", options_.host}, {"error", written}});
  }
  std::vector<std::unique_ptr<ConsumerHandle>> ending;
  {
    absl::MutexLock lock(&mutex_);
    ending.swap(replaced_);
    for (auto& [name, consumer] : consumers_) {
      ending.push_back(std::move(consumer.handle));
    }
    consumers_.clear();
  }
  ending.clear();
}

void AgentSubscriber::Loop() {
  while (true) {
    bool ask = false;
    bool write = false;
    bool again = false;
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kStep)) return;
      const milliseconds now = clock_.Steady();
      ask = now >= next_ask_;
      write = dirty_ || now >= next_write_ || now >= next_commit_;
      again = now >= next_commit_;
      if (again) next_commit_ = now + options_.recommit_interval;
      if (write) next_write_ = now + kIdleWrite;
    }
    if (ask) Ask();
    if (!write) continue;
    const absl::Status written = WriteDown(false, again);
    if (!written.ok()) {
      LogWarning("the agent's progress could not be written",
                 {{"host", options_.host}, {"error", written}});
    }
  }
}

void AgentSubscriber::Ask() {
  v1::SubscriptionsRequest request;
  request.set_host(options_.host);
  bool all = false;
  {
    absl::MutexLock lock(&mutex_);
    all = ask_all_;
    if (!all && !fresh_) {
      for (v1::KnownChain& known : agent_.Known()) {
        *request.add_known() = std::move(known);
      }
    }
    ask_all_ = false;
  }
  const auto response = nodes_.Subscriptions(request);
  bool begin = false;
  {
    absl::MutexLock lock(&mutex_);
    const milliseconds now = clock_.Steady();
    if (!response.ok()) {
      last_error_ = response.status();
      next_ask_ = now + nodes_.PauseOf(&backoff_);
      ask_all_ = ask_all_ || all;
      return;
    }
    ++stats_.asked;
    agent_.Merge(*response);
    if (agent_.NeedsNode()) {
      // Something is still being made or moved.
      ask_all_ = true;
      next_ask_ = now + backoff_.Next();
    } else {
      backoff_.Reset();
      const int64_t fifth = options_.refresh_interval.count() / 5 + 1;
      next_ask_ = now + options_.refresh_interval -
                  milliseconds(RandomNumber64() % fifth);
    }
    begin = fresh_ && !response->subscriptions().empty();
    dirty_ = true;
  }
  if (begin) StartAtCommits();
  absl::MutexLock lock(&mutex_);
  ready_ = ready_ || !fresh_;
  Distribute();
}

void AgentSubscriber::StartAtCommits() {
  std::vector<std::pair<ReadPlace, ConsumerHandle*>> places;
  {
    absl::MutexLock lock(&mutex_);
    for (ReadPlace& place : agent_.Reading()) {
      ConsumerHandle* consumer = ConsumerOf(place.sub_cluster);
      if (consumer != nullptr) places.emplace_back(std::move(place), consumer);
    }
  }
  for (const auto& [place, consumer] : places) {
    const auto committed = consumer->Committed(place, kCommittedWait);
    absl::MutexLock lock(&mutex_);
    if (!committed.ok()) {
      // Beginning elsewhere would repeat what was handled: ask again later.
      last_error_ = committed.status();
      next_ask_ = clock_.Steady() + backoff_.Next();
      return;
    }
    if (*committed) agent_.Advance(place, **committed);
  }
  absl::MutexLock lock(&mutex_);
  fresh_ = false;
}

ConsumerHandle* AgentSubscriber::ConsumerOf(const std::string& sub_cluster) {
  const AgentCluster* cluster = agent_.cluster(sub_cluster);
  if (cluster == nullptr) return nullptr;
  Consumer& consumer = consumers_[sub_cluster];
  if (consumer.handle && consumer.cluster == *cluster) {
    return consumer.handle.get();
  }
  if (consumer.handle) {
    consumer.handle->Read({});
    replaced_.push_back(std::move(consumer.handle));
  }
  ConsumerCallbacks callbacks;
  callbacks.record = [this](Record record) { OnRecord(std::move(record)); };
  callbacks.gap = [this](const ReadPlace& place, uint64_t low) {
    OnGap(place, low);
  };
  callbacks.trouble = [this](const absl::Status& status) { OnTrouble(status); };
  auto made = ConsumerHandle::Create(
      {*cluster, "kafed-" + options_.host, "", options_.secrets_dir},
      std::move(callbacks));
  if (!made.ok()) {
    LogWarning("no Kafka consumer for a sub-cluster",
               {{"sub_cluster", sub_cluster}, {"error", made.status()}});
    last_error_ = made.status();
    return nullptr;
  }
  consumer.cluster = *cluster;
  consumer.handle = *std::move(made);
  return consumer.handle.get();
}

void AgentSubscriber::Distribute() {
  if (fresh_ || stopping_) return;
  std::map<std::string, std::vector<ReadPlace>> by_cluster;
  for (const auto& [name, consumer] : consumers_) by_cluster[name];
  for (ReadPlace& place : agent_.Reading()) {
    by_cluster[place.sub_cluster].push_back(std::move(place));
  }
  for (auto& [name, places] : by_cluster) {
    ConsumerHandle* consumer = ConsumerOf(name);
    if (consumer != nullptr) consumer->Read(std::move(places));
  }
}

void AgentSubscriber::OnRecord(Record record) {
  absl::MutexLock handler_lock(&handler_mutex_);
  Agent::Received received;
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
    received = agent_.Receive(std::move(record));
    if (received.message) {
      ++stats_.delivered;
    } else {
      ++(received.repeat ? stats_.repeats : stats_.foreign);
    }
    if (received.reading_changed) {
      dirty_ = true;
      if (agent_.NeedsNode()) {
        ask_all_ = true;
        next_ask_ = clock_.Steady();
      }
      Distribute();
    }
  }
  if (received.message) handlers_.on_message(*received.message);
}

void AgentSubscriber::OnGap(const ReadPlace& place, uint64_t low) {
  absl::MutexLock handler_lock(&handler_mutex_);
  std::vector<std::string> keys;
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
    keys = agent_.Gap(place, low);
    Distribute();
  }
  if (!keys.empty() && handlers_.on_gap) handlers_.on_gap(keys);
}

void AgentSubscriber::OnTrouble(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  last_error_ = status;
  // The node may know better where to read: ask, but not in a loop.
  const milliseconds soon = clock_.Steady() + options_.backoff_max;
  if (next_ask_ > soon) next_ask_ = soon;
  ask_all_ = true;
}

absl::Status AgentSubscriber::Commit(const Message& message) {
  absl::MutexLock lock(&mutex_);
  if (agent_.Commit(message.ticket)) dirty_ = true;
  return absl::OkStatus();
}

absl::Status AgentSubscriber::CommitAll() {
  {
    absl::MutexLock lock(&mutex_);
    agent_.CommitAll();
  }
  return WriteDown(state_path_.empty(), false);
}

absl::Status AgentSubscriber::WriteDown(bool wait, bool again) {
  absl::MutexLock write_lock(&write_mutex_);
  AgentState state;
  std::map<ConsumerHandle*, std::vector<ReadPlace>> commits;
  {
    absl::MutexLock lock(&mutex_);
    if (fresh_) return absl::OkStatus();
    dirty_ = false;
    state = agent_.State();
    for (ReadPlace& place : agent_.Committed()) {
      const auto at = consumers_.find(place.sub_cluster);
      if (at == consumers_.end() || !at->second.handle) continue;
      commits[at->second.handle.get()].push_back(std::move(place));
    }
  }
  std::string bytes = EncodeRow(state);
  if (bytes == written_ && !again) return absl::OkStatus();
  if (!state_path_.empty()) RETURN_IF_ERROR(SaveAgentState(state, state_path_));
  written_ = std::move(bytes);
  absl::Status status;
  for (const auto& [consumer, places] : commits) {
    const absl::Status each = consumer->Commit(places, wait);
    if (status.ok()) status = each;
  }
  return status;
}

absl::Status AgentSubscriber::WaitReady(milliseconds timeout) const {
  absl::MutexLock lock(&mutex_);
  if (mutex_.AwaitWithTimeout(absl::Condition(&ready_),
                              absl::Milliseconds(timeout.count()))) {
    return absl::OkStatus();
  }
  return NoNodeAnswered(timeout, last_error_);
}

SubscriberStats AgentSubscriber::stats() const {
  absl::MutexLock lock(&mutex_);
  return stats_;
}

}  // namespace kafed::client
