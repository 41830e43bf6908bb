// The whole command tree: help for everything, exit code 2 for wrong usage.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/text.h"

namespace kafed::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Outcome {
  int code = 0;
  std::string out;
  std::string error;
};

// Without a terminal; a tree parses once.
Outcome Kafedctl(const std::string& line, const std::string& input = "",
                 bool asks = false) {
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream error;
  Streams streams;
  streams.in = &in;
  streams.out = &out;
  streams.error = &error;
  streams.asks = asks;
  Outcome outcome;
  outcome.code = MakeCommandTree()->Run(cli::SplitList(line, ' '), streams);
  outcome.out = out.str();
  outcome.error = error.str();
  return outcome;
}

constexpr char kNowhere[] = " --server 127.0.0.1:1 --timeout 10ms";

TEST(Commands, AllHaveHelp) {
  for (const std::string& path : MakeCommandTree()->Paths()) {
    const Outcome outcome = Kafedctl(path + " --help");
    EXPECT_EQ(outcome.code, 0) << path;
    EXPECT_THAT(outcome.out, HasSubstr("Usage: kafedctl " + path));
  }
  EXPECT_EQ(Kafedctl("--help").code, 0);
  EXPECT_THAT(Kafedctl("--version").out, StartsWith("kafedctl "));
}

TEST(Commands, AreThoseOfTheDesign) {
  const auto paths = MakeCommandTree()->Paths();
  for (const char* path :
       {"cluster add",    "cluster list",     "cluster describe",
        "cluster update", "cluster remove",   "topic create",
        "topic list",     "topic describe",   "topic delete",
        "host import",    "host add",         "host list",
        "host describe",  "host remove",      "vpc create",
        "vpc add-hosts",  "vpc remove-hosts", "vpc list",
        "vpc describe",   "vpc delete",       "resource add",
        "resource list",  "resource remove",  "instance add",
        "instance list",  "instance report",  "instance remove",
        "session list",   "session end",      "route",
        "explain",        "members",          "subscriptions",
        "events",         "snapshot save",    "snapshot info",
        "node list",      "node describe",    "node remove",
        "upgrade status", "upgrade finish",   "status",
        "produce",        "consume",          "version",
        "reference"}) {
    EXPECT_THAT(paths, ::testing::Contains(path));
  }
}

TEST(Commands, WrongUsageIsExitCodeTwo) {
  for (const char* line :
       {"",
        "bogus",
        "cluster",
        "cluster bogus",
        "cluster add",
        "cluster add a --region eu --zone z1",
        "cluster list extra",
        "cluster update a",
        "topic create t",
        "topic create t --kind odd",
        "topic create t --kind hashed --partitions x",
        "topic create t --kind hashed --partitions 4294967296",
        "topic create t --kind hashed --retention 7",
        "host list -o xml",
        "host list --bogus",
        "host add h",
        "host add h --region eu --label x",
        "vpc add-hosts v",
        "vpc add-hosts v h --vms x=vm1",
        "instance add i --region eu",
        "instance add i --region eu --quota p",
        "instance report i",
        "session end x --yes",
        "node describe",
        "node describe x",
        "node remove x --yes",
        "upgrade",
        "upgrade finish --yes",
        "route",
        "explain",
        "members",
        "events --from x",
        "events --to 1:x",
        "snapshot save",
        "snapshot info",
        "produce",
        "produce nokey",
        "produce /x",
        "produce nca/x -H y",
        "consume nokey",
        "consume nca/x -f %z",
        "consume nca/x -o middle",
        "consume nca/x -c -1",
        "consume nca/x -c 0",
        "cluster add a --region eu --zone z --bootstrap b:1 --weight 0",
        "cluster update a --weight 0",
        "instance report i --used port=-1",
        "vpc create -x",
        "vpc create a\xff",
        "host add h --region \xc3",
        "status --timeout 5",
        "status --server nowhere",
        "vpc create v --request-id 123",
        "status --dry-run"}) {
    const Outcome outcome = Kafedctl(std::string(line));
    EXPECT_EQ(outcome.code, 2) << line << "\n" << outcome.error;
    EXPECT_THAT(outcome.error, StartsWith("kafedctl: ")) << line;
    EXPECT_EQ(outcome.out, "") << line;
  }
}

