// What people type at kafedctl: numbers, durations, pairs, quotas, formats of
// messages; and the validator's names, ids and quotes.
#include <cmath>

#include "cli/message_format.h"
#include "cli/text.h"
#include "federation/plan/validate.h"
#include "tests/fuzz/support.h"

namespace kafed {
namespace {

bool IsPrintable(std::string_view text) {
  for (const char c : text) {
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) return false;
  }
  return cli::FindBadUtf8(text) == std::string_view::npos;
}

void TryTyped(const std::string& text) {
  const auto number = cli::ParseNumber(text, 1'000, 5);
  if (number.ok()) FUZZ_CHECK(*number >= 5 && *number <= 1'000);
  const auto decimal = cli::ParseDecimal(text);
  if (decimal.ok()) FUZZ_CHECK(std::isfinite(*decimal), text);
  const auto duration = cli::ParseDuration(text);
  if (duration.ok()) {
    FUZZ_CHECK(duration->count() >= 0);
    const std::string shown = cli::FormatDuration(*duration);
    const auto again = cli::ParseDuration(shown);
    FUZZ_CHECK(again.ok() && *again == *duration, shown);
  }
  const auto pair = cli::ParsePair(text);
  if (pair.ok()) FUZZ_CHECK(pair->first + "=" + pair->second == text);
  const auto quota = cli::ParseQuota(text);
  if (quota.ok()) FUZZ_CHECK(text.starts_with(quota->service() + "="));
  FUZZ_CHECK(cli::Join(cli::SplitList(text, ','), ",") == text);
  FUZZ_CHECK(IsPrintable(cli::Shortened(text)), cli::Shortened(text));
}

void TryFormat(const std::string& text) {
  const auto format = cli::MessageFormat::Parse(text);
  if (!format.ok()) return;
  cli::KafkaMessage message;
  message.key = "key";
  message.payload = "payload";
  message.headers = {{"a", "b"}, {"c", "d"}};
  format->Format(message);
  message.kafed = KafkaHeader();
  format->Format(message);
}

void TryValidator(const std::string& text) {
  const std::string quoted = federation::Quote(text);
  FUZZ_CHECK(IsPrintable(quoted), quoted);
  FUZZ_CHECK(quoted.size() < 200);
  for (const absl::Status& status :
       {federation::ValidateName("field", text),
        federation::ValidateId("field", text),
        federation::ValidateBootstrapServers("field", text)}) {
    if (status.ok()) {
      FUZZ_CHECK(IsPrintable(text), text);
      FUZZ_CHECK(!text.empty());
      FUZZ_CHECK(text.find('/') == std::string::npos, text);
      FUZZ_CHECK(text.find(' ') == std::string::npos, text);
    } else {
      FUZZ_CHECK(status.code() == absl::StatusCode::kInvalidArgument);
      FUZZ_CHECK(std::string(status.message()).starts_with("field"));
      FUZZ_CHECK(IsPrintable(std::string(status.message())),
                 std::string(status.message()));
    }
  }
  const auto key = federation::ParseKey(text);
  if (key.ok()) {
    FUZZ_CHECK(std::string(key->topic) + "/" + std::string(key->id) == text);
  }
}

}  // namespace
}  // namespace kafed

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(kafed::fuzz::AsText(data, size));
  kafed::TryTyped(text);
  kafed::TryFormat(text);
  kafed::TryValidator(text);
  return 0;
}
