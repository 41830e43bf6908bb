// A FakeNode behind a real port: the Routing service over gRPC.
#pragma once

#include <memory>
#include <string>

#include "tests/unit/client/fake_node.h"

namespace kafed::client {

class FakeRoutingServer {
 public:
  explicit FakeRoutingServer(const std::shared_ptr<FakeNode>& node);
  ~FakeRoutingServer();
  // 127.0.0.1:PORT
  const std::string& address() const { return address_; }

 private:
  struct Server;
  std::unique_ptr<Server> server_;
  std::string address_;
};

}  // namespace kafed::client
