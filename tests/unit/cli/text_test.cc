// Durations, numbers, ids, quotas and the formats of `consume`.
#include "cli/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/message_format.h"
#include "cli/words.h"

namespace kafed::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Text, AddressesAreHostAndPort) {
  for (const char* good :
       {"a:1", "127.0.0.1:7420", "kafed-0.kafed:65535", "[::1]:7420"}) {
    EXPECT_TRUE(CheckAddress(good).ok()) << good;
  }
  for (const char* bad : {"", "a", ":1", "a:", "a:0", "a:65536", "a:1x", "a:-1",
                          "::1:7420", "[]:1", " a:1", "http://a:1"}) {
    const absl::Status status = CheckAddress(bad);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << bad;
    EXPECT_EQ(status.message(),
              "'" + std::string(bad) +
                  "' is not an address; expected HOST:PORT, such as "
                  "kafed-0:7420");
  }
}

TEST(Text, ReadsDurations) {
  EXPECT_EQ(*ParseDuration("500ms"), milliseconds(500));
  EXPECT_EQ(*ParseDuration("10s"), milliseconds(10'000));
  EXPECT_EQ(*ParseDuration("5m"), milliseconds(300'000));
  EXPECT_EQ(*ParseDuration("2h"), milliseconds(7'200'000));
  EXPECT_EQ(*ParseDuration("7d"), milliseconds(604'800'000));
  for (const char* bad : {"", "10", "s", "-1s", "1.5s", "10 s", "10sec", "1w",
                          "99999999999999999999s", "9223372036854775807d"}) {
    const auto duration = ParseDuration(bad);
    EXPECT_FALSE(duration.ok()) << bad;
    EXPECT_THAT(std::string(duration.status().message()),
                HasSubstr("such as 500ms"));
  }
}

TEST(Text, WritesDurationsAsTheyAreTyped) {
  for (const char* text : {"7d", "2h", "5m", "10s", "1500ms"}) {
    EXPECT_EQ(FormatDuration(*ParseDuration(text)), text);
  }
  EXPECT_EQ(FormatDuration(milliseconds(0)), "0s");
}

TEST(Text, ReadsNumbersUpToTheirBound) {
  EXPECT_EQ(*ParseNumber("4294967295", UINT32_MAX), UINT32_MAX);
  for (const char* bad : {"4294967296", "-1", "1x", "", " 1", "0x10"}) {
    EXPECT_FALSE(ParseNumber(bad, UINT32_MAX).ok()) << bad;
  }
  EXPECT_EQ(*ParseDecimal("0.5"), 0.5);
  EXPECT_FALSE(ParseDecimal("inf").ok());
  EXPECT_FALSE(ParseDecimal("1,5").ok());
}

TEST(Text, ReadsPairs) {
  EXPECT_EQ(ParsePair("a=b=c")->second, "b=c");
  EXPECT_EQ(ParsePair("a=")->second, "");
  EXPECT_FALSE(ParsePair("=b").ok());
  EXPECT_FALSE(ParsePair("ab").ok());
}

TEST(Text, ReadsRequestIds) {
  const RequestId id = NewRequestId(milliseconds(1'700'000'000'000));
  const std::string hex = ToHex(AsBytes(id));
  EXPECT_EQ(*ParseRequestIdText(hex), id);
  const std::string dashed = hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" +
                             hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" +
                             hex.substr(20);
  EXPECT_EQ(*ParseRequestIdText(dashed), id);
  EXPECT_FALSE(ParseRequestIdText(hex.substr(1)).ok());
  EXPECT_FALSE(ParseRequestIdText(hex + "00").ok());
  EXPECT_FALSE(ParseRequestIdText("xyz").ok());
  EXPECT_FALSE(ParseRequestIdText(std::string(32, '0')).ok());  // no UUIDv7
}

TEST(Text, ReadsQuotas) {
  const auto quota = ParseQuota("port=100:2:0.5");
  ASSERT_TRUE(quota.ok());
  EXPECT_EQ(quota->service(), "port");
  EXPECT_EQ(quota->quota(), 100);
  EXPECT_EQ(quota->cost(), 2);
  EXPECT_EQ(quota->frequency(), 0.5);
  EXPECT_EQ(ParseQuota("port=5")->cost(), 0);
  for (const char* bad : {"port", "port=", "port=x", "port=1:2:3:4", "=1"}) {
    EXPECT_FALSE(ParseQuota(bad).ok()) << bad;
  }
}

TEST(Text, WritesTimesAndPositions) {
  EXPECT_EQ(FormatTime(1'700'000'000'042), "2023-11-14T22:13:20.042Z");
  v1::Position position;
  EXPECT_EQ(FormatPosition(position), "-");
  position.set_incarnation(2);
  position.set_index(42);
  EXPECT_EQ(FormatPosition(position), "2:42");
}

TEST(Text, SplitsLists) {
  EXPECT_THAT(SplitList("a,b,", ','), ElementsAre("a", "b", ""));
  EXPECT_THAT(SplitList("a", ','), ElementsAre("a"));
  EXPECT_THAT(SplitList("", ','), IsEmpty());
}

TEST(Text, ShortensWords) {
  EXPECT_EQ(Word(v1::TOPIC_KIND_UNICAST), "unicast");
  EXPECT_EQ(Word(v1::SUB_CLUSTER_STATE_ACTIVE), "active");
  EXPECT_EQ(Word(v1::SEGMENT_STATE_OPEN), "open");
}

KafkaMessage Message() {
  KafkaMessage message;
  message.kafka_topic = "nca.g1.0";
  message.kafka_partition = 3;
  message.offset = 17;
  message.time_ms = 1'700'000'000'042;
  message.key = "host-1";
  message.payload = "a 100% payload";
  message.headers = {{"trace", "abc"}, {"n", "1"}};
  message.kafed = KafkaHeader{MessageKind::kData, 4'294'967'297, {}, 9};
  return message;
}

TEST(Text, NothingReachesATerminalThatActsThere) {
  EXPECT_EQ(ForTerminal("a\x1b[31m\r\x7f\xff b"), "a?[31m??? b");
  EXPECT_EQ(ForTerminal("line 1: h\xc3\xb6st\n\tline 2"),
            "line 1: h\xc3\xb6st\n\tline 2");
}

TEST(MessageFormat, ExpandsEveryLetter) {
  const auto format =
      MessageFormat::Parse("%k|%s|%o|%t|%p|%T|%e|%q|%h|%S|%K|%%|\\t\\x41\\n");
  ASSERT_TRUE(format.ok()) << format.status();
  EXPECT_EQ(format->Format(Message()),
            "host-1|a 100% payload|17|nca.g1.0|3|1700000000042|4294967297|9|"
            "trace=abc,n=1|14|6|%|\tA\n");
}

TEST(MessageFormat, ShowsForeignMessages) {
  KafkaMessage message = Message();
  message.kafed.reset();
  message.headers.clear();
  EXPECT_EQ(MessageFormat::Parse("%e %q [%h]")->Format(message), "- - []");
  EXPECT_EQ(MessageFormat::Parse("")->Format(message), "");
}

TEST(MessageFormat, NamesWhatItDoesNotKnow) {
  const auto error = [](std::string_view text) {
    return std::string(MessageFormat::Parse(text).status().message());
  };
  EXPECT_THAT(error("%z"), HasSubstr("'%z' is not known"));
  EXPECT_THAT(error("%"), HasSubstr("'%' is not known"));
  EXPECT_THAT(error("\\q"), HasSubstr("'\\q' is not known"));
  EXPECT_THAT(error("\\x4"), HasSubstr("'\\x' is not known"));
  EXPECT_THAT(error("\\"), HasSubstr("is not known"));
}

}  // namespace
}  // namespace kafed::cli
