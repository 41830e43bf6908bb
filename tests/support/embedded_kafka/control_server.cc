#include "tests/support/embedded_kafka/control_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace kafed::tests {
namespace {

constexpr size_t kMaxLine = 4096;

absl::Status SystemError(const std::string& what) {
  return absl::UnavailableError(what + ": " + std::strerror(errno));
}

// An address for `path`; empty family if it does not fit.
sockaddr_un Address(const std::string& path) {
  sockaddr_un address{};
  if (path.size() < sizeof(address.sun_path)) {
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
  }
  return address;
}

std::string Answer(const absl::Status& status) {
  if (status.ok()) return "OK\n";
  if (absl::IsAlreadyExists(status)) return "EXISTS\n";
  return "ERROR " + std::string(status.message()) + "\n";
}

bool ParseInt(const std::string& text, int* value) {
  return absl::SimpleAtoi(text, value);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Listen(
    const std::string& path, MockCluster* cluster) {
  const sockaddr_un address = Address(path);
  if (path.empty() || address.sun_family != AF_UNIX) {
    return absl::InvalidArgumentError(
        "--control: a path of 1 to 107 bytes, not '" + path + "'");
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return SystemError("socket");
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  // Nobody answers at a socket that a killed process left behind.
  if (connect(fd, raw, sizeof(address)) == 0) {
    close(fd);
    return absl::AlreadyExistsError("--control: '" + path + "' is in use");
  }
  if (errno == ECONNREFUSED) unlink(path.c_str());
  if (bind(fd, raw, sizeof(address)) != 0 || listen(fd, 64) != 0) {
    absl::Status status = SystemError("--control: '" + path + "'");
    close(fd);
    return status;
  }
  return std::unique_ptr<ControlServer>(new ControlServer(path, fd, cluster));
}

ControlServer::~ControlServer() {
  for (auto& [fd, client] : clients_) close(fd);
  close(fd_);
  unlink(path_.c_str());
}

absl::Status ControlServer::Run(int stop_fd) {
  while (!quit_) {
    std::vector<pollfd> fds = {{stop_fd, POLLIN, 0}, {fd_, POLLIN, 0}};
    for (const auto& [fd, client] : clients_) {
      const short events = client.output.empty() ? POLLIN : POLLOUT;
      fds.push_back({fd, events, 0});
    }
    if (poll(fds.data(), fds.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return SystemError("poll");
    }
    if (fds[0].revents != 0) break;
    if (fds[1].revents != 0) Accept();
    for (size_t i = 2; i < fds.size(); ++i) {
      if (fds[i].revents == 0) continue;
      Client& client = clients_[fds[i].fd];
      const bool stays = (fds[i].events & POLLOUT) != 0
                             ? Send(fds[i].fd, client)
                             : Receive(fds[i].fd, client);
      if (stays) continue;
      close(fds[i].fd);
      clients_.erase(fds[i].fd);
    }
  }
  return absl::OkStatus();
}

void ControlServer::Accept() {
  const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd >= 0) clients_[fd];
}

bool ControlServer::Receive(int fd, Client& client) {
  std::array<char, 4096> buffer{};
  const ssize_t count = recv(fd, buffer.data(), buffer.size(), 0);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) return false;
  client.input.append(buffer.data(), static_cast<size_t>(count));
  size_t end = 0;
  while ((end = client.input.find('\n')) != std::string::npos) {
    client.output += Execute(std::string_view(client.input).substr(0, end));
    client.input.erase(0, end + 1);
  }
  if (client.input.size() > kMaxLine) return false;
  return Send(fd, client);
}

bool ControlServer::Send(int fd, Client& client) {
  if (client.output.empty()) return true;
  const ssize_t count =
      send(fd, client.output.data(), client.output.size(), MSG_NOSIGNAL);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  client.output.erase(0, static_cast<size_t>(count));
  return true;
}

std::string ControlServer::Execute(std::string_view line) {
  const std::vector<std::string> words = absl::StrSplit(
      absl::string_view(line.data(), line.size()), ' ', absl::SkipEmpty());
  if (words.empty()) return "ERROR no command\n";
  const std::string& verb = words[0];
  int first = 0;
  int second = 0;
  if (verb == "CREATE" && words.size() == 3 && ParseInt(words[2], &first)) {
    return Answer(cluster_->Create(words[1], first));
  }
  if (verb == "LIST" && words.size() == 1) {
    std::string answer;
    for (const auto& [topic, partitions] : cluster_->topics()) {
      answer += "TOPIC " + topic + " " + std::to_string(partitions) + "\n";
    }
    return answer + "END\n";
  }
  if (verb == "ID" && words.size() == 1) {
    return "OK " + cluster_->cluster_id() + "\n";
  }
  if (verb == "DOWN" && words.size() == 2 && ParseInt(words[1], &first)) {
    return Answer(cluster_->SetDown(first));
  }
  if (verb == "UP" && words.size() == 2 && ParseInt(words[1], &first)) {
    return Answer(cluster_->SetUp(first));
  }
  if (verb == "RTT" && words.size() == 3 && ParseInt(words[1], &first) &&
      ParseInt(words[2], &second)) {
    return Answer(cluster_->SetRoundTripMs(first, second));
  }
  if (verb == "QUIT" && words.size() == 1) {
    quit_ = true;
    return "OK\n";
  }
  return "ERROR command: CREATE <topic> <partitions>, LIST, ID, "
         "DOWN <broker>, UP <broker>, RTT <broker> <milliseconds> or QUIT\n";
}

}  // namespace kafed::tests
