// kafed_demo: the producers, agents and the checker of ./dev demo.
#include <CLI/CLI.hpp>

#include "absl/synchronization/mutex.h"
#include "tests/demo/commands.h"

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  using namespace kafed::demo;  // NOLINT: the commands
  CLI::App app{"The processes of the kafed demo"};
  app.require_subcommand(1);

  ProduceOptions produce;
  CLI::App* produce_app = app.add_subcommand("produce", "Run one producer");
  produce_app->add_option("--server", produce.server)->required();
  produce_app->add_option("--folder", produce.folder)->required();
  produce_app->add_option("--name", produce.name)->required();
  produce_app->add_option("--seconds", produce.seconds);
  produce_app->add_option("--rate", produce.rate);
  produce_app->add_option("--padding", produce.padding);
  produce_app->add_option("--repeats", produce.repeats);

  AgentOptions agents;
  CLI::App* agents_app = app.add_subcommand("agents", "Run all agents");
  agents_app->add_option("--server", agents.server)->required();
  agents_app->add_option("--folder", agents.folder)->required();
  agents_app->add_option("--real", agents.real);
  agents_app->add_option("--workers", agents.workers);

  CheckOptions check;
  CLI::App* check_app = app.add_subcommand("check", "Check what happened");
  check_app->add_option("--folder", check.folder)->required();
  check_app->add_option("--kafka", check.kafka);
  check_app->add_option("--sub-clusters", check.sub_clusters);
  check_app->add_option("--hosts", check.hosts);
  check_app->add_option("--agents-real", check.agents_real);
  check_app->add_option("--agents-shared", check.agents_shared);

  CLI11_PARSE(app, argc, argv);
  if (produce_app->parsed()) return Produce(produce);
  if (agents_app->parsed()) return RunAgents(agents);
  return Check(check);
}
