#include "controller/kafka/control_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include "common/status_macros.h"

namespace kafed::controller {
namespace {

// One connection to the pipe, with a deadline for all that is done on it.
class Connection {
 public:
  explicit Connection(milliseconds timeout)
      : deadline_(RealClock().Steady() + timeout) {}
  ~Connection() {
    if (fd_ >= 0) close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  absl::Status Open(const std::string& path) {
    sockaddr_un address{};
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
      return absl::FailedPreconditionError(
          "admin: embedded:PATH needs a path of 1 to 107 bytes");
    }
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0 || connect(fd_, reinterpret_cast<const sockaddr*>(&address),
                           sizeof(address)) != 0) {
      return absl::UnavailableError("embedded Kafka at " + path + ": " +
                                    std::strerror(errno));
    }
    return absl::OkStatus();
  }

  absl::Status Send(std::string_view text) {
    while (!text.empty()) {
      RETURN_IF_ERROR(Await(POLLOUT));
      const ssize_t sent =
          send(fd_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (sent < 0) return Gone();
      text.remove_prefix(static_cast<size_t>(sent));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> ReadLine() {
    size_t end = 0;
    while ((end = input_.find('\n')) == std::string::npos) {
      RETURN_IF_ERROR(Await(POLLIN));
      std::array<char, 4096> buffer{};
      const ssize_t count =
          recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (count <= 0) return Gone();
      input_.append(buffer.data(), static_cast<size_t>(count));
    }
    std::string line = input_.substr(0, end);
    input_.erase(0, end + 1);
    return line;
  }

 private:
  static absl::Status Gone() {
    return absl::UnavailableError("the embedded Kafka closed its control pipe");
  }

  absl::Status Await(short events) {
    while (true) {
      const auto left = (deadline_ - RealClock().Steady()).count();
      pollfd poll_fd{fd_, events, 0};
      const int ready =
          poll(&poll_fd, 1, static_cast<int>(std::max<int64_t>(left, 0)));
      if (ready > 0) return absl::OkStatus();
      if (ready == 0) {
        return absl::DeadlineExceededError(
            "the embedded Kafka does not answer on its control pipe");
      }
      if (errno != EINTR) return Gone();
    }
  }

  const milliseconds deadline_;
  int fd_ = -1;
  std::string input_;
};

}  // namespace

absl::StatusOr<std::vector<std::string>> ControlSocket::Ask(
    const std::vector<std::string>& lines, milliseconds timeout) const {
  Connection connection(timeout);
  RETURN_IF_ERROR(connection.Open(path_));
  std::vector<std::string> answers;
  for (const std::string& line : lines) {
    RETURN_IF_ERROR(connection.Send(line + "\n"));
    ASSIGN_OR_RETURN(std::string answer, connection.ReadLine());
    answers.push_back(std::move(answer));
  }
  return answers;
}

absl::StatusOr<std::vector<std::string>> ControlSocket::AskList(
    const std::string& line, milliseconds timeout) const {
  Connection connection(timeout);
  RETURN_IF_ERROR(connection.Open(path_));
  RETURN_IF_ERROR(connection.Send(line + "\n"));
  std::vector<std::string> lines;
  while (true) {
    ASSIGN_OR_RETURN(std::string answer, connection.ReadLine());
    if (answer == "END") return lines;
    if (answer.starts_with("ERROR")) return absl::InternalError(answer);
    lines.push_back(std::move(answer));
  }
}

}  // namespace kafed::controller
