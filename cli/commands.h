// All nouns of kafedctl; one file each.
#pragma once

#include "cli/command.h"

namespace kafed::cli {

void AddClusterCommands(Command root);
void AddTopicCommands(Command root);
void AddHostCommands(Command root);
void AddVpcCommands(Command root);
void AddResourceCommands(Command root);
void AddInstanceCommands(Command root);
void AddSessionCommands(Command root);
void AddRouteCommands(Command root);
void AddEventsCommand(Command root);
void AddSnapshotCommands(Command root);
void AddNodeCommands(Command root);
void AddLogCommands(Command root);
void AddUpgradeCommands(Command root);
void AddStatusCommand(Command root);
void AddProduceCommand(Command root);
void AddConsumeCommand(Command root);

// The root with everything, ready to run.
std::unique_ptr<CommandTree> MakeCommandTree();

}  // namespace kafed::cli
