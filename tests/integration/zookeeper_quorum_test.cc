// What only the log in ZooKeeper has; see quorum_log_test.cc.
#include <gmock/gmock.h>

#include "metastore/log/zookeeper_loglet.h"
#include "tests/integration/quorum_client.h"
#include "tests/unit/metastore/log_test_support.h"

// ZooKeeper's client loses some hundred bytes with each multi whose connection
// is lost. NOLINTNEXTLINE: the sanitizer names it
extern "C" const char* __lsan_default_suppressions() {
  return "leak:zoo_amulti\n";
}

namespace kafed::metastore {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<ZooKeeperSession> OpenSession(const std::string& digest = "") {
  auto session =
      ZooKeeperSession::Open({.servers = Servers(), .digest = digest});
  EXPECT_TRUE(session.ok()) << session.status();
  return *std::move(session);
}

TEST(ZooKeeperSessionTest, WrongServersAreNamed) {
  const auto none = ZooKeeperSession::Open(
      {.servers = "127.0.0.1:1", .session_timeout = milliseconds(1'000)});
  EXPECT_EQ(none.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(none.status().ToString(), HasSubstr("127.0.0.1:1"));
}

TEST(ZooKeeperSessionTest, ADigestKeepsOthersOut) {
  const auto mine = OpenSession("kafed:secret");
  const std::string path = NewPath();
  const auto log = ZooKeeperLoglet::Open(mine.get(), {path});
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_TRUE((*log)->AppendAt(LogIndex(1), MakeEntry(1)).ok());
  const auto other = OpenSession();
  EXPECT_EQ(other->Get(path + "/gate").status().code(),
            absl::StatusCode::kPermissionDenied);
}

TEST(ZooKeeperLogletTest, BucketsGoWithTheirEntries) {
  constexpr uint64_t kCount = 2'500;  // three buckets
  const auto session = OpenSession();
  const std::string path = NewPath();
  const auto log = ZooKeeperLoglet::Open(session.get(), {path});
  ASSERT_TRUE(log.ok()) << log.status();
  const auto entries = MakeEntries(1, kCount);
  for (uint64_t i = 0; i < kCount; i += 250) {
    ASSERT_TRUE(
        (*log)
            ->AppendBatchAt(LogIndex(i + 1), std::span(&entries[i], 250))
            .ok());
  }
  ASSERT_TRUE((*log)->Trim(LogIndex(2'200)).ok());
  EXPECT_EQ(session->Children(path + "/e").value(),
            std::vector<std::string>{"2"});
}

}  // namespace
}  // namespace kafed::metastore
