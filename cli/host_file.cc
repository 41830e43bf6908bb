#include "cli/host_file.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "cli/json_reader.h"
#include "cli/text.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

constexpr size_t kMaxErrors = 10;

// Collects the hosts of a file and the mistakes in it.
class HostList {
 public:
  HostList(const HostFileOptions& options, SkippedHosts* skipped)
      : options_(options), skipped_(skipped) {}

  // Fills in region and zone and takes the host, or notes what is wrong.
  void Add(Mark mark, v1::HostSpec host) {
    if (host.id().empty()) {
      return Note(ErrorAt(mark, "the host has no id"));
    }
    if (host.region().empty()) host.set_region(options_.region);
    if (host.zone().empty()) host.set_zone(options_.zone);
    if (host.region().empty()) return NoteNoRegion(mark, host.id());
    const auto [former, added] = lines_.try_emplace(host.id(), mark.line);
    if (!added) {
      return Note(ErrorAt(mark, "id: " + Shortened(host.id()) +
                                    " was already given in line " +
                                    std::to_string(former->second)));
    }
    hosts_.push_back(std::move(host));
  }

  // Once: a file that forgot the region forgot it everywhere. Of hosts that are
  // left out, each counts.
  void NoteNoRegion(Mark mark, const std::string& id) {
    if (skipped_ == nullptr && std::exchange(region_missing_, true)) return;
    Note(ErrorAt(mark, "region: host " + Shortened(id) +
                           " has none; give it in the file or with --region "
                           "(others without one are not listed)"));
  }

  // Of one host.
  void Note(const absl::Status& error) {
    if (skipped_ == nullptr) return Fail(error);
    if (++skipped_->count > kMaxErrors) return;
    Append(error, &skipped_->mistakes);
  }
  // Of the file.
  void Fail(const absl::Status& error) {
    if (++errors_ <= kMaxErrors) Append(error, &text_);
  }
  bool full() const { return errors_ > kMaxErrors; }

  absl::StatusOr<std::vector<v1::HostSpec>> Finish() && {
    if (errors_ > kMaxErrors) text_ += "\n... and more";
    if (errors_ > 0) return absl::InvalidArgumentError(text_);
    if (hosts_.empty()) {
      return absl::InvalidArgumentError(
          skipped_ != nullptr && skipped_->count > 0
              ? skipped_->mistakes + "\nno host is left"
              : "the file has no hosts");
    }
    return std::move(hosts_);
  }

 private:
  static void Append(const absl::Status& error, std::string* text) {
    *text += (text->empty() ? "" : "\n") + std::string(error.message());
  }

  const HostFileOptions& options_;
  SkippedHosts* const skipped_;  // null: a mistake is an error
  std::vector<v1::HostSpec> hosts_;
  absl::flat_hash_map<std::string, size_t> lines_;
  size_t errors_ = 0;
  bool region_missing_ = false;
  std::string text_;
};

void AddLabel(const std::string& name, const std::string& value,
              v1::HostSpec* host) {
  if (!value.empty()) (*host->mutable_labels())[name] = value;
}

// One member of a host in JSON. `id_name` is what its id is called.
absl::Status ReadMember(std::string_view id_name, const std::string& name,
                        JsonReader* reader, v1::HostSpec* host) {
  if (name == id_name) {
    ASSIGN_OR_RETURN(*host->mutable_id(),
                     reader->ReadString("a string for " + Shortened(name)));
    return absl::OkStatus();
  }
  if (name == "region" || name == "zone") {
    ASSIGN_OR_RETURN(std::string value,
                     reader->ReadString("a string for " + Shortened(name)));
    *(name == "zone" ? host->mutable_zone() : host->mutable_region()) =
        std::move(value);
    return absl::OkStatus();
  }
  switch (reader->Peek()) {
    case JsonReader::Kind::kString:
    case JsonReader::Kind::kNumber:
    case JsonReader::Kind::kBool: {
      ASSIGN_OR_RETURN(const std::string value, reader->ReadScalar("a value"));
      AddLabel(name, value, host);
      return absl::OkStatus();
    }
    default:
      return reader->Skip();
  }
}

