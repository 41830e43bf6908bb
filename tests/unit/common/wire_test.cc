// Bytes that others depend on: the kafed header, murmur2, canonical bytes,
// positions, request ids.
#include <gtest/gtest.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/kafka_header.h"
#include "common/murmur2.h"
#include "common/position.h"
#include "common/row_codec.h"
#include "common/uuid.h"

namespace kafed {
namespace {

KafkaHeader SampleHeader() {
  KafkaHeader header;
  header.kind = MessageKind::kSubscribe;
  header.epoch = 0x0000000100000002;
  for (size_t i = 0; i < 16; ++i) {
    header.source[i] = static_cast<uint8_t>(0xa0 + i);
  }
  header.sequence = 0x0102030405060708;
  return header;
}

TEST(KafkaHeaderTest, GoldenBytes) {
  EXPECT_EQ(ToHex(EncodeKafkaHeader(SampleHeader())),
            "0102"                              // version, kind
            "0200000001000000"                  // epoch
            "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"  // source
            "0807060504030201");                // sequence
}

TEST(KafkaHeaderTest, DecodesWhatItEncodes) {
  const auto decoded = DecodeKafkaHeader(EncodeKafkaHeader(SampleHeader()));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, SampleHeader());
}

TEST(KafkaHeaderTest, RefusesEveryTruncationExtensionVersionAndKind) {
  const std::string good = EncodeKafkaHeader(SampleHeader());
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(DecodeKafkaHeader(good.substr(0, size)).ok());
  }
  EXPECT_FALSE(DecodeKafkaHeader(good + "x").ok());
  std::string bad = good;
  bad[0] = 2;
  EXPECT_FALSE(DecodeKafkaHeader(bad).ok());
  bad = good;
  bad[1] = 4;
  EXPECT_FALSE(DecodeKafkaHeader(bad).ok());
}

TEST(Murmur2Test, GoldenVectorsOfKafka) {
  const auto hash = [](std::string_view key) {
    return static_cast<int32_t>(Murmur2(key));
  };
  EXPECT_EQ(hash("21"), -973932308);
  EXPECT_EQ(hash("foobar"), -790332482);
  EXPECT_EQ(hash("a-little-bit-long-string"), -985981536);
  EXPECT_EQ(hash("a-little-bit-longer-string"), -1486304829);
  EXPECT_EQ(hash("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"),
            -58897971);
  EXPECT_EQ(hash("abc"), 479470107);
  EXPECT_EQ(KeyHash("21"), static_cast<uint32_t>(-973932308) & 0x7fffffffu);
}

TEST(BytesTest, VarintsAreMinimal) {
  for (const uint64_t value :
       {uint64_t{0}, uint64_t{127}, uint64_t{128}, uint64_t{300}, UINT64_MAX}) {
    std::string bytes;
    PutVarint(value, &bytes);
    ByteReader reader(bytes);
    EXPECT_EQ(reader.Varint(), value);
    EXPECT_TRUE(reader.done());
  }
  for (const std::string_view bad :
       {std::string_view("\x80\x00", 2), std::string_view("\x80", 1),
        std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10)}) {
    ByteReader reader(bad);
    reader.Varint();
    EXPECT_FALSE(reader.ok());
  }
}

struct SampleRow {
  std::string name;
  std::vector<std::pair<std::string, uint32_t>> parts;
  double share = 0;
  bool open = false;
  template <typename A>
  void Fields(A& a) {
    a(name, parts, share, open);
  }
};

TEST(RowCodecTest, RefusesEveryTruncationAndExtension) {
  const SampleRow row{"zone", {{"a", 1}, {"b", 300}}, 0.5, true};
  const std::string good = EncodeRow(row);
  SampleRow decoded;
  ASSERT_TRUE(TryDecodeRow(good, &decoded));
  EXPECT_EQ(EncodeRow(decoded), good);
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(TryDecodeRow(good.substr(0, size), &decoded)) << size;
  }
  EXPECT_FALSE(TryDecodeRow(good + "x", &decoded));
}

TEST(PositionTest, ParsesWhatItPrints) {
  const auto full = ParsePosition("3:42", 1);
  ASSERT_TRUE(full.ok());
  EXPECT_EQ(ToString(*full), "3:42");
  const auto bare = ParsePosition("42", 7);
  ASSERT_TRUE(bare.ok());
  EXPECT_EQ(ToString(*bare), "7:42");
  for (const char* bad : {"", ":", "1:", ":2", "x", "1:2:3", "-1"}) {
    EXPECT_FALSE(ParsePosition(bad, 1).ok()) << bad;
  }
}

TEST(RequestIdTest, CarriesItsTime) {
  const milliseconds wall(1'750'000'000'123);
  const RequestId id = NewRequestId(wall);
  EXPECT_EQ(TimeOf(id), wall);
  EXPECT_TRUE(ParseRequestId(AsBytes(id)).ok());
  EXPECT_NE(NewRequestId(wall), id);
  EXPECT_FALSE(ParseRequestId("short").ok());
  EXPECT_FALSE(ParseRequestId(std::string(16, '\0')).ok());
}

}  // namespace
}  // namespace kafed
