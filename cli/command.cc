#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "cli/text.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

CLI::App* AppOf(void* app) { return static_cast<CLI::App*>(app); }

std::string MessageOf(const absl::Status& status) {
  return std::string(status.message());
}

// Turns a setter into what CLI11 calls with all values of an option.
CLI::callback_t CallbackOf(const std::string& name, Setter set) {
  return [name, set = std::move(set)](const CLI::results_t& values) {
    for (const std::string& value : values) {
      const absl::Status status = set(value);
      if (!status.ok()) throw CLI::ValidationError(name, MessageOf(status));
    }
    return true;
  };
}

Setter OutputSetter(OutputFormat* format) {
  return Choice({"table", "wide", "json", "yaml"},
                [format](size_t i) { *format = static_cast<OutputFormat>(i); });
}

std::string PathOf(const CLI::App* app) {
  if (app->get_parent() == nullptr) return app->get_name();
  return PathOf(app->get_parent()) + " " + app->get_name();
}

}  // namespace

Setter Into(std::string* text) {
  return [text](const std::string& value) {
    *text = value;
    return absl::OkStatus();
  };
}

Setter Into(std::vector<std::string>* list) {
  return [list](const std::string& value) {
    list->push_back(value);
    return absl::OkStatus();
  };
}

Setter Into(google::protobuf::RepeatedPtrField<std::string>* list) {
  return [list](const std::string& value) {
    for (std::string& part : SplitList(value, ',')) {
      *list->Add() = std::move(part);
    }
    return absl::OkStatus();
  };
}

Setter Number32(std::function<void(uint32_t)> set) {
  return Number32From(0, std::move(set));
}

Setter Number64(std::function<void(uint64_t)> set) {
  return Number64From(0, std::move(set));
}

Setter Number32From(uint32_t low, std::function<void(uint32_t)> set) {
  return [low, set = std::move(set)](const std::string& value) -> absl::Status {
    const auto number = ParseNumber(value, UINT32_MAX, low);
    if (number.ok()) set(static_cast<uint32_t>(*number));
    return number.status();
  };
}

Setter Number64From(uint64_t low, std::function<void(uint64_t)> set) {
  return [low, set = std::move(set)](const std::string& value) -> absl::Status {
    const auto number = ParseNumber(value, UINT64_MAX, low);
    if (number.ok()) set(*number);
    return number.status();
  };
}

Setter Duration(std::function<void(milliseconds)> set) {
  return [set = std::move(set)](const std::string& value) -> absl::Status {
    const auto duration = ParseDuration(value);
    if (duration.ok()) set(*duration);
    return duration.status();
  };
}

Setter Choice(std::vector<std::string> words, std::function<void(size_t)> set) {
  return [words = std::move(words),
          set = std::move(set)](const std::string& value) -> absl::Status {
    for (size_t i = 0; i < words.size(); ++i) {
      if (words[i] != value) continue;
      set(i);
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        "'" + value + "' is not known; expected " + Join(words, ", "));
  };
}

struct CommandTree::State {
  explicit State(const char* description) : app(description, "kafedctl") {}

  CLI::App app;
  GlobalOptions options;
  std::unordered_map<const CLI::App*, Body> bodies;
};

Command Command::Noun(const char* name, const char* description) {
  CLI::App* app = AppOf(app_)->add_subcommand(name, description);
  app->require_subcommand(1);
  return {tree_, app};
}

Command Command::Verb(const char* name, const char* description) {
  return {tree_, AppOf(app_)->add_subcommand(name, description)};
}

Command& Command::Positional(const char* name, const char* description,
                             Setter set, Count count) {
  CLI::Option* option = AppOf(app_)->add_option(
      name, CallbackOf(name, std::move(set)), description);
  option->type_name("");
  if (count == Count::kMany) {
    option->expected(1, CLI::detail::expected_max_vector_size);
    option->allow_extra_args();
  } else {
    option->expected(1);
  }
  if (count != Count::kOptional) option->required();
  return *this;
}

