// kafedctl node and upgrade, against a node that says what the test wants.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "cli/commands.h"
#include "cli/text.h"
#include "kafed/v1/admin.grpc.pb.h"
#include "tests/unit/cli/test_server.h"

namespace kafed::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ClusterAdmin final : public v1::Admin::Service {
 public:
  grpc::Status ListNodes(grpc::ServerContext*, const v1::ListNodesRequest*,
                         v1::ListNodesResponse* response) override {
    *response = nodes;
    return grpc::Status::OK;
  }
  grpc::Status RemoveNode(grpc::ServerContext*,
                          const v1::RemoveNodeRequest* request,
                          v1::MutationResponse* response) override {
    removed.push_back(request->node_id());
    response->set_dry_run(request->options().dry_run());
    response->set_summary("node forgotten");
    return grpc::Status::OK;
  }
  grpc::Status FinishUpgrade(grpc::ServerContext*,
                             const v1::FinishUpgradeRequest* request,
                             v1::MutationResponse* response) override {
    request_id = request->options().request_id();
    response->set_dry_run(request->options().dry_run());
    response->set_summary("feature level raised to 4");
    return grpc::Status::OK;
  }

  v1::ListNodesResponse nodes;
  std::vector<uint64_t> removed;
  std::string request_id;
};

class NodeCommandTest : public ::testing::Test {
 protected:
  // The first does the background work, the second is down.
  NodeCommandTest() {
    admin_.nodes.set_feature_level(3);
    v1::NodeStatus& first = *admin_.nodes.add_nodes();
    first.set_node_id(17'000'000'000'000'000'001u);
    first.set_address("kafed-0:7420");
    first.set_region("eu");
    first.set_version("1.2");
    first.set_feature_level(4);
    first.set_coordinator(true);
    first.set_reachable(true);
    first.mutable_position()->set_incarnation(1);
    first.mutable_position()->set_index(42);
    first.set_lag_ms(15);
    first.set_uptime_ms(61'234);
    first.set_health("ok");
    first.set_followers(9);
    v1::NodeStatus& second = *admin_.nodes.add_nodes();
    second.set_node_id(2);
    second.set_address("kafed-1:7420");
    second.set_version("1.1");
    second.set_feature_level(3);
    second.set_error("connection refused");
  }
  // What it prints; its errors where it fails.
  std::string Kafedctl(const std::string& line, int code = 0) {
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream error;
    Streams streams;
    streams.in = &in;
    streams.out = &out;
    streams.error = &error;
    EXPECT_EQ(
        MakeCommandTree()->Run(
            SplitList(line + " --server " + server_.address(), ' '), streams),
        code)
        << line << "\n"
        << error.str();
    return code == 0 ? out.str() : error.str();
  }

  ClusterAdmin admin_;
  TestServer server_{{&admin_}};
};

TEST_F(NodeCommandTest, ListsNodesAndThoseThatDoNotAnswer) {
  EXPECT_EQ(
      Kafedctl("node list"),
      "ID                     ADDRESS        REGION   VERSION   FEATURE-LEVEL"
      "   COORDINATOR   POSITION   LAG   LAG-MS   HEALTH\n"
      "17000000000000000001   kafed-0:7420   eu       1.2       4            "
      "   yes           1:42       0     15       ok\n"
      "2                      kafed-1:7420   -        1.1       3            "
      "   no            -          -     -        unreachable: connection "
      "refused\n");
  const std::string wide = Kafedctl("node list -o wide");
  EXPECT_THAT(wide, HasSubstr("FOLLOWERS   UP"));
  EXPECT_THAT(wide, HasSubstr("9           61s"));
  const std::string json = Kafedctl("node list -o json");
  EXPECT_THAT(json, StartsWith("["));
  EXPECT_THAT(json, HasSubstr(R"("node_id": "17000000000000000001")"));
  EXPECT_THAT(json, HasSubstr(R"("error": "connection refused")"));
}

TEST_F(NodeCommandTest, DescribesOneNode) {
  const std::string first = Kafedctl("node describe 17000000000000000001");
  EXPECT_THAT(first, HasSubstr("Lag:           0 entries, 15ms\n"));
  EXPECT_THAT(first, HasSubstr("Coordinator:   yes\n"));
  const std::string second = Kafedctl("node describe 2");
  EXPECT_THAT(second, HasSubstr("unreachable: connection refused\n"));
  EXPECT_THAT(second, HasSubstr("Region:        not told\n"));
  EXPECT_THAT(second, Not(HasSubstr("Lag")));
  EXPECT_EQ(Kafedctl("node describe 3", 1),
            "kafedctl: ID: there is no node 3; expected one of "
            "17000000000000000001, 2\n");
}

TEST_F(NodeCommandTest, RemovesANodeWhenTold) {
  EXPECT_THAT(Kafedctl("node remove 2", 2),
              HasSubstr("this would forget node 2"));
  EXPECT_TRUE(admin_.removed.empty());
  EXPECT_THAT(Kafedctl("node remove 2 --yes"), HasSubstr("node forgotten"));
  EXPECT_EQ(admin_.removed, std::vector<uint64_t>{2});
  EXPECT_THAT(Kafedctl("node remove 2 --dry-run"),
              StartsWith("dry run, nothing changed: node forgotten"));
}

TEST_F(NodeCommandTest, SaysWhoHoldsAnUpgradeBack) {
  EXPECT_EQ(Kafedctl("upgrade status"),
            "Feature level: 3\n"
            "Finish:        raises nothing: no higher level is supported by "
            "node 2\n"
            "\n"
            "NODE                   ADDRESS        VERSION   SUPPORTS   "
            "REACHABLE\n"
            "17000000000000000001   kafed-0:7420   1.2       4          yes\n"
            "2                      kafed-1:7420   1.1       3          no: "
            "connection refused\n");
  EXPECT_THAT(Kafedctl("upgrade status -o json"),
              HasSubstr(R"("finish_raises_to": 3)"));
}

TEST_F(NodeCommandTest, SaysWhatFinishingAnUpgradeRaises) {
  admin_.nodes.mutable_nodes(1)->set_feature_level(5);
  EXPECT_THAT(Kafedctl("upgrade status"),
              HasSubstr("Finish:        raises it to 4\n"));
  const std::string yaml = Kafedctl("upgrade status -o yaml");
  EXPECT_THAT(yaml, HasSubstr("feature_level: 3\nfinish_raises_to: 4\n"));
  EXPECT_THAT(Kafedctl("upgrade finish"),
              HasSubstr("feature level raised to 4"));
  EXPECT_EQ(admin_.request_id.size(), 16u);
  EXPECT_THAT(Kafedctl("upgrade finish --dry-run"),
              StartsWith("dry run, nothing changed: "));
}

}  // namespace
}  // namespace kafed::cli
