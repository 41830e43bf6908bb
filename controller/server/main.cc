// kafed: one node of the metadata cluster.
#include <pthread.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

#include "absl/synchronization/mutex.h"
#include "common/log.h"
#include "controller/server/config.h"
#include "controller/server/node.h"
#include "controller/server/node_metrics.h"
#include "controller/version.h"

namespace kafed::controller {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

LogLevel LevelOf(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warning") return LogLevel::kWarning;
  if (name == "error") return LogLevel::kError;
  return LogLevel::kInfo;
}

int Serve(const std::string& file,
          const std::map<std::string, std::string>& flags) {
  const auto config = LoadConfig(file, EnvironmentProperties(), flags);
  if (!config.ok()) {
    std::fprintf(stderr, "kafed: %s\n",
                 std::string(config.status().message()).c_str());
    return kExitUsage;
  }
  SetUpLogging(LevelOf(config->log_level), config->log_format == "json");
  // Blocked before any thread is made, so that sigwait below gets them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto node = Node::Start(*config);
  if (!node.ok()) {
    std::fprintf(stderr, "kafed: %s\n",
                 std::string(node.status().message()).c_str());
    return kExitFailed;
  }
  std::printf("listening on %s\n", (*node)->address().c_str());
  if (!(*node)->http_address().empty()) {
    std::printf("http on %s\n", (*node)->http_address().c_str());
  }
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  LogInfo("stopping", {{"signal", signal}});
  (*node)->Stop();
  return 0;
}

int Main(int argc, char** argv) {
  CLI::App app{"kafed, a federated Kafka metadata controller"};
  app.set_version_flag("--version", std::string("kafed ") + kVersion);
  app.require_subcommand(1);
  CLI::App* serve = app.add_subcommand("serve", "Run a node");
  std::string file;
  serve->add_option("--config", file, "YAML file of properties");
  std::map<std::string, std::string> values;
  for (const Property& property : Properties()) {
    std::string flag = "--" + property.name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    serve->add_option(flag, values[property.name], property.meaning)
        ->type_name(property.type);
  }
  CLI::App* config = app.add_subcommand("config", "About the configuration");
  config->require_subcommand(1);
  CLI::App* config_reference =
      config->add_subcommand("reference", "Print the reference page");
  CLI::App* metrics = app.add_subcommand("metrics", "About the metrics");
  metrics->require_subcommand(1);
  CLI::App* metrics_reference =
      metrics->add_subcommand("reference", "Print the reference page");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return kExitUsage;
  }
  if (config_reference->parsed()) {
    std::fputs(ConfigReference().c_str(), stdout);
    return 0;
  }
  if (metrics_reference->parsed()) {
    std::fputs(NodeMetrics({}).Reference().c_str(), stdout);
    return 0;
  }
  std::map<std::string, std::string> flags;
  for (const auto& [name, value] : values) {
    std::string flag = "--" + name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    if (serve->get_option(flag)->count() > 0) flags[name] = value;
  }
  return Serve(file, flags);
}

}  // namespace
}  // namespace kafed::controller

int main(int argc, char** argv) {
  // Debian's Abseil is a debug-assert build: its deadlock detector costs 10 to
  // 30 % of the call rate.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return kafed::controller::Main(argc, argv);
}
