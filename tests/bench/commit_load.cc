// commit_load: changes through a node, and what its quorum does without it.
//
//   commit_load latency BACKEND QUORUM SERVER SECONDS
//       one client, one change at a time; in turn with them, in blocks, plain
//       creates (ZooKeeper) or puts (etcd) of a value as large as the entry of
//       a change: "change_p50_us", "change_p99_us", "plain_p50_us",
//       "plain_p99_us", "value_bytes"
//   commit_load changes SERVER IN_FLIGHT SECONDS
//       changes a second, and their records: "changes_per_second",
//       "records_per_second", "records_per_entry", "p99_us"
//   commit_load plain BACKEND QUORUM BYTES IN_FLIGHT SECONDS
//       plain creates or puts of BYTES: "per_second", "p50_us", "p99_us"
//   commit_load count SERVER FROM TO
//       "entries" FROM ... TO of the log, their "records" and "bytes"
//
// A change creates a VPC: a fact, and the answer that is kept for a retry.
// Prints one JSON line.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/uuid.h"
#include "federation/image/entry_codec.h"
#include "kafed/v1/admin.grpc.pb.h"
#include "kafed/v1/events.grpc.pb.h"
#include "metastore/store/log_value.h"
#include "tests/bench/message_load.h"
#include "tests/bench/operations.h"
#include "tests/bench/plain_servers.h"

namespace kafed::bench {
namespace {

// Short enough that a slow moment of the machine meets both.
constexpr size_t kBlock = 25;
// Blocks before those that count: connections, caches, compilers.
constexpr int kWarmUpBlocks = 8;

std::shared_ptr<grpc::Channel> Connect(const std::string& server) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(),
                                   arguments);
}

// Creates VPCs through a node.
class Changes {
 public:
  explicit Changes(const std::string& server)
      : prefix_("w" + std::to_string(RealClock().Wall().count()) + "-") {
    for (auto& stub : stubs_) stub = v1::Admin::NewStub(Connect(server));
  }

  void Start(std::function<void()> done) {
    const size_t n = next_++;
    auto* call = new Call;
    call->request.mutable_options()->set_request_id(
        std::string(AsBytes(NewRequestId(RealClock().Wall()))));
    call->request.set_id(prefix_ + std::to_string(n));
    call->request.set_region("eu");
    call->done = std::move(done);
    stubs_[n % 2]->async()->CreateVpc(
        &call->context, &call->request, &call->response,
        [this, call](const grpc::Status& status) {
          std::unique_ptr<Call> ended(call);
          if (!status.ok()) Die(status.error_message());
          const uint64_t index = ended->response.position().index();
          uint64_t last = last_;
          while (last < index && !last_.compare_exchange_weak(last, index)) {
          }
          const auto then = std::move(ended->done);
          ended.reset();  // nothing of it is left when the last one is told
          then();
        });
  }
  // The entry of the newest change.
  uint64_t last() const { return last_; }

 private:
  struct Call {
    grpc::ClientContext context;
    v1::CreateVpcRequest request;
    v1::MutationResponse response;
    std::function<void()> done;
  };

  const std::string prefix_;
  std::unique_ptr<v1::Admin::Stub> stubs_[2];
  std::atomic<size_t> next_{0};
  std::atomic<uint64_t> last_{0};
};

struct Counted {
  size_t entries = 0;
  size_t records = 0;
  size_t bytes = 0;  // as the log's servers keep them
};

Counted Count(const std::string& server, uint64_t from, uint64_t to) {
  const auto stub = v1::Events::NewStub(Connect(server));
  v1::ReadEventsRequest request;
  request.mutable_from()->set_index(from);
  request.mutable_to()->set_index(to);
  grpc::ClientContext context;
  const auto stream = stub->Read(&context, request);
  Counted counted;
  v1::Entry entry;
  while (stream->Read(&entry)) {
    ++counted.entries;
    counted.records += static_cast<size_t>(entry.records_size());
    counted.bytes +=
        metastore::EncodeLogValue(LogIndex(entry.header().position().index()),
                                  {}, federation::EncodeEntry(entry), 0)
            .size();
  }
  const grpc::Status status = stream->Finish();
  if (!status.ok()) Die(status.error_message());
  if (counted.entries != to - from + 1) Die("entries are missing");
  return counted;
}

