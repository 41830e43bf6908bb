// The whole command line, put together.
#include "cli/commands.h"

namespace kafed::cli {

std::unique_ptr<CommandTree> MakeCommandTree() {
  auto tree = std::make_unique<CommandTree>("kafedctl",
                                            "Operates a kafed metadata cluster",
                                            "kafedctl " KAFED_VERSION);
  const Command root = tree->root();
  AddClusterCommands(root);
  AddTopicCommands(root);
  AddHostCommands(root);
  AddVpcCommands(root);
  AddResourceCommands(root);
  AddInstanceCommands(root);
  AddSessionCommands(root);
  AddRouteCommands(root);
  AddEventsCommand(root);
  AddSnapshotCommands(root);
  AddNodeCommands(root);
  AddLogCommands(root);
  AddUpgradeCommands(root);
  AddStatusCommand(root);
  AddProduceCommand(root);
  AddConsumeCommand(root);
  tree->root()
      .Verb("version", "Print the version of kafedctl")
      .Runs([](Invocation* run) {
        if (run->printer().structured()) {
          const auto document = run->printer().NewDocument();
          document->BeginObject();
          document->Key("version");
          document->Text(KAFED_VERSION);
          document->EndObject();
          document->EndDocument();
        }
        run->printer().PrintLine("kafedctl " KAFED_VERSION);
        return absl::OkStatus();
      });
  tree->root()
      .Verb("reference", "Print the reference page of all commands")
      .Runs([it = tree.get()](Invocation* run) {
        *run->streams().out << it->Reference();
        return absl::OkStatus();
      });
  return tree;
}

}  // namespace kafed::cli
