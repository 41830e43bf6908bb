// PlainServers: what the servers of a quorum do by themselves, without kafed.
//
// A client of ZooKeeper (its C library) or of etcd (gRPC's callback API) that
// stores one value after the other under keys of its own: a plain `create`, a
// plain `put`. Ends the program when the servers do not do it. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace kafed::bench {

class PlainServers {
 public:
  virtual ~PlainServers() = default;
  // Stores `value` under the next key; `done` runs on a thread of the client.
  virtual void Put(const std::string& value, std::function<void()> done) = 0;
};

// `backend` is "zookeeper" or "etcd"; `servers` HOST:PORT[,HOST:PORT...].
std::unique_ptr<PlainServers> ConnectPlain(const std::string& backend,
                                           const std::string& servers);

}  // namespace kafed::bench
