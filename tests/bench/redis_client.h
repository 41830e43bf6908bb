// RedisClient: one connection that speaks RESP, with pipelining; what the
// benchmarks need of a Redis client.
//
// Errors end the program: a benchmark that lost its peer measures nothing.
// Not thread-safe.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace kafed::bench {

class RedisClient {
 public:
  explicit RedisClient(int port);
  ~RedisClient();
  RedisClient(const RedisClient&) = delete;
  RedisClient& operator=(const RedisClient&) = delete;

  // Adds a command to those that Send writes.
  void Add(std::initializer_list<std::string_view> words);
  void Add(std::span<const std::string_view> words);
  void Send();
  // Reads one reply and returns the bytes of the values in it; an array counts
  // as one. A null or an error ends the program.
  size_t Receive();

 private:
  std::string_view Line();
  void Fill();
  size_t Skip(size_t bytes);

  int socket_;
  std::string out_;
  std::string in_;
  size_t at_ = 0;
};

}  // namespace kafed::bench
