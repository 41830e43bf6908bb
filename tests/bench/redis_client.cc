#include "tests/bench/redis_client.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace kafed::bench {
namespace {

[[noreturn]] void Die(std::string_view what) {
  std::fprintf(stderr, "redis: %.*s\n", static_cast<int>(what.size()),
               what.data());
  std::exit(1);
}

long NumberOf(std::string_view text) {
  long number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

RedisClient::RedisClient(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket_, reinterpret_cast<sockaddr*>(&address),
              sizeof(address)) != 0) {
    Die(std::strerror(errno));
  }
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

RedisClient::~RedisClient() { close(socket_); }

void RedisClient::Add(std::initializer_list<std::string_view> words) {
  Add(std::span(words.begin(), words.size()));
}

void RedisClient::Add(std::span<const std::string_view> words) {
  out_ += '*';
  out_ += std::to_string(words.size());
  out_ += "\r\n";
  for (const std::string_view word : words) {
    out_ += '$';
    out_ += std::to_string(word.size());
    out_ += "\r\n";
    out_ += word;
    out_ += "\r\n";
  }
}

void RedisClient::Send() {
  for (size_t sent = 0; sent < out_.size();) {
    const ssize_t n =
        send(socket_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
    if (n < 0) Die(std::strerror(errno));
    sent += static_cast<size_t>(n);
  }
  out_.clear();
}

void RedisClient::Fill() {
  if (at_ > (1 << 16)) {
    in_.erase(0, at_);
    at_ = 0;
  }
  char buffer[1 << 16];
  const ssize_t n = recv(socket_, buffer, sizeof(buffer), 0);
  if (n <= 0) Die("the connection was closed");
  in_.append(buffer, static_cast<size_t>(n));
}

std::string_view RedisClient::Line() {
  size_t end = 0;
  while ((end = in_.find("\r\n", at_)) == std::string::npos) Fill();
  const std::string_view line(in_.data() + at_, end - at_);
  at_ = end + 2;
  return line;
}

size_t RedisClient::Skip(size_t bytes) {
  while (in_.size() - at_ < bytes + 2) Fill();
  at_ += bytes + 2;
  return bytes;
}

size_t RedisClient::Receive() {
  const std::string_view line = Line();
  if (line.empty() || line[0] == '-') Die(line);
  const long number = NumberOf(line.substr(1));
  if (line[0] == '$') {
    if (number < 0) Die("a key has no value");
    return Skip(static_cast<size_t>(number));
  }
  if (line[0] != '*') return line.size() - 1;
  size_t bytes = 0;
  for (long i = 0; i < number; ++i) bytes += Receive();
  return bytes;
}

}  // namespace kafed::bench
