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
#include "controller/offline/restore.h"
#include "controller/offline/verify.h"
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

int Failed(const absl::Status& status) {
  std::fprintf(stderr, "kafed: %s\n", std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailed;
}

// Log lines of the libraries beneath would only repeat what is reported.
void QuietLogging() { SetUpLogging(LogLevel::kError, false); }

int RunRestore(RestoreOptions options, const std::string& credentials) {
  QuietLogging();
  const absl::Status checked =
      CheckQuorum(options.backend, options.quorum.servers, options.quorum.path);
  if (!checked.ok()) return Failed(checked);
  auto credentials_read = ReadQuorumCredentials(credentials);
  if (!credentials_read.ok()) return Failed(credentials_read.status());
  options.quorum.credentials = *std::move(credentials_read);
  const auto report = Restore(options);
  if (!report.ok()) return Failed(report.status());
  std::printf(
      "restored %s into %s\nhosts %llu, topics %llu, sub-clusters %llu\n"
      "the new incarnation begins at %s; start it with\n"
      "  kafed serve --data-dir %s%s\n",
      ToString(report->backup).c_str(), options.directory.c_str(),
      static_cast<unsigned long long>(report->hosts),
      static_cast<unsigned long long>(report->topics),
      static_cast<unsigned long long>(report->sub_clusters),
      ToString(report->restored).c_str(), options.directory.c_str(),
      options.backend == "local"
          ? ""
          : (" --log-backend " + options.backend + " --log-servers " +
             options.quorum.servers + " --log-path " + options.quorum.path)
                .c_str());
  return 0;
}

int RunVerify(const std::string& directory, const std::string& salvage) {
  QuietLogging();
  const auto report = Verify(directory);
  if (!report.ok()) return Failed(report.status());
  std::printf(
      "node         %s\nentries      %llu read, %llu to %llu\n"
      "snapshots    %llu read\nrecoverable  up to %s\n",
      report->node_id.c_str(), static_cast<unsigned long long>(report->entries),
      static_cast<unsigned long long>(report->first_entry.value()),
      static_cast<unsigned long long>(report->last_entry.value()),
      static_cast<unsigned long long>(report->snapshots),
      ToString(report->recovered.position()).c_str());
  for (const std::string& each : report->damage) {
    std::printf("damage: %s\n", each.c_str());
  }
  if (!salvage.empty()) {
    const absl::Status saved = SaveRecovered(*report, salvage);
    if (!saved.ok()) return Failed(saved);
    std::printf(
        "saved to %s: `kafed restore --from %s --data-dir NEW` goes on "
        "from it\n",
        salvage.c_str(), salvage.c_str());
  }
  if (report->damage.empty()) {
    std::printf("ok\n");
    return 0;
  }
  if (salvage.empty()) {
    std::printf(
        "`kafed verify --data-dir %s --salvage FILE` saves what is "
        "recoverable\n",
        directory.c_str());
  }
  return kExitFailed;
}

// As kafedctl tells it: what is wrong in one line, and where to look.
int WrongUsage(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* at = &app;
  std::string path = "kafed";
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    path += " " + at->get_name();
  }
  const auto unknown = app.remaining(true);
  const bool no_command =
      !at->get_subcommands([](const CLI::App*) { return true; }).empty();
  std::string message = error.what();
  if (no_command) {
    message = unknown.empty() ? "a command is missing"
                              : "'" + unknown.front() +
                                    "' is no command or "
                                    "option of " +
                                    path;
  } else if (!unknown.empty()) {
    message = "'" + unknown.front() + "' was not expected";
  }
  std::fprintf(stderr, "kafed: %s\nSee '%s --help'.\n", message.c_str(),
               path.c_str());
  return kExitUsage;
}

void AddRestoreOptions(CLI::App* restore, RestoreOptions* options,
                       std::string* credentials) {
  restore
      ->add_option("--from", options->from,
                   "Backup, as `kafedctl snapshot save` writes it")
      ->required();
  restore
      ->add_option("--data-dir", options->directory,
                   "Folder that is new or empty")
      ->required();
  restore->add_option("--incarnation", options->incarnation,
                      "Its counter: above that of every incarnation that ever "
                      "served (the backup's plus 1)");
  restore->add_option("--log-backend", options->backend,
                      "Who keeps the log: local (default), zookeeper or etcd");
  restore->add_option("--log-servers", options->quorum.servers,
                      "HOST:PORT[,HOST:PORT...] of those servers");
  restore
      ->add_option("--log-path", options->quorum.path,
                   "Where the log will be on them; nothing is there yet")
      ->default_val("/kafed");
  restore->add_option("--log-ca-file", options->quorum.ca_file,
                      "As of a node: TLS to etcd");
  restore->add_option("--log-certificate-file",
                      options->quorum.certificate_file, "As of a node");
  restore->add_option("--log-key-file", options->quorum.key_file,
                      "As of a node");
  restore->add_option("--log-credentials", *credentials,
                      "File with user:password for them, in one line");
}

int Main(int argc, char** argv) {
  CLI::App app{"kafed, a federated Kafka metadata controller", "kafed"};
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
  RestoreOptions restore_options;
  CLI::App* restore = app.add_subcommand(
      "restore", "Make a data directory of a backup, as a new incarnation");
  std::string restore_credentials;
  AddRestoreOptions(restore, &restore_options, &restore_credentials);
  std::string verify_directory;
  std::string salvage;
  CLI::App* verify = app.add_subcommand(
      "verify",
      "Check a data directory that no node is using; changes nothing");
  verify->add_option("--data-dir", verify_directory, "The folder")->required();
  verify->add_option("--salvage", salvage,
                     "File to save what is recoverable to");
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
    return WrongUsage(app, error);
  }
  if (restore->parsed()) {
    return RunRestore(restore_options, restore_credentials);
  }
  if (verify->parsed()) return RunVerify(verify_directory, salvage);
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
