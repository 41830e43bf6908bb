// Printer: one answer in the form that -o asked for.
//
// Table and wide print rows with columns; json and yaml print the messages the
// rows were made of, so that programs never read tables. It does no calls.
//
//   printer.BeginList({{"ID"}, {"REGION"}, {"LABELS", Column::kWide}});
//   printer.Add(host, {host.id(), ...});     // any number of times
//   printer.EndList();                       // json: an array of the hosts
//
// One thread at a time; the stream must outlive it.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/document.h"

namespace kafed::cli {

enum class OutputFormat { kTable, kWide, kJson, kYaml };

struct Column {
  enum Width { kAlways, kWide };
  std::string title;
  Width width = kAlways;
};

using Columns = std::vector<Column>;
using Cells = std::vector<std::string>;
// Name and value, one a line.
using Fields = std::vector<std::pair<std::string, std::string>>;

class Printer {
 public:
  Printer(std::ostream* out, OutputFormat format)
      : out_(*out), format_(format) {}

  OutputFormat format() const { return format_; }
  bool structured() const {
    return format_ == OutputFormat::kJson || format_ == OutputFormat::kYaml;
  }
  bool wide() const { return format_ == OutputFormat::kWide; }

  // A list. Add keeps only the cells, or prints the item at once.
  void BeginList(Columns columns);
  void Add(const google::protobuf::Message& item, Cells cells);
  // Sorts rows by their first column, then the second, before EndList prints.
  void SortRows();
  void EndList();

  // One message; `fields` and then a table are for people.
  void PrintMessage(const google::protobuf::Message& message,
                    const Fields& fields);
  // Only for people; nothing when structured.
  void PrintTable(const Columns& columns, const std::vector<Cells>& rows);
  void PrintLine(std::string_view line);

  // For what is no protobuf message; REQUIRES: structured().
  std::unique_ptr<DocumentWriter> NewDocument() const;

 private:
  std::ostream& out_;
  const OutputFormat format_;
  Columns columns_;
  std::vector<Cells> rows_;
  std::unique_ptr<DocumentWriter> list_;
};

}  // namespace kafed::cli