absl::Status ParseAlcor(std::string_view text, HostList* hosts) {
  JsonReader reader(text);
  bool found = false;
  RETURN_IF_ERROR(reader.ReadObject([&](const std::string& name) {
    if (name != "host_infos" && name != "Hosts") return reader.Skip();
    found = true;
    const std::string_view id_name = name == "Hosts" ? "id" : "node_id";
    return reader.ReadArray([&]() -> absl::Status {
      v1::HostSpec host;
      const Mark mark = reader.mark();
      RETURN_IF_ERROR(reader.ReadObject([&](const std::string& member) {
        return ReadMember(id_name, member, &reader, &host);
      }));
      if (host.id().empty()) {
        hosts->Note(ErrorAt(mark, "the host has no '" + std::string(id_name) +
                                      "'; expected its id there"));
      } else {
        hosts->Add(mark, std::move(host));
      }
      return absl::OkStatus();
    });
  }));
  if (!found) {
    return ErrorAt({}, "expected an array 'host_infos' or 'Hosts'");
  }
  return reader.ExpectEnd();
}

absl::Status ParseJsonLine(std::string_view line, size_t number,
                           v1::HostSpec* host) {
  JsonReader reader(line, number);
  RETURN_IF_ERROR(reader.ReadObject([&](const std::string& name) {
    if (name != "labels") return ReadMember("id", name, &reader, host);
    return reader.ReadObject([&](const std::string& label) -> absl::Status {
      ASSIGN_OR_RETURN(
          const std::string value,
          reader.ReadScalar("a string for label " + Shortened(label)));
      AddLabel(label, value, host);
      return absl::OkStatus();
    });
  }));
  if (host->id().empty()) {
    return ErrorAt({number, 1}, "the host has no 'id'");
  }
  return reader.ExpectEnd();
}

void ParseJsonLines(std::string_view text, HostList* hosts) {
  for (size_t number = 1; !text.empty() && !hosts->full(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    v1::HostSpec host;
    const absl::Status status = ParseJsonLine(line, number, &host);
    if (status.ok()) {
      hosts->Add({number, 1}, std::move(host));
    } else {
      hosts->Note(status);
    }
  }
}

// RFC 4180: fields may be quoted, and then hold commas, quotes and newlines.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : text_(text) {}

  struct Field {
    std::string text;
    Mark mark;
  };
  using Record = std::vector<Field>;

  bool AtEnd() const { return at_ == text_.size(); }

  // The next record that is not blank; empty at the end.
  absl::StatusOr<Record> Next() {
    while (true) {
      Record record;
      if (AtEnd()) return record;
      const absl::Status status = ReadRecord(&record);
      if (!status.ok()) {
        SkipLine();
        return status;
      }
      if (record.size() > 1 || !record.front().text.empty()) return record;
    }
  }

 private:
  absl::Status ReadRecord(Record* record) {
    while (true) {
      Field field;
      field.mark = {line_, column_};
      RETURN_IF_ERROR(Peek() == '"' ? ReadQuoted(&field) : ReadPlain(&field));
      record->push_back(std::move(field));
      const char c = AtEnd() ? '\n' : Peek();
      if (!AtEnd()) Advance();
      if (c == '\n') return absl::OkStatus();
    }
  }

  absl::Status ReadPlain(Field* field) {
    for (; !AtEnd() && Peek() != ',' && Peek() != '\n'; Advance()) {
      if (Peek() == '"') {
        return ErrorAt({line_, column_},
                       "a quote inside a field; put the whole field in "
                       "quotes and double this one");
      }
      field->text += Peek();
    }
    // Spaces around a value, and the end of a line made on Windows.
    field->text.erase(field->text.find_last_not_of(" \t\r") + 1);
    field->text.erase(0, field->text.find_first_not_of(" \t"));
    return absl::OkStatus();
  }

  absl::Status ReadQuoted(Field* field) {
    Advance();
    for (; !AtEnd(); Advance()) {
      if (Peek() != '"') {
        field->text += Peek();
        continue;
      }
      Advance();
      if (!AtEnd() && Peek() == '"') {
        field->text += '"';
        continue;
      }
      while (!AtEnd() && (Peek() == ' ' || Peek() == '\r')) Advance();
      if (AtEnd() || Peek() == ',' || Peek() == '\n') return absl::OkStatus();
      return ErrorAt({line_, column_}, "expected ',' after the closing quote");
    }
    return ErrorAt(field->mark, "the quote that begins here has no end");
  }

  char Peek() const { return AtEnd() ? '\n' : text_[at_]; }
  void Advance() {
    const auto c = static_cast<uint8_t>(text_[at_++]);
    if (c == '\n') {
      ++line_;
      column_ = 1;
    } else if ((at_ == text_.size() ||
                (static_cast<uint8_t>(text_[at_]) & 0xc0) != 0x80)) {
      ++column_;
    }
  }
  void SkipLine() {
    while (!AtEnd() && Peek() != '\n') Advance();
    if (!AtEnd()) Advance();
  }

  std::string_view text_;
  size_t at_ = 0;
  size_t line_ = 1;
  size_t column_ = 1;
};

