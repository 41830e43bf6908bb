// What only the log in etcd has, and the election there; see
// quorum_log_test.cc. The suite EtcdDriven needs what quorum_log_test.py does
// meanwhile, or servers that it has set up for one test.
#include <gmock/gmock.h>

#include <chrono>
#include <iostream>
#include <thread>

#include "metastore/coord/etcd_election.h"
#include "metastore/coord/etcd_servers.h"
#include "metastore/log/etcd_loglet.h"
#include "tests/integration/quorum_client.h"
#include "tests/unit/metastore/log_test_support.h"

namespace kafed::metastore {
namespace {

using std::chrono::steady_clock;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr size_t kEverything = 1 << 30;

std::unique_ptr<EtcdSession> OpenSession(EtcdOptions options = {}) {
  options.servers = Servers();
  auto session = EtcdSession::Open(std::move(options));
  EXPECT_TRUE(session.ok()) << session.status();
  return *std::move(session);
}

std::unique_ptr<EtcdLoglet> OpenLoglet(EtcdSession* session, std::string path,
                                       uint64_t budget_bytes = 0) {
  auto log =
      EtcdLoglet::Open(session, {std::move(path), LogIndex(1), budget_bytes});
  EXPECT_TRUE(log.ok()) << log.status();
  return *std::move(log);
}

TEST(EtcdSessionTest, WrongOptionsAreNamed) {
  struct Case {
    EtcdOptions options;
    const char* says;
  };
  const std::vector<Case> cases = {
      {{.servers = ""}, "expected HOST:PORT[,HOST:PORT...]"},
      {{.servers = "http://h:1"}, "'http://h:1' is not understood"},
      {{.servers = "h:1,h:70000"}, "'h:70000' is not understood"},
      {{.servers = "h:1", .user = "u"}, "user, password: expected both"},
      {{.servers = "h:1", .key_file = "k"}, "of no use without ca_file"},
      {{.servers = "h:1", .ca_file = "/none"}, "ca_file: '/none' can't be"},
      {{.servers = "h:1", .ca_file = "/none", .key_file = "k"},
       "certificate_file, key_file: expected both or neither"},
      {{.servers = "h:1", .lease_ttl = milliseconds(1)}, "lease_ttl: 1 ms"},
  };
  for (const Case& wrong : cases) {
    const absl::Status opened = EtcdSession::Open(wrong.options).status();
    EXPECT_EQ(opened.code(), absl::StatusCode::kInvalidArgument) << opened;
    EXPECT_THAT(opened.ToString(), HasSubstr(wrong.says));
  }
}

TEST(EtcdSessionTest, ServersThatDoNotAnswerAreNamed) {
  const absl::Status opened =
      EtcdSession::Open(
          {.servers = "127.0.0.1:1", .timeout = milliseconds(1'000)})
          .status();
  EXPECT_EQ(opened.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(opened.ToString(), HasSubstr("127.0.0.1:1"));
}

TEST(EtcdSessionTest, AServerThatDoesNotAnswerIsPassedOver) {
  auto session = EtcdSession::Open({.servers = "127.0.0.1:1," + Servers()});
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_TRUE(OpenLoglet(session->get(), NewPath())->Tail().ok());
}

TEST(EtcdSessionTest, ACommitChecksAllOrDoesNothing) {
  const auto session = OpenSession();
  const std::string key = NewPath();
  const auto commit = [&](std::vector<EtcdCheck> checks, std::string value) {
    const EtcdWrite put{EtcdWrite::Kind::kPut, key, std::move(value)};
    return session->Commit(checks, {&put, 1});
  };
  using Kind = EtcdCheck::Kind;
  EXPECT_TRUE(absl::IsNotFound(session->Get(key).status()));
  EXPECT_TRUE(absl::IsAborted(commit({{Kind::kPresent, key}}, "x").status()));
  const int64_t first = commit({{Kind::kAbsent, key}}, "a").value();
  EXPECT_TRUE(absl::IsAborted(commit({{Kind::kAbsent, key}}, "x").status()));
  EXPECT_TRUE(absl::IsAborted(
      commit({{Kind::kPresent, key}, {Kind::kRevision, key, first - 1}}, "x")
          .status()));
  EXPECT_EQ(session->Get(key)->value, "a");
  EXPECT_EQ(session->Get(key)->revision, first);
  EXPECT_TRUE(commit({{Kind::kRevision, key, first}}, "b").ok());
  EXPECT_EQ(session->Get(key)->value, "b");
}

TEST(EtcdLogletTest, KeysAreAsDocumented) {
  const auto session = OpenSession();
  const std::string path = NewPath();
  const auto log = OpenLoglet(session.get(), path);
  for (uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(log->AppendAt(LogIndex(i), MakeEntry(i)).ok());
  }
  const auto keys = [&] {
    std::vector<std::string> found;
    const auto all = session->Find({.from = path, .to = path + "0"});
    for (const EtcdPair& pair : all.value().pairs) {
      found.push_back(pair.key.substr(path.size()));
      if (!pair.key.starts_with(path + "/e/")) {
        found.back() += " = " + pair.value;
      }
    }
    return found;
  };
  EXPECT_THAT(keys(), ::testing::ElementsAre(
                          " = v1 1", "/e/00000000000000000001",
                          "/e/00000000000000000002", "/e/00000000000000000003",
                          "/gate = open", "/trimmed = 1 1"));
  ASSERT_TRUE(log->Trim(LogIndex(3)).ok());
  ASSERT_TRUE(log->Seal().ok());
  EXPECT_THAT(keys(),
              ::testing::ElementsAre(" = v1 1", "/e/00000000000000000003",
                                     "/gate = sealed", "/trimmed = 3 3"));
}

TEST(EtcdLogletTest, TheLargestBatchesAreTakenAndLargerOnesRefused) {
  const auto session = OpenSession();
  const auto log = OpenLoglet(session.get(), NewPath());
  constexpr size_t kMost = EtcdLoglet::kMaxBatchEntries;
  const std::vector<LogEntry> largest(
      kMost, MakeEntry(1, EtcdLoglet::kMaxBatchBytes / kMost));
  const AppendOutcome taken = log->AppendBatchAt(LogIndex(1), largest);
  EXPECT_TRUE(taken.ok()) << taken.detail;
  const std::vector<LogEntry> too_many(kMost + 1, MakeEntry(1));
  const AppendOutcome refused =
      log->AppendBatchAt(LogIndex(kMost + 1), too_many);
  EXPECT_EQ(refused.result, AppendResult::kRefused);
  EXPECT_EQ(refused.detail.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.detail.ToString(),
              AllOf(HasSubstr("the limit of etcd is 128 entries"),
                    HasSubstr("several batches")));
  EXPECT_EQ(log->Tail().value(), LogIndex(kMost));
}

TEST(EtcdLogletTest, ATrimOfManyEntriesLeavesNoneBehind) {
  const auto session = OpenSession();
  const std::string path = NewPath();
  const auto log = OpenLoglet(session.get(), path);
  constexpr uint64_t kCount = 2'560;  // several deletes
  const auto entries = MakeEntries(1, kCount);
  for (uint64_t i = 0; i < kCount; i += 128) {
    ASSERT_TRUE(
        log->AppendBatchAt(LogIndex(i + 1), std::span(&entries[i], 128)).ok());
  }
  ASSERT_TRUE(log->Trim(LogIndex(kCount)).ok());
  const EtcdFound left =
      session->Find({.from = path + "/e/", .to = path + "/e0"}).value();
  EXPECT_EQ(left.count, 1);
  // One that begins now finds the tail all the same.
  EXPECT_EQ(OpenLoglet(session.get(), path)->Tail().value(), LogIndex(kCount));
}

// Two nodes that would hold the same office.
class EtcdElectionTest : public ::testing::Test {
 protected:
  const std::string office_ = NewPath();
  std::unique_ptr<EtcdSession> session_a_ = OpenSession();
  const std::unique_ptr<EtcdSession> session_b_ = OpenSession();
  EtcdElection a_{session_a_.get(), office_};
  EtcdElection b_{session_b_.get(), office_};
};

TEST_F(EtcdElectionTest, TheSecondCandidateIsToldTheFirst) {
  EXPECT_EQ(b_.Holder().value(), "");
  EXPECT_EQ(a_.Campaign("a").value(), "a");
  EXPECT_EQ(b_.Campaign("b").value(), "a");
  EXPECT_EQ(a_.Campaign("a").value(), "a");
  EXPECT_EQ(b_.Holder().value(), "a");
}

TEST_F(EtcdElectionTest, WhoResignsLeavesTheOfficeVacant) {
  EXPECT_TRUE(b_.Resign().ok());
  EXPECT_EQ(a_.Campaign("a").value(), "a");
  EXPECT_EQ(b_.Campaign("b").value(), "a");
  // Not b's to give up.
  EXPECT_TRUE(b_.Resign().ok());
  EXPECT_EQ(b_.Holder().value(), "a");
  EXPECT_TRUE(a_.Resign().ok());
  EXPECT_EQ(a_.Holder().value(), "");
  EXPECT_TRUE(a_.Resign().ok());
  EXPECT_EQ(b_.Campaign("b").value(), "b");
}

TEST_F(EtcdElectionTest, TheEndOfASessionVacatesTheOfficeAtOnce) {
  EXPECT_EQ(a_.Campaign("a").value(), "a");
  session_a_.reset();
  EXPECT_EQ(b_.Holder().value(), "");
}

TEST_F(EtcdElectionTest, AHolderThatBeginsAgainHoldsItByItsNewSession) {
  EXPECT_EQ(a_.Campaign("a").value(), "a");
  const auto again = OpenSession();
  EtcdElection begun(again.get(), office_);
  EXPECT_EQ(begun.Campaign("a").value(), "a");
  session_a_.reset();  // what is left of the old one ends
  EXPECT_EQ(b_.Campaign("b").value(), "a");
}

TEST_F(EtcdElectionTest, AHolderWhoseLeaseIsOverCampaignsWithAnother) {
  EXPECT_EQ(a_.Campaign("a").value(), "a");
  const int64_t lease = session_a_->KeptLease();
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease);
  ASSERT_TRUE(
      session_b_->servers()
          .Call(EtcdServers::Kind::kRead, milliseconds(10'000),
                [&](EtcdServers::Server& server, grpc::ClientContext* call) {
                  etcdserverpb::LeaseRevokeResponse response;
                  return server.lease->LeaseRevoke(call, request, &response);
                })
          .ok());
  EXPECT_EQ(b_.Holder().value(), "");
  EXPECT_EQ(a_.Campaign("a").value(), "a");
  EXPECT_NE(session_a_->KeptLease(), lease);
  EXPECT_EQ(b_.Campaign("b").value(), "a");
}

constexpr char kOffice[] = "/kafed-test/office";
// The shortest that these servers grant.
const EtcdOptions kShort{.lease_ttl = milliseconds(3'000)};

// Killed by the driver after its line.
TEST(EtcdDriven, HoldsAnOffice) {
  const auto session = OpenSession(kShort);
  EtcdElection election(session.get(), kOffice);
  ASSERT_EQ(election.Campaign("first").value(), "first");
  std::cout << "holds the office" << std::endl;
  std::string line;
  std::getline(std::cin, line);
}

TEST(EtcdDriven, InheritsAnOffice) {
  const auto session = OpenSession(kShort);
  EtcdElection election(session.get(), kOffice);
  // Longer than any lease: the holder, which does nothing, keeps its own.
  const auto begun = steady_clock::now();
  while (steady_clock::now() - begun < std::chrono::seconds(8)) {
    ASSERT_EQ(election.Campaign("second").value(), "first");
  }
  std::cout << "waits for the office" << std::endl;
  const auto killed = steady_clock::now();
  while (election.Campaign("second").value() != "second") {
    ASSERT_LT(steady_clock::now() - killed, std::chrono::seconds(20));
  }
}

// The driver has started a server that has space for some MiB.
TEST(EtcdDriven, KeepsWhatWasAcknowledgedWhenSpaceIsUsedUp) {
  const auto session = OpenSession();
  const std::string path = NewPath();
  const auto log = OpenLoglet(session.get(), path);
  std::vector<LogEntry> taken;
  AppendOutcome outcome = OkOutcome(LogIndex(0));
  while (outcome.ok() && taken.size() < 200) {
    const uint64_t next = taken.size() + 1;
    outcome = log->AppendAt(LogIndex(next), MakeEntry(next, 100'000));
    if (outcome.ok()) taken.push_back(MakeEntry(next, 100'000));
  }
  EXPECT_EQ(outcome.result, AppendResult::kRefused) << outcome.detail;
  EXPECT_EQ(outcome.detail.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(outcome.detail.ToString(), HasSubstr("space exceeded"));
  EXPECT_EQ(outcome.tail, LogIndex(taken.size()));
  EXPECT_EQ(log->Tail().value(), LogIndex(taken.size()));
  std::vector<LogEntry> read;
  while (read.size() < taken.size()) {
    const auto more = log->Read(LogIndex(read.size() + 1), kEverything);
    ASSERT_TRUE(more.ok()) << more.status();
    read.insert(read.end(), more->begin(), more->end());
  }
  EXPECT_EQ(read, AtIndex(1, taken));
}

// An append that a second node sees, so that watches are shown to work too.
void AppendAndFollow(const EtcdOptions& options) {
  const auto session = OpenSession(options);
  const auto other = OpenSession(options);
  const std::string path = NewPath();
  const auto log = OpenLoglet(session.get(), path);
  const auto follower = OpenLoglet(other.get(), path);
  const auto begun = steady_clock::now();
  for (uint64_t i = 1; i <= 10; ++i) {
    ASSERT_TRUE(log->AppendAt(LogIndex(i), MakeEntry(i)).ok());
    ASSERT_TRUE(follower->WaitFor(LogIndex(i), In(milliseconds(20'000))).ok());
  }
  EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds(5));
  EtcdElection election(session.get(), path + "/office");
  EXPECT_EQ(election.Campaign("a").value(), "a");
}

// The driver has started a server that takes only clients with a certificate.
TEST(EtcdDriven, ShowsItsCertificate) {
  EtcdOptions options{.servers = Servers(),
                      .timeout = milliseconds(2'000),
                      .ca_file = FromDriver("KAFED_ETCD_CA")};
  EXPECT_TRUE(absl::IsUnavailable(EtcdSession::Open(options).status()));
  options.certificate_file = FromDriver("KAFED_ETCD_CERTIFICATE");
  options.key_file = FromDriver("KAFED_ETCD_KEY");
  options.timeout = milliseconds(10'000);
  AppendAndFollow(options);
}

// The driver has made a user who may do what is below /kafed-test only.
TEST(EtcdDriven, ShowsItsPassword) {
  EtcdOptions options{.servers = Servers()};
  EXPECT_TRUE(absl::IsPermissionDenied(EtcdSession::Open(options).status()));
  options.user = FromDriver("KAFED_ETCD_USER");
  options.password = "wrong";
  const absl::Status wrong = EtcdSession::Open(options).status();
  EXPECT_TRUE(absl::IsPermissionDenied(wrong)) << wrong;
  EXPECT_THAT(wrong.ToString(), ::testing::Not(HasSubstr("wrong")));
  options.password = FromDriver("KAFED_ETCD_PASSWORD");
  AppendAndFollow(options);
  const auto session = OpenSession(options);
  EXPECT_TRUE(absl::IsPermissionDenied(session->Get("/other/log").status()));
}

}  // namespace
}  // namespace kafed::metastore
