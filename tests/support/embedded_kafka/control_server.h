// Serves a MockCluster's control pipe: a unix-domain socket with one command
// a line and one answer a command.
//
//   CREATE <topic> <partitions>  OK | EXISTS | ERROR <text>
//   LIST                         TOPIC <name> <partitions> ... then END
//   ID                           OK <cluster id>
//   DOWN <broker>, UP <broker>   OK | ERROR <text>
//   RTT <broker> <milliseconds>  OK | ERROR <text>
//   QUIT                         OK, then the process ends
//
// Any number of clients at once; commands are executed one after another in
// the order they arrive. One thread: the caller of Run().
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/support/embedded_kafka/mock_cluster.h"

namespace kafed::tests {

class ControlServer {
 public:
  // Listens on `path`, replacing a socket that nobody listens on any more.
  // `cluster` must outlive the server.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Listen(
      const std::string& path, MockCluster* cluster);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Until QUIT, or until `stop_fd` becomes readable.
  absl::Status Run(int stop_fd);

 private:
  struct Client {
    std::string input;
    std::string output;
  };

  ControlServer(std::string path, int fd, MockCluster* cluster)
      : path_(std::move(path)), fd_(fd), cluster_(cluster) {}

  void Accept();
  // Whether the client stays.
  bool Receive(int fd, Client& client);
  static bool Send(int fd, Client& client);
  // The answer to one line, with its newline.
  std::string Execute(std::string_view line);

  std::string path_;
  int fd_;
  MockCluster* cluster_;
  std::map<int, Client> clients_;
  bool quit_ = false;
};

}  // namespace kafed::tests