Command& Command::Option(const char* flags, const char* value,
                         const char* description, Setter set, Need need) {
  const std::string name = SplitList(flags, ',').back();
  CLI::Option* option = AppOf(app_)->add_option(
      flags, CallbackOf(name, std::move(set)), description);
  // One value each time, so that it may stand before an argument.
  option->type_name(value)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  if (need == Need::kRequired) option->required();
  return *this;
}

Command& Command::Flag(const char* flags, const char* description,
                       bool* value) {
  return Flag(flags, description, [value] { *value = true; });
}

Command& Command::Flag(const char* flags, const char* description,
                       std::function<void()> set) {
  AppOf(app_)->add_flag_callback(flags, std::move(set), description);
  return *this;
}

Command& Command::Changes() {
  GlobalOptions* options = &tree_->state_->options;
  Flag("--dry-run", "Check and say what would change; change nothing",
       &options->dry_run);
  return Option("--request-id", "HEX",
                "UUIDv7 of the request; the same id changes nothing twice "
                "(default: a new one)",
                [options](const std::string& text) -> absl::Status {
                  const auto id = ParseRequestIdText(text);
                  if (id.ok()) options->request_id = AsBytes(*id);
                  return id.status();
                });
}

Command& Command::Destroys() {
  Changes();
  return Flag("-y,--yes", "Do not ask", &tree_->state_->options.yes);
}

void Command::Runs(Body body) {
  tree_->state_->bodies[AppOf(app_)] = std::move(body);
}

CommandTree::CommandTree(const char* name, const char* description,
                         const char* version)
    : state_(std::make_unique<State>(description)) {
  CLI::App& app = state_->app;
  app.name(name);
  app.set_version_flag("--version", std::string(version),
                       "Print the version and exit");
  app.require_subcommand(1);
  // Global options may stand behind the verb.
  app.fallthrough();
  app.get_formatter()->column_width(34);
  GlobalOptions* options = &state_->options;
  Command root_command = root();
  root_command.Option(
      "--server", "HOST:PORT[,HOST:PORT...]",
      "Nodes of the metadata cluster, tried in turn: the next one where one "
      "cannot be reached or answers that it is unavailable",
      [options](const std::string& text) {
        options->servers = SplitList(text, ',');
        for (const std::string& server : options->servers) {
          RETURN_IF_ERROR(CheckAddress(server));
        }
        return options->servers.empty()
                   ? absl::InvalidArgumentError("is empty; expected HOST:PORT")
                   : absl::OkStatus();
      });
  app.get_option("--server")
      ->envname("KAFED_SERVER")
      ->default_str("127.0.0.1:7420");
  root_command.Option("-o,--output", "FORMAT", "table, wide, json or yaml",
                      OutputSetter(&options->output));
  app.get_option("--output")->default_str("table");
  root_command.Option("--timeout", "DURATION",
                      "How long to wait for an answer, such as 500ms or 10s",
                      Duration([options](milliseconds time) {
                        options->timeout = std::max(time, milliseconds(1));
                      }));
  app.get_option("--timeout")->default_str("30s");
}

CommandTree::~CommandTree() = default;

Command CommandTree::root() { return {this, &state_->app}; }

