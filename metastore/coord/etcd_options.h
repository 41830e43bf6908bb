// How an etcd cluster is reached.
#pragma once

#include <string>

#include "common/clock.h"

namespace kafed::metastore {

struct EtcdOptions {
  std::string servers;  // HOST:PORT[,HOST:PORT...]
  // After it a call ends that nobody has answered.
  milliseconds timeout{10'000};
  // A lease ends so long after its session has died; whole seconds.
  milliseconds lease_ttl{10'000};
  // Both empty: etcd's users are not enabled.
  std::string user;
  std::string password;
  // Files, PEM. ca_file: TLS, and who vouches for the servers; the other two,
  // together: what this client shows them.
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
};

}  // namespace kafed::metastore
