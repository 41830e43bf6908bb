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

TEST(ValidateTest, BootstrapServers) {
  const auto check = [](std::string_view text) {
    return ValidateBootstrapServers("bootstrap_servers", text);
  };
  EXPECT_TRUE(check("127.0.0.1:9092,kafka-2:9093").ok());
  for (const char* bad : {"", "host", "host:", ":9", "host:0", "host:70000",
                          "a:1,", "a:1,,b:2", "a:x", "a :1"}) {
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
  EXPECT_THAT(Text(ValidateHost(host)), HasSubstr("label k"));
  v1::InstanceSpec instance;
  instance.set_id("i");
  instance.set_region("eu");
  EXPECT_THAT(Text(ValidateInstance(instance)), HasSubstr("quotas"));
  instance.add_quotas()->set_service("port");
  EXPECT_THAT(Text(ValidateInstance(instance)), HasSubstr("above 0"));
}

}  // namespace
}  // namespace kafed::federation
