// ChainReader: reads the chain of one logical partition, oldest segment first,
// and hops to the next segment when one is sealed.
//
// It follows a view that may change meanwhile (a move seals the segment it
// reads and opens another). It filters nothing. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "cli/kafka_reader.h"
#include "federation/view/route_view.h"

namespace kafed::cli {

struct ChainReaderOptions {
  std::string secrets_dir;
  // Only what is written from now on.
  bool from_end = false;
  milliseconds timeout{30'000};  // of each question to Kafka
};

class ChainReader {
 public:
  ChainReader(federation::TopicId topic, federation::PartitionNumber partition,
              const ChainReaderOptions& options)
      : topic_(topic), partition_(partition), options_(options) {}

  struct Step {
    std::optional<KafkaMessage> message;
    // All that was there has been read.
    bool at_end = false;
  };
  absl::StatusOr<Step> Next(const federation::RouteView& view,
                            milliseconds timeout);

 private:
  // The segment to read: the present one, its successor once it was read to
  // its end, or none yet.
  const v1::Segment* Choose(const v1::PartitionRow& row) const;
  absl::Status Open(const federation::RouteView& view,
                    const v1::Segment& segment);

  const federation::TopicId topic_;
  const federation::PartitionNumber partition_;
  const ChainReaderOptions options_;
  std::unique_ptr<KafkaReader> reader_;
  uint32_t sub_cluster_ = 0;
  uint64_t epoch_ = 0;    // of the segment being read; 0: none yet
  uint64_t next_ = 0;     // offset to be read next
  bool drained_ = false;  // read up to the end Kafka had
};

}  // namespace kafed::cli
