// Command: one noun or verb of the command line, without CLI11 in sight.
//
// A noun's file adds its verbs to the root, says what each takes and where the
// values go, and gives the body to run:
//
//   auto request = std::make_shared<v1::CreateVpcRequest>();
//   Command create = vpc.Verb("create", "Create a VPC");
//   create.Positional("ID", "Id of the VPC", Into(request->mutable_id()));
//   create.Option("--region", "REGION", "...", Into(...));
//   create.Changes();
//   create.Runs([request](Invocation* run) { return run->Change(&*request); });
//
// CLI11 takes long to compile: it is included by command.cc only.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/invocation.h"

namespace kafed::cli {

// Takes the text of one option or argument; called once for each.
using Setter = std::function<absl::Status(const std::string&)>;

Setter Into(std::string* text);
Setter Into(std::vector<std::string>* list);
// Also takes several separated by commas.
Setter Into(google::protobuf::RepeatedPtrField<std::string>* list);
Setter Number32(std::function<void(uint32_t)> set);
// From `low` on.
Setter Number32From(uint32_t low, std::function<void(uint32_t)> set);
Setter Number64(std::function<void(uint64_t)> set);
Setter Number64From(uint64_t low, std::function<void(uint64_t)> set);
Setter Duration(std::function<void(milliseconds)> set);
// One of these words, by its index.
Setter Choice(std::vector<std::string> words, std::function<void(size_t)> set);

using Body = std::function<absl::Status(Invocation*)>;

class CommandTree;

class Command {
 public:
  Command Noun(const char* name, const char* description);
  Command Verb(const char* name, const char* description);

  enum class Count { kOne, kOptional, kMany };
  Command& Positional(const char* name, const char* description, Setter set,
                      Count count = Count::kOne);
  enum class Need { kOptional, kRequired };
  // `flags`: "--name" or "-n,--name". May be given several times.
  Command& Option(const char* flags, const char* value, const char* description,
                  Setter set, Need need = Need::kOptional);
  Command& Flag(const char* flags, const char* description, bool* value);
  Command& Flag(const char* flags, const char* description,
                std::function<void()> set);
  // It changes something: --dry-run and --request-id.
  Command& Changes();
  // It ends something: also --yes.
  Command& Destroys();
  void Runs(Body body);

 private:
  friend class CommandTree;
  Command(CommandTree* tree, void* app) : tree_(tree), app_(app) {}

  CommandTree* tree_;
  void* app_;  // CLI::App
};

// The whole command line. Parse once.
class CommandTree {
 public:
  CommandTree(const char* name, const char* description, const char* version);
  ~CommandTree();
  CommandTree(const CommandTree&) = delete;
  CommandTree& operator=(const CommandTree&) = delete;

  Command root();

  // Runs what `arguments` ask for: 0 ok, 1 it failed, 2 wrong usage.
  int Run(std::vector<std::string> arguments, const Streams& streams);

  // The reference page of all commands, in Markdown.
  std::string Reference() const;
  // "cluster add", ...
  std::vector<std::string> Paths() const;

 private:
  friend class Command;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kafed::cli
