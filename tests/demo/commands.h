// The sub-commands of kafed_demo; each runs as a process of its own.
#pragma once

#include <string>
#include <vector>

namespace kafed::demo {

struct ProduceOptions {
  std::string server;
  std::string folder;
  std::string name;  // of the producer; names its ledgers
  double seconds = 5;
  double rate = 500;  // messages a second
  int padding = 180;  // bytes
  int repeats = 0;    // raw copies of messages, as a broken producer makes
};
int Produce(const ProduceOptions& options);

struct AgentOptions {
  std::string server;
  std::string folder;
  std::vector<std::string> real;  // hosts with a Subscriber of their own
  int workers = 3;                // of the resource topic's group
};
// Runs until SIGTERM, then until nothing more comes.
int RunAgents(const AgentOptions& options);

struct CheckOptions {
  std::string folder;
  std::string kafka = "embedded";
  int sub_clusters = 0;
  int hosts = 0;
  int agents_real = 0;
  int agents_shared = 0;
};
int Check(const CheckOptions& options);

}  // namespace kafed::demo
