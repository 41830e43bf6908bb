#include "controller/server/config.h"

#include <gmock/gmock.h>

#include <fstream>

#include "tests/unit/metastore/temp_directory.h"

namespace kafed::controller {
namespace {

using testing::HasSubstr;

class ConfigTest : public testing::Test {
 protected:
  absl::StatusOr<Config> Load(const std::string& text) {
    const std::string file = folder_.path() + "/kafed.yaml";
    std::ofstream(file) << text;
    return LoadConfig(file, {}, {{"data_dir", "/d"}});
  }
  std::string Refusal(const std::string& text) {
    const auto config = Load(text);
    EXPECT_FALSE(config.ok()) << text;
    return std::string(config.status().message());
  }
  metastore::TempDirectory folder_;
};

TEST_F(ConfigTest, TheStrongerValueWins) {
  const std::string file = folder_.path() + "/kafed.yaml";
  std::ofstream(file) << "data_dir: /d\nworker_threads: 8\nlog_level: error\n";
  const auto config =
      LoadConfig(file, {{"worker_threads", "9"}, {"log_level", "debug"}},
                 {{"log_level", "warning"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->data_dir, "/d");
  EXPECT_EQ(config->worker_threads, 9u);
  EXPECT_EQ(config->log_level, "warning");
}

TEST_F(ConfigTest, RefusesWhatIsNoFile) {
  for (const std::string& file : {folder_.path(), folder_.path() + "/none"}) {
    const auto config = LoadConfig(file, {}, {{"data_dir", "/d"}});
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(file));
  }
  EXPECT_THAT(
      std::string(LoadConfig(folder_.path(), {}, {}).status().message()),
      HasSubstr("is a folder; expected a YAML file"));
}

TEST_F(ConfigTest, RefusesWhatIsGivenTwice) {
  EXPECT_THAT(Refusal("log_level: info\nworker_threads: 8\nlog_level: debug\n"),
              HasSubstr("log_level: is given twice (again in line 3)"));
}

TEST_F(ConfigTest, ASharedLogNeedsServersAndAPath) {
  EXPECT_TRUE(Load("log_backend: zookeeper\nlog_servers: a:1,b:2\n").ok());
  EXPECT_TRUE(Load("log_backend: etcd\nlog_servers: a:1\n"
                   "log_path: /x/y\npeers: n-1:7420,n-2:7420\n")
                  .ok());
  EXPECT_THAT(Refusal("log_backend: raft"),
              HasSubstr("log_backend: 'raft' is not one of local, zookeeper, "
                        "etcd"));
  EXPECT_THAT(Refusal("log_backend: zookeeper"),
              HasSubstr("log_servers: is not set"));
  EXPECT_THAT(Refusal("log_servers: a:1"),
              HasSubstr("did you mean log_backend zookeeper?"));
  for (const char* list :
       {"a", "a:", "a:x", "a:0", "a:65536", ":1", "a:1,,b:1"}) {
    EXPECT_THAT(Refusal("log_backend: etcd\nlog_servers: \"" +
                        std::string(list) + "\""),
                HasSubstr("is not HOST:PORT"))
        << list;
  }
  for (const char* path : {"kafed", "/", "/kafed/", "/a//b"}) {
    EXPECT_THAT(Refusal("log_backend: etcd\nlog_servers: a:1\nlog_path: " +
                        std::string(path)),
                HasSubstr("log_path: '"))
        << path;
  }
  EXPECT_THAT(Refusal("peers: here"), HasSubstr("peers: 'here'"));
  EXPECT_THAT(Refusal("advertise: here"), HasSubstr("advertise: 'here'"));
}

TEST_F(ConfigTest, RefusalsNameThePlace) {
  EXPECT_TRUE(Load("").ok());
  EXPECT_THAT(Refusal("nope: 1"), HasSubstr("no property 'nope'"));
  EXPECT_THAT(Refusal("worker_threads: [1]"), HasSubstr("line 1"));
  EXPECT_THAT(Refusal("worker_threads: 1"), HasSubstr("outside 4 to 1024"));
  EXPECT_THAT(Refusal("\n  : ["), HasSubstr("line "));
  EXPECT_THAT(Refusal("- a"), HasSubstr("is not a map"));
  EXPECT_THAT(Refusal(std::string((1 << 20) + 1, ' ')),
              HasSubstr("is larger than"));
}

}  // namespace
}  // namespace kafed::controller
