// Starts the embedded_kafka program and speaks to its control pipe.
//
//   ASSERT_OK_AND_ASSIGN(auto kafka, EmbeddedKafkaProcess::Start(3));
//   kafka->Create("nca.g1.0", 50);
//   config["bootstrap.servers"] = kafka->bootstrap();
//
// The process dies with this object, and with the thread that started it: start
// it from the test's main thread. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kafed::tests {

class EmbeddedKafkaProcess {
 public:
  // REQUIRES: brokers from 1 to 16.
  static absl::StatusOr<std::unique_ptr<EmbeddedKafkaProcess>> Start(
      int brokers = 1);
  ~EmbeddedKafkaProcess();
  EmbeddedKafkaProcess(const EmbeddedKafkaProcess&) = delete;
  EmbeddedKafkaProcess& operator=(const EmbeddedKafkaProcess&) = delete;

  const std::string& bootstrap() const { return bootstrap_; }
  const std::string& control_path() const { return control_path_; }
  pid_t pid() const { return pid_; }

  absl::StatusOr<std::string> ClusterId();

  // AlreadyExists if it was created before; FailedPrecondition for any other
  // refusal, with the program's text.
  absl::Status Create(const std::string& topic, int partitions);

  // Partitions by topic name.
  absl::StatusOr<std::map<std::string, int>> List();

  absl::Status SetDown(int broker);
  absl::Status SetUp(int broker);
  absl::Status SetRoundTripMs(int broker, int round_trip_ms);

  // The first line of the answer to any command; Unavailable if the process
  // does not answer.
  absl::StatusOr<std::string> Command(const std::string& line);

  // SIGKILL, and waits for the end. Every broker is gone then.
  void Kill();
  // SIGSTOP and SIGCONT: connections stay, nothing answers.
  void Pause();
  void Resume();

 private:
  EmbeddedKafkaProcess() = default;
  absl::Status Connect();
  absl::StatusOr<std::string> ReadLine();
  absl::Status Expect(const std::string& command);

  std::string folder_;
  std::string control_path_;
  std::string bootstrap_;
  std::string input_;
  pid_t pid_ = -1;
  int control_fd_ = -1;
};

}  // namespace kafed::tests
