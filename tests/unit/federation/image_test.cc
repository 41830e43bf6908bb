// Snapshots, entries, request windows: the image across time and disk.
#include <gmock/gmock.h>

#include "common/snapshot_container.h"
#include "common/uuid.h"
#include "federation/image/image_io.h"
#include "federation/plan/validate.h"
#include "tests/unit/federation/lab.h"
#include "tests/unit/federation/snapshot_bytes.h"

namespace kafed::federation {
namespace {

using testing::HasSubstr;

void Fill(Lab* lab) {
  ASSERT_TRUE(lab->AddCluster("a", "eu", {"z1"}).ok());
  ASSERT_TRUE(lab->CreateTopic("nca", v1::TOPIC_KIND_UNICAST).ok());
  ASSERT_TRUE(lab->CreateTopic("vpc", v1::TOPIC_KIND_MULTICAST).ok());
  ASSERT_TRUE(lab->AddHosts("h", 100, "eu").ok());
  ASSERT_TRUE(lab->CreateVpc("v").ok());
  ASSERT_TRUE(lab->Join("v", {"h1", "h2"}).ok());
}

TEST(ImageTest, ASnapshotGivesTheSameImage) {
  Lab lab;
  Fill(&lab);
  const auto loaded = ImageOf(SnapshotOf(lab.image()));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->Hash(), lab.image().Hash());
  EXPECT_EQ(loaded->position(), lab.image().position());
  EXPECT_EQ(loaded->head().header_hash, lab.image().head().header_hash);
}

TEST(ImageTest, ASnapshotWithOtherRowsIsRefused) {
  Lab lab;
  Fill(&lab);
  std::string bytes;
  SnapshotWriter writer([&](std::string_view piece) {
    bytes.append(piece);
    return absl::OkStatus();
  });
  ASSERT_TRUE(writer.Begin(HeaderOf(lab.image())).ok());
  ASSERT_TRUE(lab.AddHosts("x", 1, "eu").ok());
  ASSERT_TRUE(AddRows(lab.image(), &writer).ok());
  ASSERT_TRUE(writer.Finish().ok());
  const auto loaded = ImageOf(bytes);
  EXPECT_EQ(loaded.status().code(), absl::StatusCode::kDataLoss);
}

TEST(ImageTest, EntriesMustFollowEachOther) {
  Lab lab;
  Fill(&lab);
  v1::Entry entry = lab.last_entry();
  Image image = lab.image();
  EXPECT_FALSE(ApplyEntry(entry, &image, nullptr).ok()) << "applied twice";
  entry.mutable_header()->mutable_position()->set_index(
      image.head().index.value() + 1);
  EXPECT_FALSE(ApplyEntry(entry, &image, nullptr).ok()) << "predecessor";
  entry.mutable_header()->set_predecessor_hash(image.head().header_hash);
  entry.mutable_header()->set_time_ms(5);
  EXPECT_FALSE(ApplyEntry(entry, &image, nullptr).ok()) << "time";
}

TEST(ImageTest, RequestsAreForgottenAfterTheirWindow) {
  Lab lab;
  const auto complete = [&](const std::string& id) {
    return lab.Commit([&](Draft* draft) {
      v1::Record record;
      record.mutable_request_completed()->set_request_id(id);
      record.mutable_request_completed()->set_response("r");
      draft->Add(record);
      return absl::OkStatus();
    });
  };
  ASSERT_TRUE(complete("one").ok());
  ASSERT_TRUE(complete("two").ok());
  lab.Advance(kRequestWindowMs - 10);
  ASSERT_TRUE(complete("three").ok());
  EXPECT_TRUE(lab.image().table(Table::kRequests).Find("one"));
  lab.Advance(100);
  ASSERT_TRUE(complete("four").ok());
  EXPECT_FALSE(lab.image().table(Table::kRequests).Find("one"));
  EXPECT_TRUE(lab.image().table(Table::kRequests).Find("three"));
}

// A session, and topic 1 of many partitions.
class CountsTest : public testing::Test {
 protected:
  void SetUp() override {
    v1::Limits limits;
    limits.set_topics(1'000);
    ASSERT_TRUE(lab_.AddCluster("a", "eu", {"z1"}, limits).ok());
    v1::TopicSpec orders;
    orders.set_name("orders");
    orders.set_kind(v1::TOPIC_KIND_HASHED);
    orders.set_partitions(kPartitions);
    ASSERT_TRUE(lab_.CreateTopic(orders).ok());
    Open();
  }
  void Open() {
    const auto opened = lab_.Commit([&](Draft* draft) {
      v1::OpenSessionRequest open;
      open.set_source(std::string(16, 's'));
      const auto answer = PlanOpenSession(open, 1000, 500, draft);
      if (answer.ok()) session_ = answer->session_id();
      return answer.status();
    });
    ASSERT_TRUE(opened.ok()) << opened;
  }
  absl::Status Close(const std::vector<v1::SegmentCount>& counts,
                     bool unproven = false) {
    return lab_.Commit([&](Draft* draft) {
      return PlanCloseSession(session_, "", counts, "closed", unproven, draft)
          .status();
    });
  }
  static v1::SegmentCount CountOf(uint32_t topic, uint32_t partition,
                                  uint64_t epoch = FirstEpoch(1).value()) {
    v1::SegmentCount count;
    count.set_topic_id(topic);
    count.set_partition(partition);
    count.set_epoch(epoch);
    count.set_acknowledged(partition % 7);
    return count;
  }
  size_t Tallies() const {
    return lab_.image().table(Table::kSegmentTallies).size();
  }

  static constexpr uint32_t kPartitions = 30'000;
  Lab lab_{/*check=*/false};
  uint64_t session_ = 0;
};

TEST_F(CountsTest, AreOfSegmentsThatThereAre) {
  for (const v1::SegmentCount& wrong :
       {CountOf(0, 0), CountOf(2, 0), CountOf(1, kPartitions),
        CountOf(1, 0, FirstEpoch(1).value() + 1), CountOf(1, 0, 1),
        CountOf(1, 0, FirstEpoch(2).value())}) {
    const absl::Status refused = Close({CountOf(1, 0), wrong});
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
    EXPECT_THAT(std::string(refused.message()),
                HasSubstr("counts: there is no segment of topic "));
  }
  EXPECT_THAT(std::string(Close({CountOf(1, 0), CountOf(1, 0)}).message()),
              HasSubstr("is given twice"));
  EXPECT_TRUE(Close({CountOf(1, 0), CountOf(1, 1)}).ok());
  EXPECT_EQ(Tallies(), 2u);
}

TEST_F(CountsTest, OfATopicThatIsGoneAreNotKept) {
  v1::DeleteTopicRequest remove;
  remove.set_name("orders");
  ASSERT_TRUE(lab_.Run(PlanDeleteTopic, remove).ok());
  EXPECT_TRUE(Close({CountOf(1, 0)}).ok());
  EXPECT_EQ(Tallies(), 0u);
}

TEST_F(CountsTest, OfAFormerIncarnationAreNoMistake) {
  ASSERT_TRUE(lab_.Restore(2).ok());
  Open();
  const absl::Status closed = Close({CountOf(7, 0), CountOf(1, 0)});
  EXPECT_TRUE(closed.ok()) << closed;
}

TEST_F(CountsTest, FitIntoOneEntry) {
  std::vector<v1::SegmentCount> counts;
  for (uint32_t i = 0; i < kPartitions; ++i) counts.push_back(CountOf(1, i));
  std::vector<v1::SegmentCount> mixed = counts;
  uint64_t number = 1;
  for (v1::SegmentCount& count : mixed) {
    number = number * 6364136223846793005 + 1442695040888963407;
    count.set_acknowledged(number);
  }
  const absl::Status refused = Close(mixed);
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("counts: the 30000 given take "));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("at most 262144"));
  // Who expires with too many ends all the same, and what is missing is said.
  ASSERT_TRUE(Close(mixed, /*unproven=*/true).ok());
  EXPECT_LE(EncodeEntry(lab_.last_entry()).size(), kMaxCountBytes + 1'000);
  EXPECT_EQ(lab_.last_entry().records(0).session_closed().reason(),
            "closed, without the counts of 15000 segments");
  EXPECT_EQ(Tallies(), 15'000u);
}

TEST_F(CountsTest, OfManySegmentsArePacked) {
  std::vector<v1::SegmentCount> counts;
  for (uint32_t i = 0; i < kPartitions; ++i) counts.push_back(CountOf(1, i));
  ASSERT_TRUE(Close(counts).ok());
  EXPECT_EQ(Tallies(), kPartitions);
  EXPECT_EQ(lab_.last_entry().records(0).session_closed().reason(), "closed");
}

TEST(ImageTest, CountsOutliveTheirSession) {
  Lab lab;
  Fill(&lab);
  v1::OpenSessionRequest open;
  open.set_source(std::string(16, 's'));
  open.set_name("dpm-1");
  open.set_client_time_ms(1);
  uint64_t id = 0;
  const auto open_session = [&] {
    return lab.Commit([&](Draft* draft) {
      const auto opened = PlanOpenSession(open, 1000, 500, draft);
      if (opened.ok()) id = opened->session_id();
      return opened.status();
    });
  };
  ASSERT_TRUE(open_session().ok());
  EXPECT_EQ(id, 1u);
  ASSERT_TRUE(open_session().ok());  // a retry finds the same one
  EXPECT_EQ(id, 1u);
  v1::SegmentCount count;
  count.set_topic_id(1);
  count.set_partition(0);
  count.set_epoch(FirstEpoch(1).value());
  count.set_acknowledged(12);
  const std::vector<v1::SegmentCount> counts = {count};
  EXPECT_FALSE(lab.Commit([&](Draft* draft) {
                    return PlanCloseSession(id, std::string(16, 'x'), counts,
                                            "closed", false, draft)
                        .status();
                  })
                   .ok());
  ASSERT_TRUE(lab.Commit([&](Draft* draft) {
                   return PlanCloseSession(id, open.source(), counts, "expired",
                                           true, draft)
                       .status();
                 })
                  .ok());
  const auto tally = lab.image().Get<SegmentTally>(
      Table::kSegmentTallies,
      KeyOf(TopicId(1), PartitionNumber(0), FirstEpoch(1)));
  ASSERT_TRUE(tally);
  EXPECT_EQ(tally->acknowledged, 12u);
  EXPECT_EQ(tally->unproven_sessions, 1u);
  EXPECT_TRUE(lab.image().table(Table::kSessions).empty());
}

TEST(EntryCodecTest, RefusesDamagedBytes) {
  Lab lab;
  Fill(&lab);
  for (const bool large : {false, true}) {
    v1::Entry entry = lab.last_entry();
    if (large)
      entry.mutable_records(0)->mutable_host_added()->mutable_host()->set_id(
          std::string(2'000, 'x'));
    const std::string good = EncodeEntry(entry);
    ASSERT_TRUE(DecodeEntry(good).ok());
    EXPECT_EQ(DecodeEntry(good)->SerializeAsString(),
              entry.SerializeAsString());
    EXPECT_FALSE(DecodeEntry("").ok());
    std::string bad = good;
    bad[0] = 9;
    EXPECT_FALSE(DecodeEntry(bad).ok());
    if (large) {
      for (size_t size = 1; size < good.size(); ++size) {
        EXPECT_FALSE(DecodeEntry(good.substr(0, size)).ok());
      }
    }
  }
}

// Rows are on disk: these bytes may not change (row version 1).
TEST(RowTest, GoldenBytes) {
  Host host;
  host.region = "eu";
  host.zone = "z1";
  host.home = SubClusterId(3);
  host.labels = {{"ip", "10.0.0.1"}};
  host.vpcs = {"v1"};
  EXPECT_EQ(ToHex(EncodeRow(host)),
            "026575"  // region
            "027a31"  // zone
            "03"      // home
            "01026970"
            "0831302e302e302e31"  // labels
            "01027631");          // vpcs
  Binding binding;
  binding.changed_at = LogIndex(300);
  binding.targets = {{PartitionNumber(7), SubClusterId(2), 1}};
  EXPECT_EQ(ToHex(EncodeRow(binding)),
            "ac02"
            "01070201");
  Partition partition;
  partition.changed_at = LogIndex(5);
  partition.chain = {{SubClusterId(1), KafkaTopicId(2), 3,
                      v1::SEGMENT_STATE_OPEN, FirstEpoch(1), 0, 0}};
  EXPECT_EQ(ToHex(EncodeRow(partition)),
            "05"
            "01"
            "010203"
            "8180808010"
            "000001"
            "000000");
  Session session;
  session.source = std::string(16, 'S');
  session.name = "dpm";
  session.ttl_ms = 1000;
  session.opened_ms = 2;
  EXPECT_EQ(ToHex(EncodeRow(session)),
            "10"
            "53535353535353535353535353535353"
            "0364706d"
            "00"
            "e807"
            "02");
}

}  // namespace
}  // namespace kafed::federation
