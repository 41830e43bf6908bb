// Documents on the screen: any text comes back from its JSON and its YAML as
// it was, and a message of text fields from both.
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <yaml-cpp/yaml.h>

#include <sstream>

#include "cli/document.h"
#include "cli/json_reader.h"
#include "cli/text.h"
#include "kafed/v1/types.pb.h"
#include "tests/fuzz/support.h"

namespace kafed::cli {
namespace {

v1::HostSpec MakeHost(std::string_view bytes) {
  fuzz::Pieces pieces(bytes);
  v1::HostSpec host;
  host.set_id(std::string(pieces.Block()));
  host.set_region(std::string(pieces.Block()));
  while (!pieces.empty() && host.labels_size() < 4) {
    const std::string name(pieces.Block());
    (*host.mutable_labels())[name] = std::string(pieces.Block());
  }
  host.set_zone(std::string(pieces.Rest()));
  return host;
}

bool IsUtf8(const v1::HostSpec& host) {
  bool good = FindBadUtf8(host.id() + "|" + host.region() + "|" +
                          host.zone()) == std::string::npos;
  for (const auto& [name, value] : host.labels()) {
    good = good && FindBadUtf8(name + "|" + value) == std::string::npos;
  }
  return good;
}

std::string Written(const v1::HostSpec& host, DocumentWriter* writer,
                    const std::ostringstream& out) {
  WriteMessage(host, Defaults::kWrite, writer);
  writer->EndDocument();
  return out.str();
}

void CheckJson(const v1::HostSpec& host, JsonStyle style) {
  std::ostringstream out;
  const std::string text =
      Written(host, MakeJsonWriter(&out, style).get(), out);
  if (style == JsonStyle::kOneLine) {
    FUZZ_CHECK(text.find('\n') + 1 == text.size(), text);
  }
  v1::HostSpec again;
  const auto parsed = google::protobuf::util::JsonStringToMessage(text, &again);
  FUZZ_CHECK(parsed.ok(), text);
  FUZZ_CHECK(ToJsonLine(again) == ToJsonLine(host), text);
  JsonReader reader(text);
  FUZZ_CHECK(reader.Skip().ok() && reader.ExpectEnd().ok(), text);
}

void CheckYaml(const v1::HostSpec& host) {
  std::ostringstream out;
  const auto writer = MakeYamlWriter(&out);
  Written(host, writer.get(), out);
  const std::string text = Written(host, writer.get(), out);
  std::vector<YAML::Node> documents;
  try {
    documents = YAML::LoadAll(text);
  } catch (const YAML::Exception& error) {
    fuzz::Broken("the YAML is read", __FILE__, __LINE__,
                 error.what() + ("\n" + text));
  }
  FUZZ_CHECK(documents.size() == 2, text);
  for (const YAML::Node& each : documents) {
    FUZZ_CHECK(each["id"].as<std::string>() == host.id(), text);
    FUZZ_CHECK(each["region"].as<std::string>() == host.region(), text);
    FUZZ_CHECK(each["zone"].as<std::string>() == host.zone(), text);
    FUZZ_CHECK(each["labels"].size() == static_cast<size_t>(host.labels_size()),
               text);
    for (const auto& [name, value] : host.labels()) {
      FUZZ_CHECK(each["labels"][name].as<std::string>() == value, text);
    }
  }
}

}  // namespace
}  // namespace kafed::cli

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kafed::cli;  // NOLINT: of this target
  const kafed::v1::HostSpec host = MakeHost(kafed::fuzz::AsText(data, size));
  if (!IsUtf8(host)) return 0;
  CheckJson(host, JsonStyle::kIndented);
  CheckJson(host, JsonStyle::kOneLine);
  CheckYaml(host);
  return 0;
}
