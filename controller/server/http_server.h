// HttpServer: /metrics, /healthz and /readyz of a node.
//
// healthz: the process works (200 "ok"). readyz: it serves: recovered, storage
// takes writes (else 503 with the reason). Loopback by default. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

class CivetServer;

namespace kafed::controller {

class HttpServer {
 public:
  struct Pages {
    std::function<std::string()> metrics;  // Prometheus text
    std::function<absl::Status()> ready;
  };
  // Unavailable if the address can't be listened on.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      const std::string& listen, Pages pages);
  ~HttpServer();

  int port() const { return port_; }

 private:
  class Page;
  HttpServer() = default;
  std::unique_ptr<Page> metrics_;
  std::unique_ptr<Page> health_;
  std::unique_ptr<Page> ready_;
  std::unique_ptr<CivetServer> server_;
  int port_ = 0;
};

}  // namespace kafed::controller
