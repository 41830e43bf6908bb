#include "cli/line_source.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>

namespace kafed::cli {
namespace {

// What a signal handler may touch.
std::atomic<bool> signalled{false};
std::atomic<int> wake_file{-1};

void OnSignal(int) {
  const int former_errno = errno;
  signalled = true;
  const uint64_t one = 1;
  // Nobody could do anything about a failure here.
  [[maybe_unused]] const ssize_t written = write(wake_file, &one, sizeof one);
  errno = former_errno;
}

// One that is ignored, as in the background of a script, stays so.
void Take(int signal, const struct sigaction& action,
          struct sigaction* former) {
  sigaction(signal, nullptr, former);
  if (former->sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
}

}  // namespace

LineSource::LineSource(const Streams& streams)
    : in_(*streams.in), file_(streams.in_file) {
  if (file_ < 0) return;
  signalled = false;
  wake_file = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
  Take(SIGINT, action, &former_int_);
  Take(SIGTERM, action, &former_term_);
}

LineSource::~LineSource() {
  if (file_ < 0) return;
  sigaction(SIGINT, &former_int_, nullptr);
  sigaction(SIGTERM, &former_term_, nullptr);
  close(wake_file.exchange(-1));
}

bool LineSource::interrupted() const { return file_ >= 0 && signalled; }

bool LineSource::Next(std::string* line) {
  if (file_ < 0) return static_cast<bool>(std::getline(in_, *line));
  while (!interrupted()) {
    const size_t end = buffer_.find('\n', taken_);
    if (end != std::string::npos) {
      *line = buffer_.substr(taken_, end - taken_);
      taken_ = end + 1;
      return true;
    }
    if (Fill()) continue;
    // The last line may have no newline.
    if (interrupted() || taken_ == buffer_.size()) return false;
    *line = buffer_.substr(taken_);
    taken_ = buffer_.size();
    return true;
  }
  return false;
}

bool LineSource::Fill() {
  buffer_.erase(0, taken_);
  taken_ = 0;
  std::array<pollfd, 2> files{};
  files[0] = {file_, POLLIN, 0};
  files[1] = {wake_file, POLLIN, 0};
  while (!interrupted()) {
    if (poll(files.data(), files.size(), -1) < 0 && errno != EINTR) {
      return false;
    }
    if (interrupted() || files[0].revents == 0) continue;
    std::array<char, 64 * 1024> bytes;
    const ssize_t got = read(file_, bytes.data(), bytes.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return false;
    buffer_.append(bytes.data(), static_cast<size_t>(got));
    return true;
  }
  return false;
}

}  // namespace kafed::cli
