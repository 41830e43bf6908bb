// Retries: the same bytes again while the trouble may pass, and no longer.
#include "cli/connection.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sstream>
#include <vector>

#include "cli/invocation.h"
#include "common/uuid.h"
#include "kafed/v1/admin.grpc.pb.h"
#include "kafed/v1/events.pb.h"
#include "kafed/v1/routing.grpc.pb.h"
#include "tests/unit/cli/test_server.h"

namespace kafed::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Pauses move the clock.
RetryPolicy PolicyOn(FakeClock* clock, std::vector<int64_t>* pauses) {
  RetryPolicy policy;
  policy.clock = clock;
  policy.pause = [clock, pauses](milliseconds time) {
    pauses->push_back(time.count());
    clock->Advance(time);
  };
  return policy;
}

TEST(Retry, RepeatsWhatMayPass) {
  FakeClock clock;
  std::vector<int64_t> pauses;
  int calls = 0;
  const absl::Status status =
      Retry(PolicyOn(&clock, &pauses), [&](milliseconds) -> absl::Status {
        switch (++calls) {
          case 1:
            return absl::UnavailableError("gone");
          case 2:
            return absl::DeadlineExceededError("late");
          default:
            return absl::OkStatus();
        }
      });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(calls, 3);
  EXPECT_THAT(pauses, ElementsAre(100, 200));
}

TEST(Retry, GivesUpAfterAFewAttempts) {
  FakeClock clock;
  std::vector<int64_t> pauses;
  const absl::Status status =
      Retry(PolicyOn(&clock, &pauses),
            [](milliseconds) { return absl::UnavailableError("gone"); });
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(pauses, ElementsAre(100, 200, 400, 800));
}

TEST(Retry, DoesNotRepeatARefusal) {
  FakeClock clock;
  std::vector<int64_t> pauses;
  int calls = 0;
  const absl::Status status =
      Retry(PolicyOn(&clock, &pauses), [&](milliseconds) {
        ++calls;
        return absl::InvalidArgumentError("name: bad");
      });
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(calls, 1);
}

TEST(Retry, StaysWithinTheTimeout) {
  FakeClock clock;
  std::vector<int64_t> pauses;
  std::vector<int64_t> left;
  RetryPolicy policy = PolicyOn(&clock, &pauses);
  policy.timeout = milliseconds(250);
  const absl::Status status = Retry(policy, [&](milliseconds time) {
    left.push_back(time.count());
    return absl::UnavailableError("gone");
  });
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(left, ElementsAre(250, 150));
}

TEST(Connection, FindsTheRpcOfARequest) {
  EXPECT_EQ(MethodOf(v1::ListHostsRequest()), "/kafed.v1.Admin/ListHosts");
  EXPECT_EQ(MethodOf(v1::RouteRequest()), "/kafed.v1.Routing/Route");
  EXPECT_EQ(MethodOf(v1::ReadEventsRequest()), "/kafed.v1.Events/Read");
  EXPECT_EQ(MethodOf(v1::HostSpec()), "");
}

// Fails the first calls, and remembers the request ids it was sent.
class FlakyAdmin final : public v1::Admin::Service {
 public:
  grpc::Status CreateVpc(grpc::ServerContext*,
                         const v1::CreateVpcRequest* request,
                         v1::MutationResponse* response) override {
    ids.push_back(request->options().request_id());
    if (ids.size() < 3) return {grpc::StatusCode::UNAVAILABLE, "not yet"};
    response->set_summary("VPC " + request->id() + " created");
    return grpc::Status::OK;
  }
  grpc::Status DeleteVpc(grpc::ServerContext*, const v1::DeleteVpcRequest*,
                         v1::MutationResponse*) override {
    return {grpc::StatusCode::UNKNOWN, "the log did not answer"};
  }
  grpc::Status ImportHosts(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::ImportProgress, v1::ImportHostsRequest>*
          stream) override {
    v1::ImportHostsRequest request;
    while (stream->Read(&request)) {
    }
    return {grpc::StatusCode::INVALID_ARGUMENT, "hosts[3].zone: is empty"};
  }

  std::vector<std::string> ids;
};

// A node of the cluster that is up to something or not.
class PlainAdmin final : public v1::Admin::Service {
 public:
  grpc::Status CreateVpc(grpc::ServerContext*,
                         const v1::CreateVpcRequest* request,
                         v1::MutationResponse* response) override {
    ids.push_back(request->options().request_id());
    if (!refusal.ok()) return refusal;
    response->mutable_position()->set_incarnation(2);
    response->mutable_position()->set_index(7);
    return grpc::Status::OK;
  }
  grpc::Status ImportHosts(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::ImportProgress, v1::ImportHostsRequest>*)
      override {
    ++imports;
    return refusal;
  }

  grpc::Status refusal;
  std::vector<std::string> ids;
  int imports = 0;
};

