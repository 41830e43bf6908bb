// The -f formats of `consume`, in the habit of kcat. Pure.
//
//   %k key      %s payload          %h headers, name=value, with commas
//   %t topic    %p partition        %o offset        (Kafka's)
//   %T time, ms %e epoch, %q sequence of kafed's header, - without one
//   %S and %K   sizes of payload and key             %% a percent sign
//   \n \r \t \\ \xHH
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/kafka_header.h"

namespace kafed::cli {

// One Kafka message as it was read.
struct KafkaMessage {
  std::string kafka_topic;
  uint32_t kafka_partition = 0;
  uint64_t offset = 0;
  int64_t time_ms = 0;
  std::string key;
  std::string payload;
  std::vector<std::pair<std::string, std::string>> headers;  // not kafed's
  std::optional<KafkaHeader> kafed;
};

class MessageFormat {
 public:
  // InvalidArgument names what it does not know.
  static absl::StatusOr<MessageFormat> Parse(std::string_view text);

  std::string Format(const KafkaMessage& message) const;

 private:
  // A letter after '%', or 0 and text as it stands.
  struct Piece {
    char letter = 0;
    std::string text;
  };
  std::vector<Piece> pieces_;
};

}  // namespace kafed::cli