absl::Status CheckHeader(const CsvReader::Record& header) {
  const CsvReader::Field& first = header.front();
  if (first.text != "id" && first.text != "host") {
    return ErrorAt(first.mark, "the first column is " + Shortened(first.text) +
                                   "; expected a header "
                                   "id,region,zone[,label...] whose first "
                                   "column is 'id' or 'host'");
  }
  for (size_t i = 0; i < header.size(); ++i) {
    if (header[i].text.empty()) {
      return ErrorAt(header[i].mark, "the column has no name");
    }
    for (size_t j = 0; j < i; ++j) {
      if (header[i].text == header[j].text) {
        return ErrorAt(header[i].mark,
                       "two columns are called " + Shortened(header[i].text));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status ParseCsv(std::string_view text, HostList* hosts) {
  CsvReader reader(text);
  ASSIGN_OR_RETURN(const CsvReader::Record header, reader.Next());
  if (header.empty()) return ErrorAt({}, "expected a header line");
  RETURN_IF_ERROR(CheckHeader(header));
  while (!hosts->full()) {
    auto record = reader.Next();
    if (!record.ok()) {
      hosts->Note(record.status());
      continue;
    }
    if (record->empty()) break;
    if (record->size() != header.size()) {
      // Points at the first field too many, or at the last one there is.
      const size_t at = std::min(record->size() - 1, header.size());
      hosts->Note(ErrorAt(
          (*record)[at].mark,
          "has " + std::to_string(record->size()) + " columns; expected " +
              std::to_string(header.size()) + ", as in the header"));
      continue;
    }
    v1::HostSpec host;
    host.set_id(record->front().text);
    for (size_t i = 1; i < header.size(); ++i) {
      if (header[i].text == "region") {
        host.set_region((*record)[i].text);
      } else if (header[i].text == "zone") {
        host.set_zone((*record)[i].text);
      } else {
        AddLabel(header[i].text, (*record)[i].text, &host);
      }
    }
    hosts->Add(record->front().mark, std::move(host));
  }
  return absl::OkStatus();
}

Mark MarkOf(std::string_view text, size_t at) {
  Mark mark;
  for (const char c : text.substr(0, at)) {
    if (c == '\n') {
      ++mark.line;
      mark.column = 1;
    } else if ((static_cast<uint8_t>(c) & 0xc0) != 0x80) {
      ++mark.column;
    }
  }
  return mark;
}

}  // namespace

absl::StatusOr<HostFormat> DetectHostFormat(std::string_view text) {
  JsonReader reader(text);
  switch (reader.Peek()) {
    case JsonReader::Kind::kEnd:
      return absl::InvalidArgumentError("the file is empty");
    case JsonReader::Kind::kArray:
      return ErrorAt(reader.mark(),
                     "a bare array is no known format; expected an object "
                     "with 'host_infos' or 'Hosts', one object a line, or "
                     "CSV with a header");
    case JsonReader::Kind::kObject:
      break;
    default:
      return HostFormat::kCsv;
  }
  // The members of the first object tell; a broken one is reported when it is
  // read for good.
  bool alcor = false;
  const absl::Status ignored =
      reader.ReadObject([&](const std::string& name) -> absl::Status {
        alcor = alcor || name == "host_infos" || name == "Hosts";
        return alcor ? absl::CancelledError() : reader.Skip();
      });
  return alcor ? HostFormat::kAlcor : HostFormat::kJsonLines;
}

absl::StatusOr<std::vector<v1::HostSpec>> ParseHostFile(
    std::string_view text, const HostFileOptions& options,
    SkippedHosts* skipped) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  const size_t bad = FindBadUtf8(text);
  if (bad != std::string_view::npos) {
    return ErrorAt(MarkOf(text, bad), "is not UTF-8");
  }
  HostFormat format = options.format;
  if (format == HostFormat::kAuto) {
    ASSIGN_OR_RETURN(format, DetectHostFormat(text));
  }
  HostList hosts(options, skipped);
  if (format == HostFormat::kJsonLines) {
    ParseJsonLines(text, &hosts);
  } else {
    const absl::Status status = format == HostFormat::kAlcor
                                    ? ParseAlcor(text, &hosts)
                                    : ParseCsv(text, &hosts);
    if (!status.ok()) hosts.Fail(status);
  }
  return std::move(hosts).Finish();
}

}  // namespace kafed::cli
