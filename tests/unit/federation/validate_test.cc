#include "federation/plan/validate.h"

#include <gmock/gmock.h>

namespace kafed::federation {
namespace {

using testing::HasSubstr;

std::string Text(const absl::Status& status) {
  EXPECT_FALSE(status.ok());
  return std::string(status.message());
}

TEST(ValidateTest, NamesAndIds) {
  EXPECT_TRUE(ValidateName("name", "eu-1_A").ok());
  EXPECT_THAT(Text(ValidateName("name", "")), HasSubstr("name: is empty"));
  EXPECT_THAT(Text(ValidateName("name", "a b")), HasSubstr("other than"));
  EXPECT_THAT(Text(ValidateName("name", std::string(65, 'a'))),
              HasSubstr("at most 64"));
  EXPECT_TRUE(ValidateId("id", "h\xc3\xb6st-1").ok());
  EXPECT_THAT(Text(ValidateId("id", "a\nb")), HasSubstr("control character"));
  EXPECT_THAT(Text(ValidateId("id", "a\xff")), HasSubstr("UTF-8"));
  EXPECT_THAT(Text(ValidateId("id", "a/b")), HasSubstr("'/'"));
  EXPECT_THAT(Text(ValidateId("id", std::string(129, 'a'))),
              HasSubstr("at most 128"));
}

TEST(ValidateTest, NamesDoNotBeginLikeOptions) {
  EXPECT_THAT(Text(ValidateName("name", "-x")),
              HasSubstr("name: '-x' begins with '-'"));
}

TEST(ValidateTest, WhatIsShownIsShortAndPrintable) {
  EXPECT_EQ(Quote("host-1"), "'host-1'");
  EXPECT_EQ(Quote(std::string(1000, 'x')), "'" + std::string(40, 'x') + "...'");
  EXPECT_EQ(Quote("a\nb\xff"), "'a?b?'");
  // Never half a character.
  EXPECT_EQ(Quote(std::string(39, 'x') + "\xc3\xb6y"),
            "'" + std::string(39, 'x') + "...'");
  EXPECT_EQ(Counted(1, "host"), "1 host");
  EXPECT_EQ(Counted(0, "host"), "0 hosts");
}

TEST(ValidateTest, TopicsOfKafkaAndUnknownKinds) {
  v1::TopicSpec topic;
  topic.set_name("__consumer_offsets");
  topic.set_kind(v1::TOPIC_KIND_HASHED);
  EXPECT_THAT(Text(ValidateTopic(topic)), HasSubstr("begins with '__'"));
  topic.set_name("orders");
  topic.set_kind(static_cast<v1::TopicKind>(99));
  EXPECT_THAT(Text(ValidateTopic(topic)),
              HasSubstr("kind: 99 is not known; expected one of"));
  topic.set_kind(v1::TOPIC_KIND_HASHED);
  topic.add_regions("eu");
  topic.add_regions("us");
  EXPECT_TRUE(ValidateTopic(topic).ok());
  topic.add_regions("eu");
  EXPECT_THAT(Text(ValidateTopic(topic)),
              HasSubstr("regions: 'eu' is named twice"));
}

TEST(ValidateTest, BootstrapServers) {
  const auto check = [](std::string_view text) {
    return ValidateBootstrapServers("bootstrap_servers", text);
  };
  EXPECT_TRUE(check("127.0.0.1:9092,kafka-2:9093").ok());
  EXPECT_TRUE(check("[2001:db8::1]:9092,broker_1.kafka.svc:9092").ok());
  for (const char* bad : {"", "host", "host:", ":9", "host:0", "host:70000",
                          "a:1,", "a:1,,b:2", "a:x", "a :1", "http://x:9092",
                          "a/b:1", "::1:9092", "[::1:9092", "user@a:1"}) {
    EXPECT_THAT(Text(check(bad)), HasSubstr("HOST:PORT")) << bad;
  }
}

TEST(ValidateTest, Keys) {
  ASSERT_TRUE(ParseKey("nca/host-1").ok());
  EXPECT_EQ(ParseKey("nca/host-1")->topic, "nca");
  EXPECT_EQ(ParseKey("nca/host-1")->id, "host-1");
  EXPECT_EQ(ParseKey("orders/")->id, "");
  EXPECT_THAT(Text(ParseKey("host").status()), HasSubstr("TOPIC/ID"));
  EXPECT_FALSE(ParseKey("/x").ok());
}

TEST(ValidateTest, TopicsAndHostsAndInstances) {
  v1::TopicSpec topic;
  topic.set_name("nca");
  EXPECT_THAT(Text(ValidateTopic(topic)), HasSubstr("kind"));
  topic.set_kind(v1::TOPIC_KIND_UNICAST);
  topic.set_partitions(3);
  EXPECT_THAT(Text(ValidateTopic(topic)), HasSubstr("only hashed"));
  topic.set_partitions(0);
  topic.set_retention_ms(1);
  EXPECT_THAT(Text(ValidateTopic(topic)), HasSubstr("retention_ms"));
  v1::HostSpec host;
  host.set_id("h");
  EXPECT_THAT(Text(ValidateHost(host)), HasSubstr("--region"));
  host.set_region("eu");
  (*host.mutable_labels())["k"] = std::string(300, 'v');
  EXPECT_THAT(Text(ValidateHost(host)), HasSubstr("label 'k'"));
  (*host.mutable_labels())[std::string(100'000, 'n')] = "v";
  EXPECT_LT(Text(ValidateHost(host)).size(), 200u);
  v1::InstanceSpec instance;
  instance.set_id("i");
  instance.set_region("eu");
  EXPECT_THAT(Text(ValidateInstance(instance)), HasSubstr("quotas"));
  instance.add_quotas()->set_service("port");
  EXPECT_THAT(Text(ValidateInstance(instance)), HasSubstr("above 0"));
}

}  // namespace
}  // namespace kafed::federation