int CommandTree::Run(std::vector<std::string> arguments,
                     const Streams& streams) {
  CLI::App* app = &state_->app;
  for (const std::string& argument : arguments) {
    if (FindBadUtf8(argument) == std::string_view::npos) continue;
    *streams.error << "kafedctl: argument " << Shortened(argument)
                   << " is not UTF-8\n";
    return kExitUsage;
  }
  std::reverse(arguments.begin(), arguments.end());
  const auto deepest = [app] {
    const CLI::App* at = app;
    while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
    return at;
  };
  try {
    app->parse(std::move(arguments));
  } catch (const CLI::Success& done) {
    return app->exit(done, *streams.out, *streams.error);
  } catch (const CLI::ParseError& error) {
    // With fallthrough, words that nobody wants end at the root.
    const auto unknown = app->remaining(true);
    const bool no_command =
        !deepest()
             ->get_subcommands([](const CLI::App*) { return true; })
             .empty();
    const bool like_option = !unknown.empty() && unknown.front()[0] == '-';
    const std::string message =
        !no_command && like_option
            ? "'" + unknown.front() + "' is no option of " + PathOf(deepest()) +
                  "; names do not begin with '-'"
        : no_command && !unknown.empty()
            ? "'" + unknown.front() + "' is no command of " + PathOf(deepest())
        : no_command && dynamic_cast<const CLI::RequiredError*>(&error)
            ? "a command is missing"
            : error.what();
    *streams.error << "kafedctl: " << ForTerminal(message) << "\nSee '"
                   << PathOf(deepest()) << " --help'.\n";
    return kExitUsage;
  }
  Invocation invocation(state_->options, streams);
  const absl::Status status = state_->bodies.at(deepest())(&invocation);
  streams.out->flush();
  if (status.ok()) return 0;
  *streams.error << "kafedctl: " << ForTerminal(MessageOf(status)) << std::endl;
  return IsUsageError(status) ? kExitUsage : kExitFailed;
}

namespace {

// A cell of a Markdown table.
std::string Cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) {
    text.insert(at, "\\");
  }
  return text;
}

void AddOptions(const CLI::App* app, std::ostringstream* page) {
  bool any = false;
  for (const CLI::Option* option : app->get_options()) {
    if (option->get_name() == "--help") continue;
    if (!any) *page << "\n| option | meaning |\n| --- | --- |\n";
    any = true;
    const bool positional = option->get_positional();
    std::string name =
        positional ? option->get_name(true) : option->get_name(false, true);
    for (size_t at = 0; (at = name.find(',', at)) != std::string::npos;
         at += 2) {
      name.insert(at + 1, " ");
    }
    if (!positional && !option->get_type_name().empty()) {
      name += " " + option->get_type_name();
    }
    *page << "| `" << Cell(name) << "` | " << Cell(option->get_description());
    if (!option->get_default_str().empty()) {
      *page << " (default `" << option->get_default_str() << "`)";
    }
    if (!option->get_envname().empty()) {
      *page << "; environment: `" << option->get_envname() << "`";
    }
    if (option->get_required()) *page << "; required";
    *page << " |\n";
  }
}

void AddUsage(const CLI::App* app, std::ostringstream* page) {
  *page << "\n## " << PathOf(app) << "\n\n" << app->get_description() << ".\n";
  *page << "\n    " << PathOf(app);
  for (const CLI::Option* option : app->get_options()) {
    if (!option->get_positional()) continue;
    std::string name = option->get_name(true);
    if (option->get_expected_max() > 1) name += "...";
    *page << " " << (option->get_required() ? name : "[" + name + "]");
  }
  *page << " [OPTIONS]\n";
}

void Visit(const CLI::App* app,
           const std::function<void(const CLI::App*)>& visit) {
  const auto children =
      app->get_subcommands([](const CLI::App*) { return true; });
  if (children.empty()) visit(app);
  for (const CLI::App* child : children) Visit(child, visit);
}

}  // namespace

std::string CommandTree::Reference() const {
  std::ostringstream page;
  page << "# kafedctl\n\nGenerated by `kafedctl reference`; do not edit.\n\n"
       << state_->app.get_description()
       << ".\n\nExit codes: 0 ok, 1 the operation failed, 2 wrong usage. "
          "Errors go to stderr.\nThese options may stand anywhere:\n";
  AddOptions(&state_->app, &page);
  Visit(&state_->app, [&page](const CLI::App* app) {
    AddUsage(app, &page);
    AddOptions(app, &page);
  });
  return page.str();
}

std::vector<std::string> CommandTree::Paths() const {
  std::vector<std::string> paths;
  const size_t skip = state_->app.get_name().size() + 1;
  Visit(&state_->app, [&](const CLI::App* app) {
    paths.push_back(PathOf(app).substr(skip));
  });
  return paths;
}

}  // namespace kafed::cli
