// Outlet: the way out to one sub-cluster, without librdkafka in sight.
//
// client/kafka/producer_handle.h implements it; tests implement it in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/message.h"
#include "common/clock.h"
#include "kafed/v1/rows.pb.h"

namespace kafed::client {

// Views stay valid until the report of the token.
struct OutgoingMessage {
  uint32_t kafka_topic_id = 0;
  std::string_view kafka_topic;
  uint32_t kafka_partition = 0;
  std::string_view key;  // empty: none
  std::string_view payload;
  std::string_view kafed_header;
  const std::vector<Header>* headers = nullptr;
  void* token = nullptr;
};

enum class Outcome {
  kAcknowledged,
  kRefused,            // certainly not written; may be sent again
  kFailed,             // certainly not written; would fail again
  kPossiblyPersisted,  // timed out or cut off while under way
};

struct OutletReport {
  void* token = nullptr;
  Outcome outcome = Outcome::kAcknowledged;
  int64_t offset = -1;
  absl::Status status;
  // Says something about the partition's health, not about the message.
  bool unhealthy = false;
};

class Outlet {
 public:
  virtual ~Outlet() = default;
  // Ok: exactly one report follows, never from inside this call. Unavailable
  // or ResourceExhausted: nothing was taken, try later.
  virtual absl::Status Send(const OutgoingMessage& message) = 0;
};

// Called by an outlet's own thread; an empty span means "try again what was
// not taken".
using OutletSink = std::function<void(std::span<const OutletReport>)>;

using OutletFactory = std::function<absl::StatusOr<std::shared_ptr<Outlet>>(
    const v1::SubClusterRow&, milliseconds message_timeout, OutletSink)>;

}  // namespace kafed::client
