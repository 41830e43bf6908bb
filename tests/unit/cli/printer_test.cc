// Tables for people, documents for programs.
#include "cli/printer.h"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <limits>
#include <sstream>

#include "cli/host_import.h"
#include "kafed/v1/admin.pb.h"
#include "kafed/v1/routing.pb.h"

namespace kafed::cli {
namespace {

v1::HostStatus Host(const std::string& id) {
  v1::HostStatus host;
  host.mutable_host()->set_id(id);
  host.mutable_host()->set_region("eu");
  return host;
}

std::string List(OutputFormat format) {
  std::ostringstream out;
  Printer printer(&out, format);
  printer.BeginList({{"ID"}, {"REGION"}, {"NOTE", Column::kWide}});
  printer.Add(Host("h-20"), {"h-20", "eu", "x"});
  printer.Add(Host("h\xc3\xa9"), {"h\xc3\xa9", "", ""});
  printer.SortRows();
  printer.EndList();
  return out.str();
}

TEST(Printer, AlignsTables) {
  EXPECT_EQ(List(OutputFormat::kTable),
            "ID     REGION\n"
            "h-20   eu\n"
            "h\xc3\xa9     -\n");
  EXPECT_EQ(List(OutputFormat::kWide),
            "ID     REGION   NOTE\n"
            "h-20   eu       x\n"
            "h\xc3\xa9     -        -\n");
}

TEST(Printer, PrintsListsAsArrays) {
  const YAML::Node json = YAML::Load(List(OutputFormat::kJson));
  ASSERT_TRUE(json.IsSequence());
  EXPECT_EQ(json[0]["host"]["id"].as<std::string>(), "h-20");
  const YAML::Node yaml = YAML::Load(List(OutputFormat::kYaml));
  ASSERT_TRUE(yaml.IsSequence());
  EXPECT_EQ(yaml[1]["host"]["id"].as<std::string>(), "h\xc3\xa9");
}

TEST(Printer, PrintsEmptyLists) {
  std::ostringstream out;
  Printer printer(&out, OutputFormat::kJson);
  printer.BeginList({{"ID"}});
  printer.EndList();
  EXPECT_EQ(out.str(), "[]\n");
}

TEST(Printer, PrintsFieldsOrTheMessage) {
  std::ostringstream table;
  Printer(&table, OutputFormat::kTable)
      .PrintMessage(Host("h1"), {{"Id", "h1"}, {"Region", "eu"}});
  EXPECT_EQ(table.str(), "Id:     h1\nRegion: eu\n");
  std::ostringstream json;
  Printer(&json, OutputFormat::kJson)
      .PrintMessage(v1::MutationResponse(), {{"Id", "h1"}});
  EXPECT_EQ(json.str(), "{\n  \"summary\": \"\",\n  \"dry_run\": false\n}\n");
}

TEST(Document, WritesTheProtobufMapping) {
  v1::SessionStatus session;
  session.set_session_id(1ull << 60);
  session.set_source(std::string("\x00\xff\x10", 3));
  session.set_name("quote\" \\ \n\x01");
  session.mutable_acknowledged()->set_incarnation(2);
  session.mutable_acknowledged()->set_index(42);
  std::ostringstream out;
  WriteMessage(session, Defaults::kWrite,
               MakeJsonWriter(&out, JsonStyle::kOneLine).get());
  EXPECT_EQ(out.str(),
            "{\"session_id\":\"1152921504606846976\",\"source\":\"00ff10\","
            "\"name\":\"quote\\\" \\\\ \\n\\u0001\",\"region\":\"\","
            "\"acknowledged\":\"2:42\",\"lease_remaining_ms\":\"0\","
            "\"connected\":false}");
}

TEST(Document, WritesEnumsMapsAndNumbers) {
  v1::TopicSpec topic;
  topic.set_kind(v1::TOPIC_KIND_HASHED);
  topic.set_partitions(12);
  topic.add_regions("eu");
  EXPECT_EQ(ToJsonLine(topic),
            "{\"kind\":\"TOPIC_KIND_HASHED\",\"regions\":[\"eu\"],"
            "\"partitions\":12}");
  v1::HostSpec host;
  (*host.mutable_labels())["rack"] = "7";
  EXPECT_EQ(ToJsonLine(host), "{\"labels\":{\"rack\":\"7\"}}");
  v1::Quota quota;
  quota.set_quota(0.5);
  quota.set_used(100);
  EXPECT_EQ(ToJsonLine(quota), "{\"quota\":0.5,\"used\":100}");
  quota.set_used(std::numeric_limits<double>::quiet_NaN());
  quota.set_quota(std::numeric_limits<double>::infinity());
  EXPECT_EQ(ToJsonLine(quota), "{\"quota\":null,\"used\":null}");
}

TEST(Document, QuotesYamlTextThatLooksLikeSomethingElse) {
  v1::HostSpec host;
  for (const char* id : {"007", "true", "1:42", "null", "off", "1e3",
                         "2026-01-31T12:00:00.000Z", "2026-01-31"}) {
    host.set_id(id);
    std::ostringstream out;
    const auto writer = MakeYamlWriter(&out);
    WriteMessage(host, Defaults::kLeaveOut, writer.get());
    writer->EndDocument();
    EXPECT_EQ(out.str(), "id: \"" + std::string(id) + "\"\n");
  }
}

TEST(Document, SeparatesYamlDocuments) {
  std::ostringstream out;
  const auto writer = MakeYamlWriter(&out);
  for (int i = 0; i < 2; ++i) {
    WriteMessage(Host("h"), Defaults::kLeaveOut, writer.get());
    writer->EndDocument();
  }
  EXPECT_EQ(YAML::LoadAll(out.str()).size(), 2u) << out.str();
}

TEST(ProgressBar, ShowsTheShareDone) {
  EXPECT_EQ(ProgressBar(0, 4),
            "[" + std::string(40, '.') + "]   0 %  0 of 4 hosts");
  EXPECT_EQ(ProgressBar(1, 2), "[" + std::string(20, '#') +
                                   std::string(20, '.') +
                                   "]  50 %  1 of 2 hosts");
  EXPECT_EQ(ProgressBar(4, 4),
            "[" + std::string(40, '#') + "] 100 %  4 of 4 hosts");
}

}  // namespace
}  // namespace kafed::cli
