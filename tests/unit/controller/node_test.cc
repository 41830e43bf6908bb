// A whole node over gRPC: what calls refuse, and how it ends.
#include "controller/server/node.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "common/position.h"
#include "common/uuid.h"
#include "controller/rpc/status_conversion.h"
#include "controller/server/listen_address.h"
#include "kafed/v1/admin.grpc.pb.h"
#include "kafed/v1/events.grpc.pb.h"
#include "kafed/v1/routing.grpc.pb.h"
#include "tests/unit/metastore/temp_directory.h"

namespace kafed::controller {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr milliseconds kPatience{60'000};

class NodeTest : public testing::Test {
 protected:
  NodeTest() {
    Config config = *LoadConfig("", {},
                                {{"data_dir", folder_.path() + "/data"},
                                 {"listen", "127.0.0.1:0"},
                                 {"http_listen", "off"},
                                 {"session_ttl_ms", "1000"},
                                 {"reconcile_interval_ms", "50"},
                                 {"free_space_floor_bytes", "1048576"}});
    auto node = Node::Start(config);
    EXPECT_TRUE(node.ok()) << node.status();
    node_ = *std::move(node);
    const auto channel = grpc::CreateChannel(
        node_->address(), grpc::InsecureChannelCredentials());
    admin_ = v1::Admin::NewStub(channel);
    routing_ = v1::Routing::NewStub(channel);
    events_ = v1::Events::NewStub(channel);
  }