TEST(Commands, NameTheOptionThatIsWrong) {
  EXPECT_THAT(Kafedctl("topic create t --kind odd").error,
              HasSubstr("--kind: 'odd' is not known; expected unicast, "
                        "multicast, resource, hashed"));
  EXPECT_THAT(Kafedctl("cluster bogus").error,
              HasSubstr("'bogus' is no command of kafedctl cluster"));
  EXPECT_THAT(Kafedctl("cluster add").error, HasSubstr("is required"));
  EXPECT_THAT(Kafedctl("vpc create -x").error,
              HasSubstr("'-x' is no option of kafedctl vpc create; names do "
                        "not begin with '-'"));
  EXPECT_EQ(Kafedctl("vpc create a\xff").error,
            "kafedctl: argument 'a?' is not UTF-8\n");
  EXPECT_THAT(Kafedctl("cluster update a --weight 0").error,
              HasSubstr("--weight: '0' is not a whole number from 1"));
  EXPECT_THAT(Kafedctl("status --timeout 5").error,
              HasSubstr("--timeout: '5' is not a duration"));
}

TEST(Commands, DestructiveOnesNeedAWord) {
  for (const char* line :
       {"cluster remove a", "topic delete t", "host remove h",
        "vpc remove-hosts v h", "vpc delete v", "resource remove elb r",
        "instance remove i", "session end 7", "node remove 7"}) {
    const Outcome refused = Kafedctl(std::string(line) + kNowhere);
    EXPECT_EQ(refused.code, 2) << line;
    EXPECT_THAT(refused.error, HasSubstr("--yes")) << line;
    // With a word they get as far as the node that is not there.
    for (const char* word : {" --yes", " -y", " --dry-run"}) {
      const Outcome tried = Kafedctl(std::string(line) + word + kNowhere);
      EXPECT_EQ(tried.code, 1) << line << word;
      EXPECT_THAT(tried.error, HasSubstr("127.0.0.1:1")) << line;
    }
    const Outcome yes = Kafedctl(std::string(line) + kNowhere, "y\n", true);
    EXPECT_EQ(yes.code, 1) << line;
    EXPECT_THAT(yes.error, HasSubstr("127.0.0.1:1")) << line;
    const Outcome no = Kafedctl(std::string(line) + kNowhere, "\n", true);
    EXPECT_EQ(no.code, 1) << line;
    EXPECT_THAT(no.error, HasSubstr("nothing was changed")) << line;
  }
}

TEST(Commands, TakeGlobalOptionsAnywhere) {
  for (const char* line :
       {"--server 127.0.0.1:1 --timeout 10ms status",
        "status --server 127.0.0.1:1 --timeout 10ms",
        "--timeout 10ms host list --server 127.0.0.1:1 -o json"}) {
    const Outcome outcome = Kafedctl(line);
    EXPECT_EQ(outcome.code, 1) << line;
    EXPECT_THAT(outcome.error, HasSubstr("no node answers at 127.0.0.1:1"));
  }
}

TEST(Commands, SendNothingOfABadFile) {
  const Outcome outcome =
      Kafedctl(std::string("host import - --region eu") + kNowhere,
               "id,zone\nh1,z1\nh2\n");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.error, HasSubstr("stdin (nothing was sent):\n"
                                       "line 3, column 1: has 1 columns"));
  EXPECT_THAT(outcome.error, Not(HasSubstr("127.0.0.1")));
  EXPECT_THAT(Kafedctl("host import no-such-file").error,
              HasSubstr("cannot read 'no-such-file'"));
}

TEST(Commands, SendNoKeyThatIsNotUtf8) {
  const Outcome outcome =
      Kafedctl(std::string("route -") + kNowhere, "nca/h1\nnca/\xff\n");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.error,
              HasSubstr("line 2 of stdin: 'nca/?' is not UTF-8"));
}

TEST(Commands, ReferenceNamesThemAll) {
  const auto tree = MakeCommandTree();
  const std::string page = tree->Reference();
  for (const std::string& path : tree->Paths()) {
    EXPECT_THAT(page, HasSubstr("## kafedctl " + path + "\n"));
  }
  EXPECT_THAT(page, HasSubstr("`--server HOST:PORT[,HOST:PORT...]`"));
}

}  // namespace
}  // namespace kafed::cli
