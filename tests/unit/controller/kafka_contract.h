// What every KafkaCluster must do, whatever is behind it: one body, run on the
// embedded Kafka (unit) and on Apache Kafka (integration).
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "common/kafka_header.h"
#include "common/uuid.h"
#include "controller/kafka/kafka_cluster.h"

namespace kafed::controller {

inline constexpr milliseconds kCallTimeout{15'000};

// Looks again and again until `condition` holds; false after a minute.
inline bool Eventually(const std::function<bool()>& condition) {
  const milliseconds deadline = RealClock().Steady() + milliseconds(60'000);
  while (!condition()) {
    if (RealClock().Steady() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

inline ControlMessage MakeControlMessage(const std::string& topic,
                                         uint32_t partition,
                                         uint64_t sequence) {
  KafkaHeader header;
  header.kind = MessageKind::kSubscribe;
  header.epoch = 7;
  header.sequence = sequence;
  return {topic, partition, "host-1", "value", EncodeKafkaHeader(header)};
}

// Waits until Describe shows the topic with a leader for each partition.
inline bool AppearsIn(KafkaCluster* kafka, const std::string& topic) {
  return Eventually([&] {
    const auto seen = kafka->Describe(kCallTimeout);
    if (!seen.ok() || !seen->topics.contains(topic)) return false;
    return seen->topics.at(topic).without_leader == 0;
  });
}

inline void CheckTopicLifeCycle(KafkaCluster* kafka) {
  const std::string name = "life." + ToHex(AsBytes(RandomBytes16())).substr(20);
  const NewKafkaTopic topic{name, 3, 1, {}};
  auto created = kafka->CreateTopics({{topic}}, kCallTimeout);
  ASSERT_TRUE(created.ok()) << created.status();
  ASSERT_EQ(created->size(), 1u);
  EXPECT_TRUE(created->front().ok()) << created->front();
  ASSERT_TRUE(AppearsIn(kafka, name));
  const auto seen = kafka->Describe(kCallTimeout);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_FALSE(seen->cluster_id.empty());
  EXPECT_GE(seen->brokers, 1u);
  EXPECT_EQ(seen->topics.at(name).partitions, 3u);
  EXPECT_GE(seen->topics.at(name).replication, 1u);

  // One status a topic, in the order asked.
  const NewKafkaTopic other{name + ".b", 1, 1, {}};
  created = kafka->CreateTopics({{topic, other}}, kCallTimeout);
  ASSERT_TRUE(created.ok()) << created.status();
  ASSERT_EQ(created->size(), 2u);
  EXPECT_TRUE(absl::IsAlreadyExists((*created)[0])) << (*created)[0];
  EXPECT_TRUE((*created)[1].ok()) << (*created)[1];
  ASSERT_TRUE(AppearsIn(kafka, other.name));

  const auto configs =
      kafka->DescribeConfigs({{name, std::string("no.such")}}, kCallTimeout);
  ASSERT_TRUE(configs.ok()) << configs.status();
  EXPECT_TRUE(configs->contains(name));
  EXPECT_FALSE(configs->contains("no.such"));

  const std::vector<std::string> doomed = {"no.such", name};
  const auto deleted = kafka->DeleteTopics(doomed, kCallTimeout);
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  ASSERT_EQ(deleted->size(), 2u);
  EXPECT_TRUE(absl::IsNotFound((*deleted)[0])) << (*deleted)[0];
  EXPECT_TRUE((*deleted)[1].ok()) << (*deleted)[1];
  EXPECT_TRUE(Eventually([&] {
    const auto now = kafka->Describe(kCallTimeout);
    return now.ok() && !now->topics.contains(name);
  }));
}

inline void CheckWriteAndEndOffset(KafkaCluster* kafka) {
  const std::string name = "data." + ToHex(AsBytes(RandomBytes16())).substr(20);
  const auto created =
      kafka->CreateTopics({{NewKafkaTopic{name, 2, 1, {}}}}, kCallTimeout);
  ASSERT_TRUE(created.ok()) << created.status();
  ASSERT_TRUE(AppearsIn(kafka, name));
  // Leaders may still be settling in: an environment error is retried.
  ASSERT_TRUE(Eventually([&] {
    const auto end = kafka->EndOffset(name, 1, kCallTimeout);
    return end.ok() && *end == 0;
  }));
  std::vector<ControlMessage> messages;
  for (uint64_t i = 1; i <= 100; ++i) {
    messages.push_back(MakeControlMessage(name, 1, i));
  }
  const auto written = kafka->Write(messages, kCallTimeout);
  ASSERT_EQ(written.size(), 100u);
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(written[i].ok()) << written[i].status();
    EXPECT_EQ(*written[i], i);
  }
  const auto end = kafka->EndOffset(name, 1, kCallTimeout);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(*end, 100u);
  EXPECT_TRUE(kafka->Write({}, kCallTimeout).empty());
}

}  // namespace kafed::controller
