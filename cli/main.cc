// kafedctl: the command line of a kafed metadata cluster.
#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "cli/commands.h"

int main(int argc, char** argv) {
  // Debian's Abseil is a debug-assert build: its deadlock detector costs time.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  std::ios::sync_with_stdio(false);
  kafed::cli::Streams streams;
  streams.in = &std::cin;
  streams.in_file = STDIN_FILENO;
  streams.out = &std::cout;
  streams.error = &std::cerr;
  streams.progress = isatty(STDERR_FILENO) != 0;
  streams.asks = streams.progress && isatty(STDIN_FILENO) != 0;
  const auto tree = kafed::cli::MakeCommandTree();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const int code = tree->Run(arguments, streams);
  std::cout.flush();
  // What could not be written must not look like success.
  return code == 0 && !std::cout ? 1 : code;
}
