// ControlSocket: the control pipe of an embedded Kafka, from the outside.
//
// A line out, lines back; the commands are listed where the program is
// (tests/support/embedded_kafka). Each call connects anew, so that a program
// that was started again is found. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"

namespace kafed::controller {

class ControlSocket {
 public:
  explicit ControlSocket(std::string path) : path_(std::move(path)) {}

  // Sends the lines and returns as many answers, one line each. Unavailable
  // where nobody listens, DeadlineExceeded where nobody answers.
  absl::StatusOr<std::vector<std::string>> Ask(
      const std::vector<std::string>& lines, milliseconds timeout) const;

  // Sends one line and returns the lines of its answer before "END".
  absl::StatusOr<std::vector<std::string>> AskList(const std::string& line,
                                                   milliseconds timeout) const;

 private:
  const std::string path_;
};

}  // namespace kafed::controller
