// The import formats, and what is said about files that are not quite right.
#include "cli/host_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace kafed::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

std::string Sample(const std::string& name) {
  std::ifstream file(std::string(KAFED_SAMPLES) + "/" + name);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

HostFileOptions Region(HostFormat format = HostFormat::kAuto) {
  return {format, "eu", "z1"};
}

std::string ErrorOf(std::string_view text,
                    const HostFileOptions& options = {}) {
  const auto hosts = ParseHostFile(text, options);
  EXPECT_FALSE(hosts.ok());
  EXPECT_TRUE(absl::IsInvalidArgument(hosts.status()));
  return std::string(hosts.status().message());
}

TEST(HostFile, ShowsNoMoreThanItNeeds) {
  const std::string huge(100'000, 'x');
  const std::string twice = huge + "," + huge;
  const std::vector<std::string> texts = {
      huge + ",region\nh1,eu\n", "id," + twice + "\nh,1,2\n",
      "id\n" + huge + "\n" + huge + "\n",
      R"({"id":"h","labels":{")" + huge + "\":[]}}\n",
      "{\"id\":" + huge + "}\n"};
  for (const std::string& text : texts) {
    EXPECT_LT(ErrorOf(text).size(), 500u) << text.substr(0, 20);
  }
}

TEST(HostFile, ReadsTheAlcorSample) {
  const auto hosts = ParseHostFile(Sample("alcor-machine-200.json"), Region());
  ASSERT_TRUE(hosts.ok()) << hosts.status();
  ASSERT_THAT(*hosts, SizeIs(200));
  EXPECT_EQ((*hosts)[0].id(), "ephost_0");
  EXPECT_EQ((*hosts)[0].region(), "eu");
  EXPECT_EQ((*hosts)[0].zone(), "z1");
  EXPECT_EQ((*hosts)[0].labels().at("ip"), "172.17.0.2");
  EXPECT_EQ((*hosts)[0].labels().at("mac"), "02:42:ac:11:00:02");
  EXPECT_FALSE((*hosts)[0].labels().contains("veth"));
}

TEST(HostFile, ReadsTheCsvSample) {
  const auto hosts = ParseHostFile(Sample("alcor-compute-hosts.csv"), Region());
  ASSERT_TRUE(hosts.ok()) << hosts.status();
  ASSERT_GT(hosts->size(), 40u);
  EXPECT_EQ((*hosts)[0].id(), "fw0015525");
  EXPECT_EQ((*hosts)[0].labels().at("vcpu"), "80");
  EXPECT_EQ((*hosts)[0].labels().at("ram_gb"), "755.5");
}

TEST(HostFile, ReadsAlcorHostInfos) {
  const auto hosts = ParseHostFile(R"({"host_infos": [
      {"node_id": "h1", "node_name": "compute 1", "local_ip": "10.0.0.1",
       "mac_address": "aa:bb", "server_port": 8080, "veth": {"a": [1, null]},
       "region": "us", "up": true, "none": null}]})",
                                   Region());
  ASSERT_TRUE(hosts.ok()) << hosts.status();
  const v1::HostSpec& host = hosts->at(0);
  EXPECT_EQ(host.id(), "h1");
  EXPECT_EQ(host.region(), "us");
  EXPECT_EQ(host.labels().at("node_name"), "compute 1");
  EXPECT_EQ(host.labels().at("local_ip"), "10.0.0.1");
  EXPECT_EQ(host.labels().at("server_port"), "8080");
  EXPECT_EQ(host.labels().at("up"), "true");
  EXPECT_THAT(host.labels(), SizeIs(5));
}

TEST(HostFile, ReadsCsvWithColumnsInAnyOrder) {
  const auto hosts = ParseHostFile(
      "\xef\xbb\xbfid,zone,rack,region\r\n"
      "h1,z9,\"r,\"\"1\",eu\r\n"
      "\r\n"
      " h2 ,, r2,us\n"
      "h3,z1,\"two\nlines\",eu",
      {});
  ASSERT_TRUE(hosts.ok()) << hosts.status();
  ASSERT_THAT(*hosts, SizeIs(3));
  EXPECT_EQ((*hosts)[0].labels().at("rack"), "r,\"1");
  EXPECT_EQ((*hosts)[0].zone(), "z9");
  EXPECT_EQ((*hosts)[1].id(), "h2");
  EXPECT_EQ((*hosts)[1].zone(), "");
  EXPECT_EQ((*hosts)[1].region(), "us");
  EXPECT_EQ((*hosts)[2].labels().at("rack"), "two\nlines");
}