int Latency(const std::string& backend, const std::string& quorum,
            const std::string& server, double seconds) {
  Changes changes(server);
  const auto plain = ConnectPlain(backend, quorum);
  const Operation change = [&](auto done) { changes.Start(std::move(done)); };
  Operations::Run(change, 1, 1, seconds);
  const size_t bytes = Count(server, changes.last(), changes.last()).bytes;
  const std::string value(bytes, 'v');
  const Operation put = [&](auto done) { plain->Put(value, std::move(done)); };
  Taken changed;
  Taken stored;
  for (int block = 0; changed.seconds + stored.seconds < seconds; ++block) {
    const Taken one = Operations::Run(change, 1, kBlock, seconds);
    const Taken other = Operations::Run(put, 1, kBlock, seconds);
    if (block < kWarmUpBlocks) continue;
    changed.Add(one);
    stored.Add(other);
  }
  std::printf(
      "{\"change_p50_us\": %.1f, \"change_p99_us\": %.1f, "
      "\"plain_p50_us\": %.1f, \"plain_p99_us\": %.1f, \"value_bytes\": %zu}\n",
      changed.Percentile(50), changed.Percentile(99), stored.Percentile(50),
      stored.Percentile(99), bytes);
  return 0;
}

int Change(const std::string& server, size_t in_flight, double seconds) {
  Changes changes(server);
  const Operation change = [&](auto done) { changes.Start(std::move(done)); };
  Operations::Run(change, in_flight, in_flight, seconds);
  const uint64_t before = changes.last();
  Taken taken = Operations::Run(change, in_flight, 0, seconds);
  const Counted counted = Count(server, before + 1, changes.last());
  const auto records = static_cast<double>(counted.records);
  std::printf(
      "{\"changes_per_second\": %.1f, \"records_per_second\": %.1f, "
      "\"records_per_entry\": %.1f, \"p99_us\": %.1f}\n",
      taken.PerSecond(), records / taken.seconds,
      records / static_cast<double>(counted.entries), taken.Percentile(99));
  return 0;
}

int Plain(const std::string& backend, const std::string& quorum, size_t bytes,
          size_t in_flight, double seconds) {
  const auto plain = ConnectPlain(backend, quorum);
  const std::string value(bytes, 'v');
  const Operation put = [&](auto done) { plain->Put(value, std::move(done)); };
  Operations::Run(put, in_flight, in_flight, seconds);
  Taken taken = Operations::Run(put, in_flight, 0, seconds);
  std::printf("{\"per_second\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
              taken.PerSecond(), taken.Percentile(50), taken.Percentile(99));
  return 0;
}

int Main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const std::string mode = words.empty() ? "" : words[0];
  const auto number = [&](size_t i) { return std::stoull(words[i]); };
  if (mode == "latency" && words.size() == 5) {
    return Latency(words[1], words[2], words[3], std::stod(words[4]));
  }
  if (mode == "changes" && words.size() == 4) {
    return Change(words[1], number(2), std::stod(words[3]));
  }
  if (mode == "plain" && words.size() == 6) {
    return Plain(words[1], words[2], number(3), number(4), std::stod(words[5]));
  }
  if (mode == "count" && words.size() == 4) {
    const Counted counted = Count(words[1], number(2), number(3));
    std::printf("{\"entries\": %zu, \"records\": %zu, \"bytes\": %zu}\n",
                counted.entries, counted.records, counted.bytes);
    return 0;
  }
  std::fprintf(stderr, "usage: commit_load latency|changes|plain|count ...\n");
  return 2;
}

}  // namespace
}  // namespace kafed::bench

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const int code = kafed::bench::Main(argc, argv);
  std::fflush(stdout);
  // Threads of the clients may still be on their way out of a last callback.
  std::_Exit(code);
}
