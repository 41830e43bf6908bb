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

TEST(ValidateTest, PoliciesThatAreNotKnown) {
  v1::TopicSpec topic;
  topic.set_name("orders");
  topic.set_kind(v1::TOPIC_KIND_HASHED);
  topic.set_region_policy(static_cast<v1::RegionPolicy>(77));
  EXPECT_THAT(Text(ValidateTopic(topic)),
              HasSubstr("region_policy: 77 is not known; expected"));
  topic.set_region_policy(v1::REGION_POLICY_MULTI_REGION);
  topic.set_on_lease_end(static_cast<v1::OnLeaseEnd>(-1));
  EXPECT_THAT(Text(ValidateTopic(topic)),
              HasSubstr("on_lease_end: -1 is not known; expected"));
  topic.set_on_lease_end(v1::ON_LEASE_END_CONTINUE);
  EXPECT_TRUE(ValidateTopic(topic).ok());
}

TEST(ValidateTest, SubClustersOfManyZonesAndStrangeAdmins) {
  v1::SubClusterSpec spec;
  spec.set_name("a");
  spec.set_region("eu");
  spec.set_bootstrap_servers("h:1");
  for (int i = 0; i < kMaxZones; ++i) spec.add_zones("z" + std::to_string(i));
  spec.set_admin("embedded:/run/kafka.sock");
  EXPECT_TRUE(ValidateSubCluster(spec).ok());
  spec.set_admin("embedded:/\x1b");
  EXPECT_THAT(Text(ValidateSubCluster(spec)),
              HasSubstr("admin: 'embedded:/?' holds a control character"));
  spec.set_admin("embedded:/" + std::string(kMaxAdminBytes, 'x'));
  EXPECT_THAT(Text(ValidateSubCluster(spec)), HasSubstr("at most 256"));
  spec.clear_admin();
  spec.add_zones("z");
  EXPECT_THAT(Text(ValidateSubCluster(spec)),
              HasSubstr("zones: has 65, at most 64"));
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

TEST(ValidateTest, IdsOfHashedKeysAreAnyText) {
  EXPECT_TRUE(ValidateHashedId("key", "a b/c h\xc3\xb6").ok());
  EXPECT_TRUE(ValidateHashedId("key", std::string(kMaxIdBytes, 'x')).ok());
  EXPECT_THAT(Text(ValidateHashedId("key", "")), HasSubstr("key: has no id"));
  EXPECT_THAT(Text(ValidateHashedId("key", std::string(129, 'x'))),
              HasSubstr("at most 128"));
  EXPECT_THAT(Text(ValidateHashedId("key", "a\n")), HasSubstr("'a?' holds"));
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
  instance.mutable_quotas(0)->set_quota(1);
  EXPECT_TRUE(ValidateInstance(instance).ok());
  *instance.add_quotas() = instance.quotas(0);
  EXPECT_THAT(Text(ValidateInstance(instance)),
              HasSubstr("quotas: service 'port' is given twice"));
  for (int i = 0; i < kMaxQuotas; ++i) {
    *instance.add_quotas() = instance.quotas(0);
  }
  EXPECT_THAT(Text(ValidateInstance(instance)),
              HasSubstr("quotas: has 66, at most 64"));
}

}  // namespace
}  // namespace kafed::federation
