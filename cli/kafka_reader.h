// KafkaReader: a plain consumer of one Kafka partition at a time, for
// `consume`. No group, no commits, no silent reset of offsets.
//
// Kafka's types stay in the .cc file; settings and credentials are those of the
// client library. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "cli/message_format.h"
#include "common/clock.h"
#include "kafed/v1/rows.pb.h"

namespace kafed::cli {

class KafkaReader {
 public:
  static absl::StatusOr<std::unique_ptr<KafkaReader>> Create(
      const v1::SubClusterRow& sub_cluster, const std::string& secrets_dir);
  ~KafkaReader();
  KafkaReader(const KafkaReader&) = delete;
  KafkaReader& operator=(const KafkaReader&) = delete;

  // The next offset to be written.
  absl::StatusOr<uint64_t> End(const std::string& topic, uint32_t partition,
                               milliseconds timeout);
  // Reads from `offset` on; what is older than Kafka keeps is skipped.
  absl::Status Begin(const std::string& topic, uint32_t partition,
                     uint64_t offset, milliseconds timeout);

  struct Step {
    std::optional<KafkaMessage> message;
    // All up to here was read and more is not there yet.
    std::optional<uint64_t> end;
  };
  // Neither is set when nothing came within `timeout`.
  absl::StatusOr<Step> Next(milliseconds timeout);

 private:
  struct Handle;
  explicit KafkaReader(std::unique_ptr<Handle> handle);

  std::unique_ptr<Handle> handle_;
};

}  // namespace kafed::cli