// Remembers what it was asked.
class PlainRouting final : public v1::Routing::Service {
 public:
  grpc::Status Route(grpc::ServerContext*, const v1::RouteRequest* request,
                     v1::RouteResponse* response) override {
    asked.push_back(request->min_position());
    response->mutable_position()->set_incarnation(2);
    response->mutable_position()->set_index(9);
    return grpc::Status::OK;
  }

  std::vector<v1::Position> asked;
};

class ConnectionTest : public ::testing::Test {
 protected:
  ConnectionTest() {
    // The first one is never there.
    options_.servers = {"127.0.0.1:1", server_.address()};
  }

  FlakyAdmin admin_;
  TestServer server_{{&admin_}};
  GlobalOptions options_;
  std::ostringstream out_;
  std::ostringstream error_;
  Streams streams_{nullptr, &out_, &error_};
};

TEST_F(ConnectionTest, RepeatsAChangeWithTheSameRequestId) {
  Invocation run(options_, streams_);
  v1::CreateVpcRequest request;
  request.set_id("v1");
  ASSERT_TRUE(run.Change(&request).ok());
  ASSERT_EQ(admin_.ids.size(), 3u);
  EXPECT_EQ(admin_.ids[0].size(), 16u);
  EXPECT_EQ(admin_.ids[0], admin_.ids[1]);
  EXPECT_EQ(admin_.ids[0], admin_.ids[2]);
  EXPECT_THAT(out_.str(), HasSubstr("VPC v1 created"));
}

TEST_F(ConnectionTest, SaysHowToRepeatAnUnknownOutcome) {
  Invocation run(options_, streams_);
  v1::DeleteVpcRequest request;
  const absl::Status status = run.Change(&request);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("the log did not answer; the outcome is unknown: run "
                        "it again with --request-id " +
                        ToHex(run.MutationOptions().request_id())));
}

TEST_F(ConnectionTest, StreamsEndWithTheNodesError) {
  Connection connection(options_.servers, {});
  auto stream = connection.Open(v1::ImportHostsRequest(), StepTime::kTimeout);
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_TRUE((*stream)->Write(v1::ImportHostsRequest()));
  EXPECT_TRUE((*stream)->WritesDone());
  v1::ImportProgress progress;
  EXPECT_FALSE((*stream)->Read(&progress));
  const absl::Status status = (*stream)->Finish();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(), "hosts[3].zone: is empty");
}

TEST_F(ConnectionTest, NamesTheServersThatDoNotAnswer) {
  RetryPolicy policy;
  policy.attempts = 1;
  Connection connection({"127.0.0.1:1", "127.0.0.1:2"}, policy);
  v1::StatusResponse response;
  const absl::Status status = connection.Call(v1::StatusRequest(), &response);
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("no node answers at 127.0.0.1:1, 127.0.0.1:2"));
}

// Two nodes that are there.
class TwoNodesTest : public ::testing::Test {
 protected:
  TwoNodesTest() {
    policy_.pause = [this](milliseconds) { ++pauses_; };
  }
  Connection Connect() {
    return {{first_server_.address(), second_server_.address()}, policy_};
  }
  absl::Status CreateVpc(Connection* connection) {
    v1::CreateVpcRequest request;
    request.mutable_options()->set_request_id("an id of 16 byte");
    v1::MutationResponse response;
    return connection->Call(request, &response);
  }

  PlainAdmin first_;
  PlainAdmin second_;
  PlainRouting routing_;
  TestServer first_server_{{&first_}};
  TestServer second_server_{{&second_, &routing_}};
  RetryPolicy policy_;
  int pauses_ = 0;
};

TEST_F(TwoNodesTest, AChangeGoesOnAtTheNextNodeWithItsRequestId) {
  for (const auto code :
       {grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::DEADLINE_EXCEEDED}) {
    first_.refusal = {code, "not now"};
    Connection connection = Connect();
    EXPECT_TRUE(CreateVpc(&connection).ok());
    // The one that answered is asked first from then on.
    EXPECT_TRUE(CreateVpc(&connection).ok());
  }
  EXPECT_THAT(first_.ids, ElementsAre("an id of 16 byte", "an id of 16 byte"));
  EXPECT_EQ(second_.ids.size(), 4u);
  EXPECT_EQ(second_.ids[0], "an id of 16 byte");
  EXPECT_EQ(pauses_, 0);
}

TEST_F(TwoNodesTest, ARefusalIsNotAskedElsewhere) {
  first_.refusal = {grpc::StatusCode::INVALID_ARGUMENT, "id: is empty"};
  Connection connection = Connect();
  EXPECT_EQ(CreateVpc(&connection).message(), "id: is empty");
  EXPECT_TRUE(second_.ids.empty());
}

