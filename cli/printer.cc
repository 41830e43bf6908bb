#include "cli/printer.h"

#include <algorithm>
#include <cstdint>

namespace kafed::cli {
namespace {

// Characters, not bytes, of UTF-8 text.
size_t WidthOf(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(),
      [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

std::string Padded(std::string_view text, size_t width) {
  std::string padded(text);
  padded.append(width - std::min(width, WidthOf(text)), ' ');
  return padded;
}

}  // namespace

void Printer::BeginList(Columns columns) {
  columns_ = std::move(columns);
  rows_.clear();
  if (!structured()) return;
  list_ = NewDocument();
  list_->BeginArray();
}

void Printer::Add(const google::protobuf::Message& item, Cells cells) {
  if (list_) {
    WriteMessage(item, Defaults::kWrite, list_.get());
  } else {
    rows_.push_back(std::move(cells));
  }
}

void Printer::SortRows() { std::sort(rows_.begin(), rows_.end()); }

void Printer::EndList() {
  if (list_) {
    list_->EndArray();
    list_->EndDocument();
    list_.reset();
  } else {
    PrintTable(columns_, rows_);
  }
  rows_.clear();
}

void Printer::PrintMessage(const google::protobuf::Message& message,
                           const Fields& fields) {
  if (structured()) {
    const auto document = NewDocument();
    WriteMessage(message, Defaults::kWrite, document.get());
    document->EndDocument();
    return;
  }
  size_t width = 0;
  for (const auto& [name, value] : fields) {
    width = std::max(width, WidthOf(name));
  }
  for (const auto& [name, value] : fields) {
    out_ << Padded(name + ":", width + 2) << value << '\n';
  }
}

void Printer::PrintTable(const Columns& columns,
                         const std::vector<Cells>& rows) {
  if (structured()) return;
  std::vector<size_t> shown;
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].width == Column::kWide && !wide()) continue;
    size_t width = WidthOf(columns[i].title);
    for (const Cells& row : rows) width = std::max(width, WidthOf(row[i]));
    shown.push_back(i);
    widths.push_back(width);
  }
  const auto print = [&](const auto& cell_of) {
    std::string line;
    for (size_t i = 0; i < shown.size(); ++i) {
      const std::string& cell = cell_of(shown[i]);
      line += Padded(cell.empty() ? "-" : cell, widths[i] + 3);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out_ << line << '\n';
  };
  print([&](size_t i) -> const std::string& { return columns[i].title; });
  for (const Cells& row : rows) {
    print([&](size_t i) -> const std::string& { return row[i]; });
  }
}

void Printer::PrintLine(std::string_view line) {
  if (!structured()) out_ << line << '\n';
}

std::unique_ptr<DocumentWriter> Printer::NewDocument() const {
  return format_ == OutputFormat::kYaml
             ? MakeYamlWriter(&out_)
             : MakeJsonWriter(&out_, JsonStyle::kIndented);
}

}  // namespace kafed::cli