TEST(HostFile, ReadsJsonLines) {
  const auto hosts = ParseHostFile(
      "{\"id\":\"h1\",\"region\":\"eu\",\"zone\":\"z1\","
      "\"labels\":{\"rack\":\"7\",\"n\":3}}\n"
      "\n"
      "{\"id\":\"h\\u00e9\\ud83d\\ude00\",\"region\":\"eu\",\"x\":\"y\"}\n",
      {});
  ASSERT_TRUE(hosts.ok()) << hosts.status();
  ASSERT_THAT(*hosts, SizeIs(2));
  EXPECT_EQ((*hosts)[0].labels().at("n"), "3");
  EXPECT_EQ((*hosts)[1].id(), "h\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT_EQ((*hosts)[1].labels().at("x"), "y");
}

TEST(HostFile, DetectsFormats) {
  EXPECT_EQ(*DetectHostFormat(" {\"Hosts\": []}"), HostFormat::kAlcor);
  EXPECT_EQ(*DetectHostFormat("{\"v\":1,\"host_infos\": ["),
            HostFormat::kAlcor);
  EXPECT_EQ(*DetectHostFormat("{\"id\":\"a\"}\n{"), HostFormat::kJsonLines);
  EXPECT_EQ(*DetectHostFormat("{\"id\":"), HostFormat::kJsonLines);
  EXPECT_EQ(*DetectHostFormat("host,vcpu\n"), HostFormat::kCsv);
  EXPECT_FALSE(DetectHostFormat(" \n").ok());
  EXPECT_FALSE(DetectHostFormat("[{\"id\":\"a\"}]").ok());
}

TEST(HostFile, NamesLineAndColumnOfCsvMistakes) {
  EXPECT_THAT(ErrorOf("name,region\n"),
              HasSubstr("line 1, column 1: the first column is 'name'; "
                        "expected a header id,region,zone"));
  EXPECT_THAT(ErrorOf("id,region,region\n"),
              HasSubstr("line 1, column 11: two columns"));
  EXPECT_THAT(ErrorOf("id,region,\n"),
              HasSubstr("line 1, column 11: the column has no name"));
  EXPECT_THAT(ErrorOf("id,region\nh1,eu,x\n"),
              HasSubstr("line 2, column 7: has 3 columns; expected 2"));
  EXPECT_THAT(ErrorOf("id,region,zone\nh1,eu\n"),
              HasSubstr("line 2, column 4: has 2 columns; expected 3"));
  EXPECT_THAT(ErrorOf("id,region\nh1,\"eu\n"),
              HasSubstr("line 2, column 4: the quote that begins here"));
  EXPECT_THAT(ErrorOf("id,region\nh1,e\"u\n"),
              HasSubstr("line 2, column 5: a quote inside a field"));
  EXPECT_THAT(ErrorOf("id,region\nh1,\"e\"u\n"),
              HasSubstr("line 2, column 7: expected ','"));
  EXPECT_THAT(ErrorOf("id,region\nh1,eu\nh2,eu\nh1,eu\n"),
              HasSubstr("line 4, column 1: id: 'h1' was already given in "
                        "line 2"));
  EXPECT_THAT(ErrorOf("id,region\nh1,\n"),
              HasSubstr("line 2, column 1: region: host 'h1' has none"));
  EXPECT_THAT(ErrorOf("id\nh1\n"), HasSubstr("--region"));
  EXPECT_THAT(ErrorOf("id,region\n,eu\n"),
              HasSubstr("line 2, column 1: the host has no id"));
  EXPECT_THAT(ErrorOf("id,region\n"), HasSubstr("the file has no hosts"));
}

TEST(HostFile, NamesLineAndColumnOfJsonMistakes) {
  EXPECT_THAT(ErrorOf("{\"Hosts\": [\n  {\"id\": 7}]}", Region()),
              HasSubstr("line 2, column 10: expected a string for 'id', found "
                        "a number"));
  EXPECT_THAT(ErrorOf("{\"Hosts\": [\n  {\"id\": \"a\"},\n  {\"ip\": \"b\"}]}",
                      Region()),
              HasSubstr("line 3, column 3: the host has no 'id'"));
  EXPECT_THAT(ErrorOf("{\"host_infos\": [{\"id\": \"a\"}]}", Region()),
              HasSubstr("the host has no 'node_id'"));
  EXPECT_THAT(ErrorOf("{\"Hosts\": [{\"id\": \"a\"}", Region()),
              HasSubstr("line 1, column 23: expected ',' or ']', found the "
                        "end"));
  EXPECT_THAT(ErrorOf("{\"Hosts\": {}}", Region()),
              HasSubstr("column 11: expected an array, found an object"));
  EXPECT_THAT(ErrorOf("{\"Hosts\": [{\"id\": \"a\"}]} x", Region()),
              HasSubstr("expected the end"));
  EXPECT_THAT(ErrorOf("{\"x\": 1}", Region(HostFormat::kAlcor)),
              HasSubstr("'host_infos' or 'Hosts'"));
}

TEST(HostFile, NamesLineAndColumnOfJsonLinesMistakes) {
  const std::string good = "{\"id\":\"a\",\"region\":\"eu\"}\n";
  EXPECT_THAT(ErrorOf(good + "{\"id\":\"b\""),
              HasSubstr("line 2, column 10: expected ',' or '}', found the "
                        "end"));
  EXPECT_THAT(ErrorOf(good + "{\"id\":\"b\",\"region\":nul}"),
              HasSubstr("line 2, column 20: expected a string for 'region'"));
  EXPECT_THAT(ErrorOf(good + "{\"id\":\"b\",\"labels\":{\"x\":[]}}"),
              HasSubstr("line 2, column 25: expected a string for label 'x', "
                        "found an array"));
  EXPECT_THAT(ErrorOf(good + "{\"region\":\"eu\"}"),
              HasSubstr("line 2, column 1: the host has no 'id'"));
  EXPECT_THAT(ErrorOf(good + "{\"id\":\"a\\x\"}"),
              HasSubstr("is not an escape of JSON"));
  EXPECT_THAT(ErrorOf(good + "{\"id\":\"b\",\"x\":01}"),
              HasSubstr("'01' is no value of JSON"));
  EXPECT_THAT(ErrorOf(good + "{\"id\":\"b"), HasSubstr("has no end"));
}

TEST(HostFile, LeavesOutWhatIsWrongWhenAsked) {
  SkippedHosts skipped;
  const auto hosts = ParseHostFile(
      "id,region\nh1,eu\nh2\nh1,eu\n,eu\nh3,\nh4,us\n\"h5\"x,eu\nh6,eu\n", {},
      &skipped);
  ASSERT_TRUE(hosts.ok()) << hosts.status();
  std::vector<std::string> ids;
  for (const auto& host : *hosts) ids.push_back(host.id());
  EXPECT_EQ(ids, (std::vector<std::string>{"h1", "h4", "h6"}));
  EXPECT_EQ(skipped.count, 5u);
  for (const char* where : {"line 3, column 1: has 1 columns", "line 4",
                            "line 5", "line 6", "line 8"}) {
    EXPECT_THAT(skipped.mistakes, HasSubstr(where));
  }
  // The shape of the file is not a matter of one host.
  SkippedHosts none;
  for (const char* text :
       {"name,region\nh1,eu\n", "[1]", "{\"Hosts\": [", ""}) {
    EXPECT_FALSE(ParseHostFile(text, Region(), &none).ok()) << text;
  }
  EXPECT_THAT(ParseHostFile("id\nh1\n", {}, &none).status().message(),
              HasSubstr("no host is left"));
}

TEST(HostFile, ReportsTenMistakesAndNoMore) {
  std::string text = "id,region\n";
  for (int i = 0; i < 30; ++i) text += "h" + std::to_string(i) + "\n";
  const std::string error = ErrorOf(text);
  EXPECT_THAT(error, HasSubstr("line 2,"));
  EXPECT_THAT(error, HasSubstr("line 11,"));
  EXPECT_THAT(error, Not(HasSubstr("line 12,")));
  EXPECT_THAT(error, HasSubstr("... and more"));
}

TEST(HostFile, RefusesWhatIsNotUtf8) {
  EXPECT_THAT(ErrorOf("id,region\nh\xc3\xa9\xff,eu\n"),
              HasSubstr("line 2, column 3: is not UTF-8"));
  EXPECT_THAT(ErrorOf(std::string("\xed\xa0\x80")), HasSubstr("UTF-8"));
}

TEST(HostFile, RefusesDeepNesting) {
  std::string text = "{\"id\":\"a\",\"region\":\"eu\",\"x\":";
  for (int i = 0; i < 100'000; ++i) text += '[';
  EXPECT_THAT(ErrorOf(text), HasSubstr("nested too deeply"));
}

// Every prefix of a good file gives hosts or an error, never a crash.
TEST(HostFile, SurvivesEveryTruncation) {
  const std::string text =
      "{\"Hosts\": [{\"id\": \"a\\u00e9\", \"n\": -1.5e3, \"t\": true},"
      " {\"id\": \"b\", \"o\": {\"x\": [1, null, \"\"]}}]}";
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(ParseHostFile(text.substr(0, size), Region()).ok()) << size;
  }
  EXPECT_TRUE(ParseHostFile(text, Region()).ok());
  const std::string csv = "id,region,x\nh1,eu,\"a\"\"b\"\nh2,us,\xc3\xa9\n";
  for (size_t size = 0; size <= csv.size(); ++size) {
    static_cast<void>(ParseHostFile(csv.substr(0, size), Region()));
  }
}

}  // namespace
}  // namespace kafed::cli
