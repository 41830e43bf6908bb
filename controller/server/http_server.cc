#include "controller/server/http_server.h"

#include <CivetServer.h>

#include <utility>

#include "common/log.h"

namespace kafed::controller {

// One page: a status and a text.
class HttpServer::Page : public CivetHandler {
 public:
  struct Answer {
    int status;
    std::string type;
    std::string text;
  };
  explicit Page(std::function<Answer()> make) : make_(std::move(make)) {}

  bool handleGet(CivetServer*, mg_connection* connection) override {
    const Answer answer = make_();
    mg_printf(connection,
              "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
              "Connection: close\r\n\r\n",
              answer.status, answer.status == 200 ? "OK" : "Unavailable",
              answer.type.c_str(), answer.text.size());
    mg_write(connection, answer.text.data(), answer.text.size());
    return true;
  }

 private:
  const std::function<Answer()> make_;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    const std::string& listen, Pages pages) {
  std::unique_ptr<HttpServer> made(new HttpServer);
  made->metrics_ = std::make_unique<Page>([metrics = pages.metrics] {
    return Page::Answer{200, "text/plain; version=0.0.4; charset=utf-8",
                        metrics()};
  });
  made->health_ = std::make_unique<Page>([] {
    return Page::Answer{200, "text/plain", "ok\n"};
  });
  made->ready_ = std::make_unique<Page>([ready = pages.ready] {
    const absl::Status status = ready();
    return Page::Answer{
        status.ok() ? 200 : 503, "text/plain",
        status.ok() ? "ready\n" : std::string(status.message()) + "\n"};
  });
  // Civetweb reports by exceptions; they end here.
  try {
    made->server_ = std::make_unique<CivetServer>(
        std::vector<std::string>{"listening_ports", listen, "num_threads", "4",
                                 "enable_directory_listing", "no"});
  } catch (const CivetException&) {
    return absl::UnavailableError("http_listen: can't listen on " + listen +
                                  "; is the port in use?");
  }
  made->server_->addHandler("/metrics", made->metrics_.get());
  made->server_->addHandler("/healthz", made->health_.get());
  made->server_->addHandler("/readyz", made->ready_.get());
  const auto ports = made->server_->getListeningPorts();
  made->port_ = ports.empty() ? 0 : ports.front();
  return made;
}

HttpServer::~HttpServer() {
  if (server_) server_->close();
}

}  // namespace kafed::controller