TEST_F(TwoNodesTest, PausesWhenAllWereAskedAndSaysWhatEachSaid) {
  first_.refusal = {grpc::StatusCode::UNAVAILABLE, "starting"};
  second_.refusal = {grpc::StatusCode::UNAVAILABLE, "ending"};
  Connection connection(
      {"127.0.0.1:1", first_server_.address(), second_server_.address()},
      policy_);
  const std::string message(CreateVpc(&connection).message());
  EXPECT_THAT(message, HasSubstr("127.0.0.1:1 cannot be reached"));
  EXPECT_THAT(message, HasSubstr(first_server_.address() + ": starting"));
  EXPECT_THAT(message, HasSubstr(second_server_.address() + ": ending"));
  EXPECT_EQ(first_.ids.size(), 5u);
  EXPECT_EQ(second_.ids.size(), 5u);
  EXPECT_EQ(pauses_, 4);
}

TEST_F(TwoNodesTest, AStreamThatIsRepeatedBeginsElsewhere) {
  first_.refusal = {grpc::StatusCode::UNAVAILABLE, "ending"};
  Connection connection = Connect();
  for (int i = 0; i < 2; ++i) {
    auto stream = connection.Open(v1::ImportHostsRequest(), StepTime::kTimeout);
    ASSERT_TRUE(stream.ok()) << stream.status();
    v1::ImportProgress progress;
    EXPECT_FALSE((*stream)->Read(&progress));
    EXPECT_EQ((*stream)->Finish().ok(), i == 1);
  }
  EXPECT_EQ(first_.imports, 1);
  EXPECT_EQ(second_.imports, 1);
}

TEST_F(TwoNodesTest, ReadsFromNoEarlierThanWhatWasSeen) {
  Connection connection({second_server_.address()}, policy_);
  const auto route = [&](uint64_t min_index) {
    v1::RouteRequest request;
    if (min_index != 0) request.mutable_min_position()->set_index(min_index);
    v1::RouteResponse response;
    EXPECT_TRUE(connection.Call(request, &response).ok());
    return routing_.asked.back();
  };
  EXPECT_EQ(route(0).index(), 0u);
  EXPECT_EQ(route(0).index(), 9u);
  // A change at an earlier position than that takes nothing back.
  EXPECT_TRUE(CreateVpc(&connection).ok());
  EXPECT_EQ(route(0).index(), 9u);
  EXPECT_EQ(route(0).incarnation(), 2u);
  // Who asks for a position gets that.
  EXPECT_EQ(route(3).index(), 3u);
}

TEST(SeenPosition, ReadsTheResultOfAChange) {
  v1::AddVpcHostsResponse response;
  response.mutable_result()->mutable_position()->set_index(4);
  SeenPosition seen;
  seen.Learn(response);
  // It cannot wait for a position.
  EXPECT_EQ(seen.Asking(v1::StatusRequest())->ByteSizeLong(), 0u);
  const auto question = seen.Asking(v1::OwnerRequest());
  EXPECT_EQ(
      static_cast<const v1::OwnerRequest&>(*question).min_position().index(),
      4u);
}

// Takes connections, as the kernel does for a process that was stopped, and
// says nothing.
class SilentServer {
 public:
  SilentServer() : file_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* address = reinterpret_cast<sockaddr*>(&at);
    EXPECT_EQ(bind(file_, address, size), 0);
    EXPECT_EQ(listen(file_, 16), 0);
    EXPECT_EQ(getsockname(file_, address, &size), 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  }
  ~SilentServer() { close(file_); }
  const std::string& address() const { return address_; }

 private:
  const int file_;
  std::string address_;
};

TEST_F(ConnectionTest, WaitsForASilentServerAsLongAsItMay) {
  const SilentServer silent;
  RetryPolicy policy;
  policy.timeout = milliseconds(4'000);  // more than one turn
  Connection connection({silent.address()}, policy);
  const milliseconds begun = RealClock().Steady();
  v1::StatusResponse response;
  const absl::Status status = connection.Call(v1::StatusRequest(), &response);
  EXPECT_GE(RealClock().Steady() - begun, milliseconds(3'900));
  EXPECT_EQ(std::string(status.message()).substr(0, 100),
            ("no node answers at " + silent.address() +
             " within 4s; is kafed running there? --server or KAFED_SERVER "
             "name others")
                .substr(0, 100));
}

TEST_F(ConnectionTest, GoesOnWithTheNextWhenOneIsSilent) {
  const SilentServer silent;
  Connection connection({silent.address(), options_.servers.back()}, {});
  auto stream = connection.Open(v1::ImportHostsRequest(), StepTime::kTimeout);
  EXPECT_TRUE(stream.ok()) << stream.status();
}

TEST_F(ConnectionTest, NamesTheServerThatSpeaksOtherwise) {
  Connection connection({options_.servers.back()}, {});
  v1::StatusResponse response;  // not one of FlakyAdmin's
  const absl::Status status = connection.Call(v1::StatusRequest(), &response);
  EXPECT_TRUE(absl::IsUnimplemented(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr(options_.servers.back() + ": "));
}

}  // namespace
}  // namespace kafed::cli