  template <typename Request, typename Response, typename Stub>
  grpc::Status Call(Stub* stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                 const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    return (stub->*method)(&context, request, response);
  }
  template <typename Request>
  Request New(bool dry_run = false) {
    Request request;
    request.mutable_options()->set_request_id(
        std::string(AsBytes(NewRequestId(RealClock().Wall()))));
    request.mutable_options()->set_dry_run(dry_run);
    return request;
  }
  v1::MutationResponse AddCluster(bool dry_run = false) {
    auto request = New<v1::AddSubClusterRequest>(dry_run);
    request.mutable_spec()->set_name("a");
    request.mutable_spec()->set_region("eu");
    request.mutable_spec()->add_zones("z1");
    request.mutable_spec()->set_bootstrap_servers("127.0.0.1:1");
    v1::MutationResponse response;
    const grpc::Status status =
        Call(admin_.get(), &v1::Admin::Stub::AddSubCluster, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1::StatusResponse NodeStatus() {
    v1::StatusResponse response;
    EXPECT_TRUE(Call(admin_.get(), &v1::Admin::Stub::Status,
                     v1::StatusRequest(), &response)
                    .ok());
    return response;
  }
  uint64_t OpenSession(char source) {
    v1::OpenSessionRequest request;
    request.set_source(std::string(16, source));
    request.set_client_time_ms(
        static_cast<uint64_t>(RealClock().Wall().count()));
    v1::OpenSessionResponse response;
    const grpc::Status status = Call(
        routing_.get(), &v1::Routing::Stub::OpenSession, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.session_id();
  }
  grpc::Status Events(const v1::ReadEventsRequest& request,
                      std::vector<uint64_t>* indexes) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    const auto reader = events_->Read(&context, request);
    v1::Entry entry;
    while (reader->Read(&entry)) {
      indexes->push_back(entry.header().position().index());
    }
    return reader->Finish();
  }

  metastore::TempDirectory folder_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<v1::Admin::Stub> admin_;
  std::unique_ptr<v1::Routing::Stub> routing_;
  std::unique_ptr<v1::Events::Stub> events_;
};

v1::ReadEventsRequest Range(Position from, Position to) {
  v1::ReadEventsRequest request;
  request.mutable_from()->set_incarnation(from.incarnation);
  request.mutable_from()->set_index(from.index.value());
  request.mutable_to()->set_incarnation(to.incarnation);
  request.mutable_to()->set_index(to.index.value());
  return request;
}

TEST(ToGrpcTest, AMessageFitsIntoAHeader) {
  const grpc::Status small = ToGrpc(absl::NotFoundError("id: no such"));
  EXPECT_EQ(small.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(small.error_message(), "id: no such");
  std::string names = "x";
  while (names.size() < 100'000) names += "\xc3\xb6";
  const std::string cut = ToGrpc(absl::NotFoundError(names)).error_message();
  EXPECT_EQ(cut, names.substr(0, kMaxErrorBytes - 1) + "...");
}

TEST_F(NodeTest, RefusesEventsThatAreNotThere) {
  AddCluster();
  struct Case {
    Position from;
    Position to;
    StatusCode code;
    const char* text;
  };
  const std::vector<Case> cases = {
      {{2, LogIndex(1)},
       {},
       StatusCode::NOT_FOUND,
       "from: there is no incarnation 2; the newest is 1"},
      {{},
       {4, LogIndex(3)},
       StatusCode::NOT_FOUND,
       "to: there is no incarnation 4"},
      {{1, LogIndex(5)},
       {1, LogIndex(2)},
       StatusCode::INVALID_ARGUMENT,
       "to: 1:2 is before from, 1:5"},
      {{1, LogIndex(99999)},
       {},
       StatusCode::OUT_OF_RANGE,
       "from: 1:99999 is beyond the newest entry, 1:"},
      {{1, LogIndex(1)},
       {1, LogIndex(99999)},
       StatusCode::OUT_OF_RANGE,
       "to: 1:99999 is beyond the newest entry, 1:"}};
  for (const Case& each : cases) {
    std::vector<uint64_t> indexes;
    const grpc::Status status = Events(Range(each.from, each.to), &indexes);
    EXPECT_EQ(status.error_code(), each.code) << each.text;
    EXPECT_THAT(status.error_message(), HasSubstr(each.text));
    EXPECT_THAT(indexes, IsEmpty());
  }
}

TEST_F(NodeTest, ReadsEventsUpToTheOneThatIsNext) {
  AddCluster();
  std::vector<uint64_t> indexes;
  EXPECT_TRUE(Events(Range({1, LogIndex(1)}, {1, LogIndex(2)}), &indexes).ok());
  EXPECT_THAT(indexes, testing::ElementsAre(1, 2));
  indexes.clear();
  EXPECT_TRUE(Events(Range({}, {0, LogIndex(1)}), &indexes).ok());
  EXPECT_THAT(indexes, testing::ElementsAre(1));
  // Who has all may ask for what comes next.
  indexes.clear();
  const uint64_t next = NodeStatus().position().index() + 1;
  EXPECT_TRUE(Events(Range({1, LogIndex(next)}, {}), &indexes).ok());
}

TEST_F(NodeTest, OnlyItsProducerClosesASession) {
  const uint64_t id = OpenSession('s');
  v1::CloseSessionRequest close;
  v1::CloseSessionResponse closed;
  close.set_session_id(id);
  grpc::Status status =
      Call(routing_.get(), &v1::Routing::Stub::CloseSession, close, &closed);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("source: has 0 bytes"));
  close.set_source(std::string(16, 'x'));
  status =
      Call(routing_.get(), &v1::Routing::Stub::CloseSession, close, &closed);
  EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED);
  close.set_source(std::string(16, 's'));
  EXPECT_TRUE(
      Call(routing_.get(), &v1::Routing::Stub::CloseSession, close, &closed)
          .ok());
}

TEST_F(NodeTest, RefusesASourceOfZeros) {
  v1::OpenSessionRequest request;
  request.set_source(std::string(16, '\0'));
  request.set_client_time_ms(static_cast<uint64_t>(RealClock().Wall().count()));
  v1::OpenSessionResponse response;
  const grpc::Status status =
      Call(routing_.get(), &v1::Routing::Stub::OpenSession, request, &response);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("source: is all zero"));
}

TEST_F(NodeTest, RefusesDrainReportsWhileNothingIsClosing) {
  v1::ReportDrainedRequest request;
  v1::ReportDrainedResponse response;
  request.set_session_id(99);
  EXPECT_EQ(Call(routing_.get(), &v1::Routing::Stub::ReportDrained, request,
                 &response)
                .error_code(),
            StatusCode::NOT_FOUND);
  request.set_session_id(OpenSession('d'));
  const grpc::Status status = Call(
      routing_.get(), &v1::Routing::Stub::ReportDrained, request, &response);
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("counts: is empty"));
}

TEST_F(NodeTest, AStreamBelongsToOneSession) {
  const uint64_t first = OpenSession('1');
  const uint64_t other = OpenSession('2');
  grpc::ClientContext context;
  const auto stream = routing_->Follow(&context);
  v1::FollowRequest request;
  request.set_session_id(first);
  request.set_client_time_ms(static_cast<uint64_t>(RealClock().Wall().count()));
  ASSERT_TRUE(stream->Write(request));
  v1::FollowResponse response;
  ASSERT_TRUE(stream->Read(&response));
  request.set_session_id(other);
  stream->Write(request);
  while (stream->Read(&response)) {
  }
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("session_id: is "));
}

TEST_F(NodeTest, ASessionThatNeverFollowedExpires) {
  OpenSession('e');
  const milliseconds end = RealClock().Steady() + kPatience;
  v1::ListSessionsResponse sessions;
  do {
    std::this_thread::yield();
    ASSERT_LT(RealClock().Steady(), end);
    sessions.Clear();
    ASSERT_TRUE(Call(admin_.get(), &v1::Admin::Stub::ListSessions,
                     v1::ListSessionsRequest(), &sessions)
                    .ok());
  } while (!sessions.sessions().empty());
}

TEST_F(NodeTest, RefusesLoadReportsThatAreNone) {
  AddCluster();
  auto add = New<v1::AddInstanceRequest>();
  add.mutable_spec()->set_id("i");
  add.mutable_spec()->set_region("nope");
  add.mutable_spec()->add_quotas()->set_service("port");
  add.mutable_spec()->mutable_quotas(0)->set_quota(10);
  v1::MutationResponse added;
  grpc::Status status =
      Call(admin_.get(), &v1::Admin::Stub::AddInstance, add, &added);
  EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("region: no sub-cluster"));
  add.mutable_spec()->set_region("eu");
  EXPECT_TRUE(
      Call(admin_.get(), &v1::Admin::Stub::AddInstance, add, &added).ok());
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const auto& [service, used] :
       std::vector<std::pair<std::string, double>>{
           {"port", nan}, {"port", infinity}, {"port", -1}, {"other", 1}}) {
    v1::ReportInstanceRequest report;
    report.set_id("i");
    report.add_load()->set_service(service);
    report.mutable_load(0)->set_used(used);
    v1::ReportInstanceResponse response;
    status =
        Call(admin_.get(), &v1::Admin::Stub::ReportInstance, report, &response);
    EXPECT_FALSE(status.ok()) << service << used;
    EXPECT_THAT(status.error_message(), HasSubstr("load: service '" + service));
  }
}

