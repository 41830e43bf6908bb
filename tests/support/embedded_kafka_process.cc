#include "tests/support/embedded_kafka_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace kafed::tests {
namespace {

absl::Status SystemError(const char* what) {
  return absl::UnavailableError(std::string(what) + ": " +
                                std::strerror(errno));
}

// The next line of a pipe, without its newline.
absl::StatusOr<std::string> ReadLineFrom(int fd) {
  std::string line;
  char c = 0;
  while (true) {
    const ssize_t count = read(fd, &c, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      return absl::UnavailableError("embedded_kafka ended at its start");
    }
    if (c == '\n') return line;
    line += c;
  }
}

[[noreturn]] void Exec(int output, const std::string& brokers,
                       const std::string& control, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  dup2(output, STDOUT_FILENO);
  execl(KAFED_EMBEDDED_KAFKA, "embedded_kafka", "--brokers", brokers.c_str(),
        "--control", control.c_str(), "--own-folder", nullptr);
  _exit(127);
}

}  // namespace

absl::StatusOr<std::unique_ptr<EmbeddedKafkaProcess>>
EmbeddedKafkaProcess::Start(int brokers) {
  auto result =
      std::unique_ptr<EmbeddedKafkaProcess>(new EmbeddedKafkaProcess());
  // Not TMPDIR: a socket's path has room for 107 bytes only.
  std::array<char, 32> folder{"/tmp/kafed-mock-XXXXXX"};
  if (mkdtemp(folder.data()) == nullptr) return SystemError("mkdtemp");
  result->folder_ = folder.data();
  result->control_path_ = result->folder_ + "/control";
  std::array<int, 2> output{};
  if (pipe2(output.data(), O_CLOEXEC) != 0) return SystemError("pipe");
  const std::string count = std::to_string(brokers);
  const pid_t self = getpid();
  const pid_t pid = fork();
  if (pid == 0) Exec(output[1], count, result->control_path_, self);
  close(output[1]);
  result->pid_ = pid;
  absl::StatusOr<std::string> line =
      pid < 0 ? SystemError("fork") : ReadLineFrom(output[0]);
  close(output[0]);
  if (!line.ok()) return line.status();
  result->bootstrap_ = *line;
  absl::Status connected = result->Connect();
  if (!connected.ok()) return connected;
  return result;
}

EmbeddedKafkaProcess::~EmbeddedKafkaProcess() {
  Kill();
  if (folder_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

absl::Status EmbeddedKafkaProcess::Connect() {
  control_fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (control_fd_ < 0) return SystemError("socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, control_path_.data(), control_path_.size());
  if (connect(control_fd_, reinterpret_cast<sockaddr*>(&address),
              sizeof(address)) != 0) {
    return SystemError("connect");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> EmbeddedKafkaProcess::ReadLine() {
  size_t end = 0;
  while ((end = input_.find('\n')) == std::string::npos) {
    std::array<char, 4096> buffer{};
    const ssize_t count = read(control_fd_, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return absl::UnavailableError("embedded_kafka is gone");
    input_.append(buffer.data(), static_cast<size_t>(count));
  }
  std::string line = input_.substr(0, end);
  input_.erase(0, end + 1);
  return line;
}

absl::StatusOr<std::string> EmbeddedKafkaProcess::Command(
    const std::string& line) {
  const std::string text = line + "\n";
  const ssize_t sent =
      send(control_fd_, text.data(), text.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(text.size())) {
    return absl::UnavailableError("embedded_kafka is gone");
  }
  return ReadLine();
}

absl::Status EmbeddedKafkaProcess::Expect(const std::string& command) {
  absl::StatusOr<std::string> answer = Command(command);
  if (!answer.ok()) return answer.status();
  if (*answer == "OK") return absl::OkStatus();
  if (*answer == "EXISTS") return absl::AlreadyExistsError(command);
  return absl::FailedPreconditionError(command + ": " + *answer);
}

absl::StatusOr<std::string> EmbeddedKafkaProcess::ClusterId() {
  absl::StatusOr<std::string> answer = Command("ID");
  if (!answer.ok()) return answer;
  return answer->substr(std::strlen("OK "));
}

absl::Status EmbeddedKafkaProcess::Create(const std::string& topic,
                                          int partitions) {
  return Expect("CREATE " + topic + " " + std::to_string(partitions));
}

absl::StatusOr<std::map<std::string, int>> EmbeddedKafkaProcess::List() {
  std::map<std::string, int> topics;
  absl::StatusOr<std::string> line = Command("LIST");
  for (; line.ok() && *line != "END"; line = ReadLine()) {
    const std::vector<std::string> words = absl::StrSplit(*line, ' ');
    int partitions = 0;
    if (words.size() != 3 || words[0] != "TOPIC" ||
        !absl::SimpleAtoi(words[2], &partitions)) {
      return absl::InternalError("LIST answered: " + *line);
    }
    topics[words[1]] = partitions;
  }
  if (!line.ok()) return line.status();
  return topics;
}

absl::Status EmbeddedKafkaProcess::SetDown(int broker) {
  return Expect("DOWN " + std::to_string(broker));
}

absl::Status EmbeddedKafkaProcess::SetUp(int broker) {
  return Expect("UP " + std::to_string(broker));
}

absl::Status EmbeddedKafkaProcess::SetRoundTripMs(int broker,
                                                  int round_trip_ms) {
  return Expect("RTT " + std::to_string(broker) + " " +
                std::to_string(round_trip_ms));
}

void EmbeddedKafkaProcess::Kill() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }
  if (control_fd_ >= 0) close(control_fd_);
  control_fd_ = -1;
}

void EmbeddedKafkaProcess::Pause() {
  kill(pid_, SIGSTOP);
  // A signal is on its way until the last thread has stopped: until then the
  // process may still answer.
  int status = 0;
  while (waitpid(pid_, &status, WUNTRACED) < 0 && errno == EINTR) {
  }
}
void EmbeddedKafkaProcess::Resume() { kill(pid_, SIGCONT); }

}  // namespace kafed::tests