TEST_F(NodeTest, ListsOnlyWhatIsKnown) {
  AddCluster();
  v1::ListHostsRequest hosts;
  v1::ListHostsResponse listed_hosts;
  hosts.set_region("nope");
  EXPECT_EQ(
      Call(admin_.get(), &v1::Admin::Stub::ListHosts, hosts, &listed_hosts)
          .error_code(),
      StatusCode::NOT_FOUND);
  v1::ListResourcesRequest resources;
  v1::ListResourcesResponse listed;
  resources.set_topic("nope");
  EXPECT_EQ(
      Call(admin_.get(), &v1::Admin::Stub::ListResources, resources, &listed)
          .error_code(),
      StatusCode::NOT_FOUND);
}

TEST_F(NodeTest, ADryRunStandsAtThePositionItWasPlannedAt) {
  const v1::MutationResponse dry = AddCluster(true);
  EXPECT_TRUE(dry.dry_run());
  const v1::MutationResponse real = AddCluster();
  EXPECT_EQ(dry.position().index() + 1, real.position().index());
}

TEST_F(NodeTest, EndsItsStreamsAtOnce) {
  grpc::ClientContext follow_context;
  const auto follow = routing_->Follow(&follow_context);
  ASSERT_TRUE(follow->Write(v1::FollowRequest()));
  v1::FollowResponse row;
  ASSERT_TRUE(follow->Read(&row));
  grpc::ClientContext events_context;
  v1::ReadEventsRequest tail;
  tail.set_follow(true);
  const auto events = events_->Read(&events_context, tail);
  v1::Entry entry;
  ASSERT_TRUE(events->Read(&entry));
  const milliseconds begun = RealClock().Steady();
  node_->Stop();
  EXPECT_LT(RealClock().Steady() - begun, milliseconds(2'500));
  while (follow->Read(&row)) {
  }
  while (events->Read(&entry)) {
  }
  for (const grpc::Status& status : {follow->Finish(), events->Finish()}) {
    EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
    EXPECT_EQ(status.error_message(), "the node is shutting down");
  }
}

TEST_F(NodeTest, SaysWhyItCannotListen) {
  EXPECT_TRUE(CheckListen("listen", "127.0.0.1:0").ok());
  const auto text = [](const std::string& address) {
    return std::string(CheckListen("listen", address).message());
  };
  EXPECT_THAT(text(node_->address()),
              HasSubstr("listen: can't listen on " + node_->address() +
                        ": the port is in use"));
  // Of the range for documentation: no machine's.
  EXPECT_THAT(text("192.0.2.1:7420"), HasSubstr("not one of this machine"));
  EXPECT_THAT(text("nowhere.invalid:7420"),
              HasSubstr("host 'nowhere.invalid' is not known"));
}

}  // namespace
}  // namespace kafed::controller
